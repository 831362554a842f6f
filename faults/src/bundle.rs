//! The configs of the containers.

use std::path::Path;

use anyhow::Result;
use libcontainer::Config;
use libcontainer::network::netlink::nft::Nft;
use serde_json::{Value, json};

use crate::confined;
use crate::programs::{self, SHIM, STANDIN};

/// The socket of the agent, in a place.
pub(crate) const AGENT: &str = "agent";
/// The ordinary user.
pub(crate) const USER: u32 = 4321;
/// First of the user's further ids, and how many there are.
pub(crate) const RANGE: (u32, u32) = (200_000, 65_536);

/// Which config a container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bundle {
    /// Bridge, addresses, port, user, limits, mounts, a device.
    Full,
    /// The same with a terminal and without a network.
    Terminal,
    /// The same without a terminal, for as many containers as one likes.
    Many,
    /// The same in a scope of systemd, without a network.
    Systemd,
    /// Of an ordinary user, in a user namespace with one id.
    User,
    /// The same with a range of ids, which newuidmap(1) maps.
    Ids,
    /// What is seldom asked for: links that lead nowhere, idmapped binds, sysctls, a time namespace, more limits.
    Odd,
    /// Root's, in a user namespace of its own, with a network.
    Mapped,
    /// In a network namespace that was there before, with a device of the host.
    Joined,
    /// Without a network, under a filter that leaves calls to an agent.
    Listened,
    /// Without a network, under rules for files and a filter that refuses what it does not know; with a scheduler, priorities, CPUs and memory of its own.
    Guarded,
    /// Without a network, with a hook in each list.
    Hooked,
    /// Without a network, and its program says when it is ready.
    Notified,
    /// Without a network and control groups, in a class of resctrl.
    Classed,
    /// In a mount namespace that was there before.
    Inside,
    /// Without a network, by a `config.json`, for the shim.
    Contained,
    /// The full one, for what stands in for criu.
    Saved,
    /// The same of root, for criu itself.
    Frozen,
}

impl Bundle {
    pub(crate) const ALL: [Self; 18] = [
        Self::Full,
        Self::Terminal,
        Self::Many,
        Self::Systemd,
        Self::User,
        Self::Ids,
        Self::Odd,
        Self::Mapped,
        Self::Joined,
        Self::Listened,
        Self::Guarded,
        Self::Hooked,
        Self::Notified,
        Self::Classed,
        Self::Inside,
        Self::Contained,
        Self::Saved,
        Self::Frozen,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Terminal => "terminal",
            Self::Many => "many",
            Self::Systemd => "systemd",
            Self::User => "user",
            Self::Ids => "ids",
            Self::Odd => "odd",
            Self::Mapped => "mapped",
            Self::Joined => "joined",
            Self::Listened => "listened",
            Self::Guarded => "guarded",
            Self::Hooked => "hooked",
            Self::Notified => "notified",
            Self::Classed => "classed",
            Self::Inside => "inside",
            Self::Contained => "contained",
            Self::Saved => "saved",
            Self::Frozen => "frozen",
        }
    }

    /// Whether it is an ordinary user's.
    pub(crate) fn is_user(self) -> bool {
        matches!(self, Self::User | Self::Ids)
    }

    /// Why there can be no such container here.
    pub(crate) fn missing(self) -> Option<&'static str> {
        match self {
            Self::Systemd if !Path::new("/run/systemd/system").exists() => {
                Some("systemd does not run this machine")
            }
            Self::Ids if !Path::new("/usr/bin/newuidmap").exists() => Some("newuidmap is not installed"),
            // Where that can't be known the trials go on, and fail.
            Self::Guarded if libcontainer::Probe::current().is_ok_and(|probe| probe.landlock.is_err()) => {
                Some("this kernel has no Landlock")
            }
            Self::Contained if !programs::is_there(SHIM) => Some("the shim is not built"),
            Self::Saved if !programs::is_there(STANDIN) => Some("what stands in for criu is not built"),
            Self::Frozen if programs::criu().is_none() => Some("no criu that works here"),
            Self::Classed if crate::class::hierarchy().is_none() => {
                Some("no hierarchy of version 2 to stand in for resctrl")
            }
            _ => None,
        }
    }
}

/// The file of a bundle in `dir`: its name and its text.
pub(crate) fn file(bundle: Bundle, dir: &Path, tag: &str) -> Result<(&'static str, String)> {
    let own = config(bundle, dir, tag).to_string();
    if bundle != Bundle::Contained {
        return Ok(("container.json", own));
    }
    let (mut config, _) = Config::from_json(own.as_bytes())?;
    config.rootfs = "rootfs".into();
    let (spec, _) = libcontainer_oci::from_config(&config);
    Ok(("config.json", serde_json::to_string(&spec)?))
}

/// The config of a bundle in `dir`. Control groups have `tag` in their path.
pub(crate) fn config(bundle: Bundle, dir: &Path, tag: &str) -> Value {
    let mut config = json!({
        "hostname": "inside",
        "namespaces": {"NEWNS": true, "NEWUTS": true, "NEWIPC": true, "NEWPID": true, "NEWNET": true},
        "environment": ["PATH=/bin", "HOME=/home/u"],
        "capabilities": ["CHOWN", "KILL", "NET_BIND_SERVICE"],
        "no_new_privileges": true,
        "restrict_sys": true,
        "umask": 27,
        "oom_score_adj": 100,
        "rlimits": [{"type": "RLIMIT_NOFILE", "soft": 256, "hard": 512}],
        "networks": [{"type": "loopback"}],
        "mount_config": {
            "mounts": [
                {"type": "tmpfs", "destination": "/tmp", "options": ["size=1m", "nosuid", "nodev"]},
                {"type": "tmpfs", "destination": "/home", "options": ["size=1m", "tmpcopyup"]},
                {"type": "bind", "source": dir.join("shared"), "destination": "/mnt/shared", "options": ["ro", "nodev"]},
                {"type": "bind", "source": dir.join("shared/file"), "destination": "/etc/file"}
            ],
            "masked_paths": ["/proc/keys"],
            "readonly_paths": ["/etc"]
        }
    });
    let group = json!({"cgroups": {"path": format!("/{tag}/web")}});
    let scope = json!({"cgroups": {"systemd": true, "parent": tag}});
    let parts = match bundle {
        Bundle::Full => vec![privileged(), group, network()],
        Bundle::Saved => vec![privileged(), group, network(), open_paths()],
        // What criu may look at and set where root lacks CAP_SYS_RESOURCE.
        Bundle::Frozen => vec![json!({"cgroups": limits(), "rlimits": []}), group, network(), open_paths()],
        Bundle::Terminal => vec![privileged(), group, json!({"tty": true})],
        Bundle::Many => vec![privileged(), json!({"cgroups": {"parent": format!("/{tag}")}})],
        Bundle::Systemd => vec![privileged(), scope],
        Bundle::User => vec![user(&[(0, USER, 1)])],
        Bundle::Ids => vec![user(&[(0, USER, 1), (1, RANGE.0, RANGE.1 - 1)]), json!({"user": "u"})],
        Bundle::Odd => vec![privileged(), group, odd(dir)],
        Bundle::Mapped => {
            vec![user(&[(0, RANGE.0, RANGE.1)]), json!({"user": "u", "cgroups": limits()}), group, network()]
        }
        Bundle::Joined => vec![privileged(), group, joined(dir)],
        Bundle::Listened => vec![privileged(), group, confined::listened(&dir.join(AGENT))],
        Bundle::Guarded => vec![privileged(), group, confined::guarded()],
        Bundle::Hooked => vec![privileged(), group, hooks()],
        Bundle::Notified => vec![privileged(), group],
        Bundle::Contained => vec![privileged(), group, json!({"args": ["sleep", "1000"]})],
        // A group of version 2 would be the one that stands in for the class.
        Bundle::Classed => vec![json!({"user": "u"})],
        Bundle::Inside => vec![privileged(), group, inside(dir)],
    };
    parts.into_iter().for_each(|part| merge(&mut config, part));
    config
}

/// criu can't tell a bind from its copy in a directory that is made read-only.
fn open_paths() -> Value {
    json!({"mount_config": {"readonly_paths": []}})
}

fn privileged() -> Value {
    json!({
        "user": "u",
        "additional_groups": ["wheel"],
        "mount_config": {"device_nodes": [
            {"type": "c", "path": "/dev/net/tun", "major_number": 10, "minor_number": 200, "uid": 5}
        ]},
        "cgroups": limits()
    })
}

fn limits() -> Value {
    json!({
        "memory": 67_108_864,
        "cpu_shares": 512,
        "cpu_quota": 50_000,
        "cpu_period": 100_000,
        "resources": {"pids": {"limit": 64}}
    })
}

/// Lists replace those of the other configs.
fn odd(dir: &Path) -> Value {
    json!({
        "namespaces": {"NEWCGROUP": true, "NEWTIME": true},
        "time_offsets": {"monotonic": {"secs": 100}},
        "domainname": "outside",
        "scheduler": {"policy": "SCHED_BATCH", "nice": 3},
        "io_priority": {"class": "IOPRIO_CLASS_BE", "priority": 6},
        "personality": {"domain": "LINUX32"},
        "working_dir": "/srv/missing/below",
        "sysctl": {"kernel.msgmax": "4096", "net.ipv4.ip_forward": "1"},
        "rlimits": [{"type": "RLIMIT_CORE", "soft": 0, "hard": 0}, {"type": "RLIMIT_NPROC", "soft": 100, "hard": 100}],
        "cgroups": {
            "memory_reservation": 33_554_432,
            "cpuset_cpus": "0",
            "allow_all_devices": true
        },
        "mount_config": {
            "readonly_fs": true,
            "mounts": [
                {"type": "bind", "source": dir.join("shared/file"), "destination": "/etc/resolv.conf"},
                mapped(dir),
                {"type": "tmpfs", "destination": "/tmp", "options": ["size=1m", "mode=1777"]},
                {"type": "tmpfs", "destination": "/home", "options": ["size=1m", "tmpcopyup"]},
                {"type": "mqueue", "destination": "/dev/mqueue"}
            ]
        }
    })
}

/// A bind of a tmpfs with its ids mapped, or without where the kernel can't.
fn mapped(dir: &Path) -> Value {
    let bind = json!({"type": "bind", "source": dir.join("shared"), "destination": "/mnt/mapped", "options": ["rw"]});
    // KERNEL(6.3): a tmpfs takes no map before.
    if !libcontainer::Probe::current().is_ok_and(|probe| probe.version >= (6, 3)) {
        return bind;
    }
    let map = json!([{"container_id": 0, "host_id": RANGE.0, "size": 1000}]);
    let mut bind = bind;
    merge(&mut bind, json!({"options": ["idmap", "rw"], "uid_mappings": map, "gid_mappings": map}));
    bind
}

/// A device of the host is one end of a pair.
fn joined(dir: &Path) -> Value {
    let new = ["NEWNS", "NEWUTS", "NEWIPC", "NEWPID"].map(|kind| json!({"type": kind}));
    let mut namespaces = new.to_vec();
    namespaces.push(json!({"type": "NEWNET", "path": dir.join("netns")}));
    json!({
        "namespaces": namespaces,
        "networks": [{"type": "host-device", "device": "fx1", "name": "dev0", "address": "10.78.0.2/24", "gateway": "10.78.0.1"}]
    })
}

/// Nothing is mounted there for one container.
fn inside(dir: &Path) -> Value {
    let new = ["NEWUTS", "NEWIPC", "NEWPID", "NEWNET"].map(|kind| json!({"type": kind}));
    let mut namespaces = new.to_vec();
    namespaces.push(json!({"type": "NEWNS", "path": dir.join("mntns")}));
    json!({"namespaces": namespaces, "mount_config": null, "restrict_sys": false})
}

/// Last argument of a program that is no program of the container.
pub(crate) const HOOK: &str = "faults-hook";

fn hooks() -> Value {
    let one = json!([{"path": "/bin/true", "args": ["true", HOOK], "timeout": 60}]);
    let lists =
        ["prestart", "create_runtime", "create_container", "start_container", "poststart", "poststop"];
    json!({"hooks": lists.into_iter().map(|list| (list.to_owned(), one.clone())).collect::<serde_json::Map<_, _>>()})
}

fn network() -> Value {
    let nat = Nft::open().and_then(|mut nft| nft.generation()).is_ok();
    let mut veth = json!({
        "type": "veth", "bridge": "br-faults", "create_bridge": true, "bridge_addresses": ["10.77.0.1/24"],
        "veth_prefix": "vf", "address": "10.77.0.2/24", "gateway": "10.77.0.1", "mtu": 1400
    });
    if nat {
        let port = json!([{"host_port": 8080, "port": 80}]);
        merge(&mut veth, json!({"nat": true, "forward": true, "ports": port}));
    }
    json!({"networks": [{"type": "loopback"}, veth]})
}

fn user(maps: &[(u32, u32, u32)]) -> Value {
    let map = |(container, host, size): &(u32, u32, u32)| json!({"container_id": container, "host_id": host, "size": size});
    let maps: Vec<_> = maps.iter().map(map).collect();
    json!({"namespaces": {"NEWUSER": true}, "uid_mappings": maps, "gid_mappings": maps})
}

/// Objects are laid one over the other.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_of_a_config_are_laid_over() {
        let mut all = json!({"a": {"b": 1}, "c": [1]});
        merge(&mut all, json!({"a": {"d": 2}, "c": [2]}));
        assert_eq!(all, json!({"a": {"b": 1, "d": 2}, "c": [2]}));
    }

    #[test]
    fn every_config_is_understood_without_a_rest() {
        for bundle in Bundle::ALL {
            let text = config(bundle, Path::new("/place"), "tag").to_string();
            let (config, unknown) = Config::from_json(text.as_bytes()).unwrap();
            assert!(unknown.is_empty(), "{bundle:?}: {unknown:?}");
            assert_eq!(config.restrict_sys, bundle != Bundle::Inside, "{bundle:?}");
            let grouped = !bundle.is_user() && bundle != Bundle::Classed;
            assert_eq!(config.cgroups.is_some(), grouped, "{bundle:?}");
        }
    }
}
