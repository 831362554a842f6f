//! `state.json`: the record of a container. 2014's keys, and what a later process needs to find and to destroy it.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use libcontainer_cgroups::Place;
use libcontainer_mount::Mount;
use libcontainer_network::NetworkState;
use serde::{Deserialize, Serialize};

use crate::config::Config;

/// State of a container. The first four numbers are 2014's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
#[non_exhaustive]
pub enum RunState {
    /// The first process runs.
    Running = 1,
    /// On the way to be frozen.
    Pausing = 2,
    /// Frozen.
    Paused = 3,
    /// Gone.
    Destroyed = 4,
    /// Being made, or left half-made by a process that was killed.
    Creating = 5,
    /// Made; the first process waits for its start.
    Created = 6,
    /// The first process has ended.
    Stopped = 7,
    /// Made, and kept ready by its template for a program that is not known yet.
    Warm = 8,
}

/// In one word, as `nsinit state` prints it.
impl fmt::Display for RunState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Running => "running",
            Self::Pausing => "pausing",
            Self::Paused => "paused",
            Self::Destroyed => "destroyed",
            Self::Creating => "creating",
            Self::Created => "created",
            Self::Stopped => "stopped",
            Self::Warm => "warm",
        })
    }
}

/// How far the record says that the container has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Being made.
    #[default]
    Creating,
    /// The first process waits for its start.
    Created,
    /// The first process was started.
    Running,
    /// The init stands by for a program.
    Warm,
}

/// Something outside of the directory that creating the container makes: destroy takes it away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Intent {
    /// The first process.
    Process,
    /// A session keyring of this name; goes with its last process.
    Keyring(String),
    /// A control group: where it is, or is going to be, in each hierarchy.
    Cgroup(Vec<Place>),
    /// The unit by which systemd makes the control group.
    Unit(UnitRecord),
    /// A class of resctrl, and a group in it that measures.
    Resctrl(Vec<ResctrlGroup>),
}

/// A directory of the resctrl filesystem.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResctrlGroup {
    /// Where it is.
    pub path: PathBuf,
    /// Name of the file with its members.
    pub tasks: String,
    /// By which it is known, once it was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub inode: Option<u64>,
    /// Whether it is made for the container, and goes with it.
    pub made: bool,
}

/// The unit of a container, as its record has it before it is started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitRecord {
    /// Its name, `libcontainer-web.scope`.
    pub name: String,
    /// Its description, by which it is told from a namesake.
    pub description: String,
    /// Whether a user's manager has it, not the system's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub user: bool,
}

/// A mount that was added while the container ran.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AddedMount {
    /// What was asked for.
    pub mount: Mount,
    /// Where it lies, behind all links.
    pub place: PathBuf,
    /// The kernel's number, once it is mounted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u32>,
}

/// The record.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct State {
    /// Pid of the first process in the host's pid namespace; 0 until there is one.
    pub init_pid: i32,
    /// Its start time in clock ticks since boot: a string, as in 2014.
    pub init_start_time: String,
    /// Network.
    pub network_state: NetworkState,
    /// Path of the cgroup of each subsystem.
    pub cgroup_paths: BTreeMap<String, String>,
    /// Version of the record.
    pub version: u32,
    /// Name of the container: the last part of its path.
    pub id: String,
    /// How far it has come.
    pub status: Status,
    /// The boot that the pid belongs to: `/proc/sys/kernel/random/boot_id`.
    pub boot_id: String,
    /// Seconds since 1970 at which it was made.
    pub created: u64,
    /// What was or is to be made.
    pub intent: Vec<Intent>,
    /// Mounts that were added while it ran.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub added_mounts: Vec<AddedMount>,
    /// The config. Its environment is kept: a loaded container starts processes with it.
    pub config: Config,
    /// Steps that the init still has to take when it is started, with their indices: for the error of a start.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub start_steps: Vec<(usize, String)>,
    /// The first step by which it would become its program; 0 if that is not known.
    #[serde(skip_serializing_if = "is_zero")]
    pub first_exec: usize,
    /// CRC-32 of all bytes of the record before this key, which is the last one.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub checksum: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl State {
    /// Where the control group is.
    pub(crate) fn places(&self) -> &[Place] {
        let group = self.intent.iter().find_map(|intent| match intent {
            Intent::Cgroup(places) => Some(places.as_slice()),
            _ => None,
        });
        group.unwrap_or_default()
    }

    /// The unit, if systemd makes the group.
    pub(crate) fn unit(&self) -> Option<&UnitRecord> {
        self.intent.iter().find_map(|intent| match intent {
            Intent::Unit(unit) => Some(unit),
            _ => None,
        })
    }

    /// The class of resctrl, and the group that measures.
    pub(crate) fn resctrl(&self) -> &[ResctrlGroup] {
        let groups = self.intent.iter().find_map(|intent| match intent {
            Intent::Resctrl(groups) => Some(groups.as_slice()),
            _ => None,
        });
        groups.unwrap_or_default()
    }

    /// Notes that one of them was made.
    pub(crate) fn note_resctrl(&mut self, index: usize, inode: u64) {
        for intent in &mut self.intent {
            if let Intent::Resctrl(groups) = intent {
                groups.iter_mut().skip(index).take(1).for_each(|group| group.inode = Some(inode));
            }
        }
    }

    /// Notes where the control group is, under 2014's key too.
    pub(crate) fn set_places(&mut self, places: Vec<Place>) {
        self.cgroup_paths.clear();
        for place in &places {
            let path = place.path().to_string_lossy().into_owned();
            // 2014 knew no version 2; later versions gave it the empty name.
            let names = if place.unified { vec![String::new()] } else { place.controllers.clone() };
            self.cgroup_paths.extend(names.into_iter().map(|name| (name, path.clone())));
        }
        self.intent.retain(|intent| !matches!(intent, Intent::Cgroup(_)));
        self.intent.push(Intent::Cgroup(places));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_2014_are_fixed() {
        let numbers = [RunState::Running, RunState::Pausing, RunState::Paused, RunState::Destroyed]
            .map(|state| state as u8);
        assert_eq!(numbers, [1, 2, 3, 4]);
    }
}
