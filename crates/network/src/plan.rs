//! What a container's network will consist of, and what of it stands in the record.

use std::net::IpAddr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use libcontainer_netlink::{Cidr, IpvlanMode, Mac, MacvlanMode, Name};

use crate::bridge::OwnBridge;
use crate::config::{InterfaceState, NetworkState};
use crate::home::{Notes, Renamed};
use crate::mark::Mark;
use crate::nat::{Nat, Published};

/// One thing that is wrong with a config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// JSON pointer to the value, such as `/networks/1/mtu`.
    pub pointer: String,
    /// What is wrong with it.
    pub message: String,
}

/// What a container's network will consist of.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    pub(crate) interfaces: Vec<Interface>,
    pub(crate) routes: Vec<PlannedRoute>,
    pub(crate) nat: Option<Nat>,
    pub(crate) mark: Mark,
    /// Where the record is; none for a plan that belongs to no container.
    pub(crate) dir: Option<PathBuf>,
    /// What the container's own namespace is called by the host's.
    pub(crate) namespace_id: i32,
    /// Who is told of a device that comes home under another name.
    pub(crate) notes: Notes,
    /// The network namespace that is joined; none if the container has one of its own.
    pub(crate) joins: Option<PathBuf>,
}

#[derive(Clone, Debug)]
pub(crate) struct Interface {
    pub(crate) kind: Kind,
    pub(crate) name: Name,
    pub(crate) mac: Option<Mac>,
    pub(crate) mtu: Option<u32>,
    pub(crate) addresses: Vec<Cidr>,
    pub(crate) gateways: Vec<IpAddr>,
    pub(crate) published: Published,
}

#[derive(Clone, Debug)]
pub(crate) enum Kind {
    Veth { host: Name, bridge: Name, create: Option<OwnBridge> },
    Macvlan { parent: Name, mode: MacvlanMode, made_as: Name },
    Ipvlan { parent: Name, mode: IpvlanMode, made_as: Name },
    Device { host: Name },
    Pasta { pid_file: PathBuf },
}

#[derive(Clone, Debug)]
pub(crate) struct PlannedRoute {
    pub(crate) route: libcontainer_netlink::Route,
    pub(crate) link: Option<Name>,
    pub(crate) text: String,
}

impl Plan {
    /// The same with zeros for the random digits: for a plan that is only shown.
    #[must_use]
    pub fn shown(mut self) -> Self {
        if let Some(nat) = &mut self.nat {
            nat.table.name = "lc_00000000".to_owned();
        }
        for interface in &mut self.interfaces {
            if let Kind::Veth { host, .. } = &mut interface.kind {
                let prefix = host.as_bytes().len().saturating_sub(8);
                let mut bytes = host.as_bytes().to_vec();
                bytes.iter_mut().skip(prefix).for_each(|digit| *digit = b'0');
                // A name with other digits is a name.
                *host = Name::new(std::ffi::OsStr::from_bytes(&bytes)).unwrap_or(*host);
            }
        }
        self
    }

    /// Whether there is nothing to be made.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.interfaces.is_empty() && self.routes.is_empty()
    }

    /// Says whose network it is: the container's directory, which must exist when the steps run and go after what is recorded. Links
    /// and the table get a mark that names it ([`find_marked`](crate::find_marked)), and programs that serve the container keep
    /// their files there.
    pub fn belongs_to(&mut self, dir: &Path) {
        self.mark = Mark::of(dir);
        self.dir = Some(dir.to_owned());
        for interface in &mut self.interfaces {
            if let Kind::Pasta { pid_file } = &mut interface.kind {
                *pid_file = dir.join(format!("pasta-{}.pid", interface.name));
            }
        }
    }

    /// Says that the network namespace is not the container's own: what is made in it does not go with the container.
    pub fn joins(&mut self, path: &Path) {
        self.namespace_id = 0;
        self.joins = Some(path.to_owned());
    }

    /// Says who is told of a device that is taken back and whose name is somebody else's by then.
    #[must_use]
    pub fn renamed(self, tell: impl Fn(&Renamed) + Send + Sync + 'static) -> Self {
        Self { notes: Notes::to(tell), ..self }
    }

    /// What will be made, for the record: to be written down before [`Plan::steps`] run. Every object of the host's that may come to be
    /// is in it, with that by which it is known as ours.
    #[must_use]
    pub fn state(&self) -> NetworkState {
        let interfaces: Vec<_> = self.interfaces.iter().map(Interface::state).collect();
        let veth = interfaces.iter().find(|interface| interface.kind == "veth");
        NetworkState {
            // 2014's keys; empty without a pair.
            veth_host: veth.map(|veth| veth.host_name.clone()).unwrap_or_default(),
            veth_child: veth.map(|veth| veth.name.clone()).unwrap_or_default(),
            ns_path: self.joins.as_ref().map(|path| path.to_string_lossy().into_owned()).unwrap_or_default(),
            interfaces,
            nft_table: self.nat.as_ref().map(|nat| nat.table.name.clone()).unwrap_or_default(),
            namespace_id: self.namespace_id,
            mark: if self.is_empty() { String::new() } else { self.mark.as_str().to_owned() },
        }
    }

    /// Whether anything on the host is changed, which takes root there: all but what pasta does.
    #[must_use]
    pub fn needs_root(&self) -> bool {
        !self.routes.is_empty() || self.interfaces.iter().any(|interface| !interface.is_pasta())
    }

    /// Whether pasta serves one of the interfaces.
    #[must_use]
    pub fn has_pasta(&self) -> bool {
        self.interfaces.iter().any(Interface::is_pasta)
    }
}

impl Interface {
    pub(crate) const fn is_pasta(&self) -> bool {
        matches!(self.kind, Kind::Pasta { .. })
    }

    fn state(&self) -> InterfaceState {
        let (nat, forward) = (self.published.masquerade, self.published.forward);
        let (name, ports) = (self.name.to_string(), self.published.asked.clone());
        let state = InterfaceState { name, nat, forward, ports, ..InterfaceState::default() };
        match &self.kind {
            Kind::Veth { host, bridge, create } => InterfaceState {
                kind: "veth".to_owned(),
                host_name: host.to_string(),
                bridge: bridge.to_string(),
                own_bridge: create.is_some(),
                bridge_mac: create.as_ref().map(|own| own.mac.to_string()).unwrap_or_default(),
                ..state
            },
            Kind::Macvlan { made_as, .. } => {
                InterfaceState { kind: "macvlan".to_owned(), made_as: made_as.to_string(), ..state }
            }
            Kind::Ipvlan { made_as, .. } => {
                InterfaceState { kind: "ipvlan".to_owned(), made_as: made_as.to_string(), ..state }
            }
            Kind::Pasta { pid_file } => {
                InterfaceState { kind: "pasta".to_owned(), pid_file: pid_file.clone(), ..state }
            }
            Kind::Device { host } => {
                InterfaceState { kind: "host-device".to_owned(), host_name: host.to_string(), ..state }
            }
        }
    }
}
