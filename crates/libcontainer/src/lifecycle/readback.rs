//! The host's check before release: what the init says it is, compared with what the plan wanted.

use std::io;
use std::ops::{Deref, DerefMut};

use libcontainer_cgroups::{NotMember, Place, check_member};
use libcontainer_security::plan::Confinement;
use libcontainer_security::{Expected as ExpectedProcess, ReadBack};

use super::program::Program;
use crate::config::{Config, NamespaceKind};
use crate::setup::{JoinSetup, ProcessSetup, Setup};

/// What the host expects of a ready init: what is compared of the process (its fields are those of this too), and its control group.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Expected {
    /// Ids, capabilities, `no_new_privs`, namespaces.
    pub process: ExpectedProcess,
    /// The control group in each hierarchy; `None` for what the container's record says.
    pub cgroup: Option<Vec<Place>>,
    /// The program, if it is to be there by now.
    pub program: Option<Program>,
}

impl Deref for Expected {
    type Target = ExpectedProcess;

    fn deref(&self) -> &ExpectedProcess {
        &self.process
    }
}

impl DerefMut for Expected {
    fn deref_mut(&mut self) -> &mut ExpectedProcess {
        &mut self.process
    }
}

impl Expected {
    /// Of the first process.
    pub(super) fn of_first(config: &Config, setup: &Setup, process: &ProcessSetup) -> Self {
        let identity = &process.identity;
        let joined_user = setup.namespaces.joins(NamespaceKind::User);
        let (uid, gid) = match &setup.id_maps {
            Some(new) => (new.maps.uid_outside(identity.uid), new.maps.gid_outside(identity.gid)),
            None => {
                (Some(identity.uid).filter(|_| !joined_user), Some(identity.gid).filter(|_| !joined_user))
            }
        };
        let group = |id: &u32| match &setup.id_maps {
            Some(new) => new.maps.gid_outside(*id),
            None => Some(*id),
        };
        let groups: Option<Vec<u32>> = identity.groups.iter().map(group).collect();
        let known = |kind: &NamespaceKind| *kind != NamespaceKind::Time && setup.namespaces.has(*kind);
        let process = ExpectedProcess {
            uid,
            gid,
            groups: groups.filter(|_| !identity.setgroups_denied && !joined_user).map(sorted),
            namespaces: namespaces(config, known),
            exec_label: setup.label.as_ref().map(|label| label.process.to_string()),
            ..confined(&process.confinement)
        };
        Self { process, cgroup: None, program: None }
    }

    /// Of one that joins.
    pub(super) fn of_join(setup: &JoinSetup) -> Self {
        let named = setup.namespaces & NamespaceKind::User.flag() == 0;
        let identity = &setup.process.identity;
        let process = ExpectedProcess {
            uid: Some(identity.uid).filter(|_| named),
            gid: Some(identity.gid).filter(|_| named),
            groups: Some(sorted(identity.groups.clone())).filter(|_| named && !identity.setgroups_denied),
            exec_label: setup.label.as_ref().map(|label| label.process.to_string()),
            ..confined(&setup.process.confinement)
        };
        Self { process, cgroup: None, program: None }
    }

    /// Compares with a ready init, which is to be in the group at `places` if nothing else is expected.
    ///
    /// # Errors
    /// Names the first item that differs, with both values.
    pub(super) fn compare(&self, init: &mut ReadBack, places: &[Place]) -> io::Result<()> {
        init.compare(&self.process)?;
        self.program.as_ref().map_or(Ok(()), |program| program.look(init.dir()))?;
        self.compare_group(init, places)
    }

    /// Compares its control group alone.
    pub(super) fn compare_group(&self, init: &ReadBack, places: &[Place]) -> io::Result<()> {
        let places = self.cgroup.as_deref().unwrap_or(places);
        if places.is_empty() {
            return Ok(());
        }
        let text = init.dir().read("cgroup")?;
        check_member(&String::from_utf8_lossy(&text), places).map_err(elsewhere)
    }
}

fn elsewhere(NotMember { controllers, wanted, found }: NotMember) -> io::Error {
    let wanted = wanted.display();
    let text = format!("read back control group {controllers} of the init: wanted {wanted}, found {found:?}");
    io::Error::other(text)
}

fn confined(confinement: &Confinement) -> ExpectedProcess {
    let masks = confinement.until_exec();
    ExpectedProcess {
        capabilities: [
            masks.inheritable,
            masks.permitted,
            masks.effective,
            confinement.bounding,
            confinement.ambient,
        ],
        no_new_privs: confinement.no_new_privs,
        ..ExpectedProcess::default()
    }
}

fn namespaces(config: &Config, known: impl Fn(&NamespaceKind) -> bool) -> Vec<(String, bool)> {
    let new = |kind: &NamespaceKind| config.namespaces.is_new(*kind) && known(kind);
    let shared = |kind: &NamespaceKind| !config.namespaces.contains(*kind);
    let kinds = NamespaceKind::ALL.into_iter().filter(|kind| new(kind) || shared(kind));
    kinds.map(|kind| (kind.file().to_owned(), new(&kind))).collect()
}

fn sorted(mut groups: Vec<u32>) -> Vec<u32> {
    groups.sort_unstable();
    groups
}
