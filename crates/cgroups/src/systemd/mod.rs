//! systemd as the maker of groups: transient scopes and slices over D-Bus, by a small client of our own.
//!
//! A container's group is a scope: systemd makes it in every hierarchy, delegates what is below it, and removes it when
//! the last process has gone, whatever becomes of the program that asked for it. Limits are given as properties
//! so that systemd does not undo them, and written to the control files as well, which know more than systemd does.
//!
//! ```
//! use libcontainer_cgroups::stats::Version;
//! use libcontainer_cgroups::systemd::{Placement, Target, UnitLimits, limit_properties};
//!
//! let place = Placement::parse("machine-web.slice:demo:one", "demo", "one", false)?;
//! assert_eq!(place.unit.name(), "demo-one.scope");
//! assert_eq!(place.path().to_str(), Some("machine.slice/machine-web.slice/demo-one.scope"));
//!
//! let limits = UnitLimits { tasks_max: Some(64), ..UnitLimits::default() };
//! let target = Target { hierarchy: Version::V2, systemd: 257, drivers: String::new() };
//! assert_eq!(limit_properties(&limits, &target)?[0].name, "TasksMax");
//! # Ok::<(), libcontainer_cgroups::Error>(())
//! ```
//!
//! A user's manager can only limit with the controllers that are delegated to it (`user@.service`, `Delegate=`): a property of another
//! controller is taken and has no effect, so read the control files back.

mod address;
mod annotation;
mod bus;
mod device_list;
mod driver;
mod job;
mod limits;
mod marshal;
mod place;
mod processor;
mod properties;
mod property;
mod unified;
mod unit;
mod value;
pub mod wire;

use std::path::Path;

use crate::error::{Error, Result};

pub use address::{Endpoint, Environment, Socket, Which, parse as parse_address};
pub use annotation::{PREFIX as ANNOTATION_PREFIX, annotated};
pub use bus::{Answer, Bus, Refusal};
pub use driver::Manager;
pub use job::Outcome;
pub use processor::{bit_mask, whole_percents};
pub use properties::{UnitLimits, limit_properties, start_properties, unit_properties};
pub use property::{INFINITY, Property, Target};
pub use unit::{Placement, Slice, Unit};
pub use value::{Array, Value};

/// Whether systemd runs this machine (`/run/systemd/system` is a directory, as sd_booted(3) looks at it).
///
/// # Errors
/// [`Error::Directory`] when that can't be seen.
pub fn is_running() -> Result<bool> {
    let path = Path::new("/run/systemd/system");
    match std::fs::symlink_metadata(path) {
        Ok(found) => Ok(found.is_dir()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
        Err(source) => Err(Error::Directory { call: "stat", path: path.into(), source }),
    }
}
