//! Names of units: scopes, slices, and the `slice:prefix:name` form of a container's cgroup path.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::{Error, Result};

/// The longest name of a unit (`UNIT_NAME_MAX` is 256 with the NUL).
const LONGEST: usize = 255;
const FIELD: &str = "linux.cgroupsPath";

/// The name of a slice, `a-b.slice`; `-.slice` is the root.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Slice(String);

impl Slice {
    /// Checks a name (systemd.slice(5)): it ends in `.slice`, has no slash, and each dash stands between two parts.
    /// `-` alone is taken for `-.slice`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn new(name: &str) -> Result<Self> {
        if name == "-" || name == "-.slice" {
            return Ok(Self("-.slice".to_owned()));
        }
        let stem = name.strip_suffix(".slice");
        let sound = stem
            .is_some_and(|stem| stem.split('-').all(|part| !part.is_empty() && part.bytes().all(is_name)));
        match sound && name.len() <= LONGEST {
            true => Ok(Self(name.to_owned())),
            false => Err(Error::invalid(FIELD, format!("{name:?} is no name of a slice"))),
        }
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// The slice's group below the manager's: `a.slice/a-b.slice` for `a-b.slice`, nothing for the root.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        let stem = self.0.strip_suffix(".slice").unwrap_or(&self.0);
        if stem == "-" {
            return PathBuf::new();
        }
        let ends = stem.match_indices('-').map(|(at, _)| at).chain([stem.len()]);
        ends.filter_map(|end| stem.get(..end)).map(|start| format!("{start}.slice")).collect()
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a scope or a slice that holds a container.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Unit(String);

impl Unit {
    /// Takes the full name of a unit, `web.scope`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for characters and lengths that systemd refuses, and for other kinds of units.
    pub fn new(name: &str) -> Result<Self> {
        if name.ends_with(".slice") {
            return Slice::new(name).map(|slice| Self(slice.0));
        }
        let stem = name.strip_suffix(".scope").unwrap_or_default();
        match !stem.is_empty() && name.len() <= LONGEST && stem.bytes().all(is_name) {
            true => Ok(Self(name.to_owned())),
            false => Err(Error::invalid(FIELD, format!("{name:?} is no name of a scope"))),
        }
    }

    /// The scope `prefix-name.scope` (`name.scope` for an empty prefix). Bytes that a unit's name can't have become `\xNN`.
    ///
    /// # Errors
    /// [`Error::Invalid`] for an empty name, a slash or a NUL, and for a name that is too long.
    pub fn scope(prefix: &str, name: &str) -> Result<Self> {
        if name.is_empty() || [prefix, name].iter().any(|part| part.contains(['/', '\0'])) {
            return Err(Error::invalid(FIELD, format!("{prefix:?} and {name:?} can't name a scope")));
        }
        let dash = if prefix.is_empty() { "" } else { "-" };
        Self::new(&format!("{}{dash}{}.scope", escape(prefix), escape(name)))
    }

    /// The name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// True for a slice, false for a scope.
    #[must_use]
    pub fn is_slice(&self) -> bool {
        self.0.ends_with(".slice")
    }

    /// The D-Bus interface with the properties of this kind of unit.
    #[must_use]
    pub fn interface(&self) -> &'static str {
        if self.is_slice() { "org.freedesktop.systemd1.Slice" } else { "org.freedesktop.systemd1.Scope" }
    }
}

impl fmt::Display for Unit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Where a container's unit stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// The slice around it.
    pub slice: Slice,
    /// The unit itself.
    pub unit: Unit,
}

impl Placement {
    /// Reads `slice:prefix:name` as OCI runtimes with a systemd driver do. An empty text is `:prefix:id` with the `prefix` and `id` given;
    /// an empty slice is `system.slice`, or `user.slice` under a user's manager; a name that ends in `.slice` is a slice of its own.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there aren't three parts, or one of them can't be.
    pub fn parse(text: &str, prefix: &str, id: &str, user: bool) -> Result<Self> {
        let parts: Vec<&str> = if text.is_empty() { vec!["", prefix, id] } else { text.split(':').collect() };
        let [slice, prefix, name] = parts.as_slice() else {
            let problem = format!("{text:?} is not of the form slice:prefix:name");
            return Err(Error::invalid(FIELD, problem));
        };
        let slice = match *slice {
            "" if user => "user.slice",
            "" => "system.slice",
            other => other,
        };
        let unit = if name.ends_with(".slice") { Unit::new(name)? } else { Unit::scope(prefix, name)? };
        Ok(Self { slice: Slice::new(slice)?, unit })
    }

    /// The group that systemd will make, below the group of its manager. What it made is told by [`Manager::group`](super::Manager::group).
    #[must_use]
    pub fn path(&self) -> PathBuf {
        match self.unit.is_slice() {
            // A slice's own name says where it stands.
            true => Slice(self.unit.0.clone()).path(),
            false => self.slice.path().join(Path::new(self.unit.name())),
        }
    }
}

/// What a unit's name may have besides the dash in its right place (`VALID_CHARS` of systemd: letters, digits, `:-_.\`).
fn is_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b":-_.\\".contains(&byte)
}

fn escape(text: &str) -> String {
    text.bytes()
        .map(|byte| if is_name(byte) { char::from(byte).to_string() } else { format!("\\x{byte:02x}") })
        .collect()
}
