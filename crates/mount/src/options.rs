//! Mount options as mount(8), runc and crun name them, turned into attributes.

use crate::plan::Propagation;

const RDONLY: u64 = 0x1;
const NOSUID: u64 = 0x2;
const NODEV: u64 = 0x4;
const NOEXEC: u64 = 0x8;
const NOATIME: u64 = 0x10;
const STRICTATIME: u64 = 0x20;
const ATIME: u64 = 0x70;
const NODIRATIME: u64 = 0x80;
const NOSYMFOLLOW: u64 = 0x20_0000;

/// What a list of options means.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// `MOUNT_ATTR_…` bits to set on the mount.
    pub set: u64,
    /// Bits to clear.
    pub clear: u64,
    /// Bits to set on the mount and all below it.
    pub recursive_set: u64,
    /// Bits to clear on the mount and all below it.
    pub recursive_clear: u64,
    /// Propagation, and whether for all mounts below too.
    pub propagation: Option<(Propagation, bool)>,
    /// A bind, and whether with all that is mounted below the source.
    pub bind: Option<bool>,
    /// Copy what lies below the place into the new tmpfs.
    pub copy_up: bool,
    /// If the source is a symbolic link, make the same link instead of a mount.
    pub copy_symlink: bool,
    /// Don't follow a link in the last place of the source.
    pub source_nofollow: bool,
    /// Don't follow a link in the last place of the destination.
    pub destination_nofollow: bool,
    /// Id map of the mount: the container's, and whether for all below too.
    pub idmap: Option<bool>,
    /// No new mount: the attributes of the one that is there change.
    pub remount: bool,
    /// Flags and options for the filesystem.
    pub data: Vec<(String, Option<String>)>,
}

/// An option that can't be taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OptionError {
    /// A bind takes no options of the filesystem.
    #[error("unknown option {option:?} for a bind mount")]
    Unknown {
        /// The option.
        option: String,
    },
    /// A flag of mount(2) that fsconfig(2) has no word for.
    #[error("option {option:?}: only mount(2) knows it; filesystems that keep versions do so by themselves")]
    OldCallOnly {
        /// The option.
        option: String,
    },
    /// An id map of the option's own.
    #[error("option {option:?}: give the map as uid_mappings and gid_mappings")]
    InlineMap {
        /// The option.
        option: String,
    },
}

/// Name, bits to set, bits to clear.
const ATTRIBUTES: &[(&str, u64, u64)] = &[
    ("ro", RDONLY, 0),
    ("rw", 0, RDONLY),
    ("nosuid", NOSUID, 0),
    ("suid", 0, NOSUID),
    ("nodev", NODEV, 0),
    ("dev", 0, NODEV),
    ("noexec", NOEXEC, 0),
    ("exec", 0, NOEXEC),
    ("relatime", 0, ATIME),
    ("norelatime", STRICTATIME, ATIME),
    ("noatime", NOATIME, ATIME),
    ("atime", 0, ATIME),
    ("strictatime", STRICTATIME, ATIME),
    ("nostrictatime", 0, ATIME),
    ("nodiratime", NODIRATIME, 0),
    ("diratime", 0, NODIRATIME),
    ("nosymfollow", NOSYMFOLLOW, 0),
    ("symfollow", 0, NOSYMFOLLOW),
];

const PROPAGATIONS: &[(&str, Propagation)] = &[
    ("private", Propagation::Private),
    ("slave", Propagation::Slave),
    ("shared", Propagation::Shared),
    ("unbindable", Propagation::Unbindable),
];

/// Options that are flags of the filesystem; the second name turns the first off.
const FLAGS: &[(&str, &str)] =
    &[("sync", "async"), ("dirsync", ""), ("lazytime", "nolazytime"), ("mand", "nomand")];

/// Options that are no attribute, propagation or flag, and can be taken; [`Options::special`] knows them.
const SPECIAL: [&str; 12] = [
    "bind",
    "rbind",
    "defaults",
    "silent",
    "loud",
    "noiversion",
    "tmpcopyup",
    "copy-symlink",
    "src-nofollow",
    "dest-nofollow",
    "idmap",
    "remount",
];

/// Every option that has a meaning here, in alphabetical order; what else there is belongs to a filesystem.
#[must_use]
pub fn known_options() -> Vec<String> {
    let recursive = |names: Vec<&str>| -> Vec<String> {
        names.iter().flat_map(|name| [(*name).to_owned(), format!("r{name}")]).collect()
    };
    let mut all = recursive(ATTRIBUTES.iter().map(|(name, ..)| *name).collect());
    all.extend(recursive(PROPAGATIONS.iter().map(|(name, _)| *name).collect()));
    let flags = FLAGS.iter().flat_map(|(on, off)| [*on, *off]).filter(|name| !name.is_empty());
    all.extend(flags.chain(SPECIAL).chain(["ridmap"]).map(str::to_owned));
    all.sort();
    all
}

/// Reads a list of options; of contradicting ones the last counts, as for mount(8).
///
/// # Errors
/// An option that a bind can't have, or that means nothing for a new mount.
pub fn parse_options<'a>(
    options: impl IntoIterator<Item = &'a str>,
    bind: bool,
) -> Result<Options, OptionError> {
    let mut parsed = Options::default();
    for option in options.into_iter().filter(|option| !option.is_empty()) {
        let known = parsed.attribute(option)
            || parsed.propagate(option)
            || parsed.special(option)?
            || parsed.flag(option, bind)?;
        if !known {
            parsed.pass_on(option, bind)?;
        }
    }
    Ok(parsed)
}

impl Options {
    fn attribute(&mut self, option: &str) -> bool {
        let find = |name: &str| ATTRIBUTES.iter().find(|(known, ..)| *known == name);
        if let Some((_, set, clear)) = find(option) {
            apply(&mut self.set, &mut self.clear, *set, *clear);
            return true;
        }
        // "relatime" is an attribute itself, not the recursive form of "elatime".
        let recursive = option.strip_prefix('r').and_then(find);
        if let Some((_, set, clear)) = recursive {
            apply(&mut self.recursive_set, &mut self.recursive_clear, *set, *clear);
            // What was said of the mount alone before no longer counts.
            self.set &= !(set | clear);
            self.clear &= !(set | clear);
        }
        recursive.is_some()
    }

    fn propagate(&mut self, option: &str) -> bool {
        let find =
            |name: &str| PROPAGATIONS.iter().find(|(known, _)| *known == name).map(|(_, value)| *value);
        let found = find(option).map(|value| (value, false));
        let found = found.or_else(|| option.strip_prefix('r').and_then(find).map(|value| (value, true)));
        self.propagation = found.or(self.propagation);
        found.is_some()
    }

    fn special(&mut self, option: &str) -> Result<bool, OptionError> {
        match option {
            "defaults" | "silent" | "loud" | "noiversion" => {}
            "iversion" => return Err(OptionError::OldCallOnly { option: option.to_owned() }),
            "bind" => self.bind = Some(false),
            "rbind" => self.bind = Some(true),
            "tmpcopyup" => self.copy_up = true,
            "copy-symlink" => self.copy_symlink = true,
            "src-nofollow" => self.source_nofollow = true,
            "dest-nofollow" => self.destination_nofollow = true,
            "idmap" => self.idmap = Some(false),
            "ridmap" => self.idmap = Some(true),
            "remount" => self.remount = true,
            _ if option.starts_with("idmap=") || option.starts_with("ridmap=") => {
                return Err(OptionError::InlineMap { option: option.to_owned() });
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Flags of the filesystem: refused for a bind, which has the filesystem of its source.
    fn flag(&mut self, option: &str, bind: bool) -> Result<bool, OptionError> {
        let Some((on, _)) = FLAGS.iter().find(|(on, off)| option == *on || option == *off) else {
            return Ok(false);
        };
        if bind {
            return Err(OptionError::Unknown { option: option.to_owned() });
        }
        self.data.retain(|(key, _)| key != on);
        if option == *on {
            self.data.push((option.to_owned(), None));
        }
        Ok(true)
    }

    fn pass_on(&mut self, option: &str, bind: bool) -> Result<(), OptionError> {
        if bind {
            return Err(OptionError::Unknown { option: option.to_owned() });
        }
        let (key, value) = match option.split_once('=') {
            Some((key, value)) => (key, Some(value.to_owned())),
            None => (option, None),
        };
        self.data.retain(|(known, _)| known != key);
        self.data.push((key.to_owned(), value));
        Ok(())
    }
}

/// Access time modes are one field, so setting one clears the whole field first.
fn apply(all_set: &mut u64, all_clear: &mut u64, set: u64, clear: u64) {
    *all_set = (*all_set & !clear) | set;
    *all_clear = (*all_clear & !set) | (clear & !set);
    if clear == ATIME {
        *all_clear |= ATIME;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(options: &str, wanted: &str) {
        let parsed = parse_options(options.split(','), false).unwrap();
        let Options { set, clear, recursive_set, recursive_clear, .. } = parsed;
        let data: Vec<_> = parsed
            .data
            .iter()
            .map(|(key, value)| format!("{key}={}", value.as_deref().unwrap_or("-")))
            .collect();
        let text = format!(
            "{set:x}/{clear:x} {recursive_set:x}/{recursive_clear:x} {:?} {:?} {}",
            parsed.propagation,
            parsed.bind,
            data.join(" ")
        );
        assert_eq!(text.trim_end(), wanted, "{options}");
    }

    #[test]
    fn options_become_attributes() {
        check("ro,nosuid,nodev,noexec", "f/0 0/0 None None");
        check("ro,rw", "0/1 0/0 None None");
        check("rro,rnosuid", "0/0 3/0 None None");
        check("noatime,relatime", "0/70 0/0 None None");
        check("rnoatime", "0/0 10/70 None None");
        check("ro,rrw", "0/0 0/1 None None");
        check("rro,rw", "0/1 1/0 None None");
        check("noatime,rrelatime", "0/0 0/70 None None");
        check("strictatime", "20/70 0/0 None None");
        check("rrelatime", "0/0 0/70 None None");
        check("rbind,rslave", "0/0 0/0 Some((Slave, true)) Some(true)");
        check("private,shared", "0/0 0/0 Some((Shared, false)) None");
        check("mode=755,size=1k,size=2k,acl", "0/0 0/0 None None mode=755 size=2k acl=-");
        check("sync,async,lazytime", "0/0 0/0 None None lazytime=-");
        check("defaults,nosymfollow", "200000/0 0/0 None None");
    }

    #[test]
    fn all_options_that_are_known_can_be_taken() {
        let all = known_options();
        for option in &all {
            let parsed = parse_options([option.as_str()], false).unwrap();
            let flag = FLAGS.iter().any(|(on, _)| on == option);
            assert_eq!(parsed.data.len(), usize::from(flag), "{option} is handed to the filesystem");
        }
        assert!(all.windows(2).all(|pair| pair[0] < pair[1]), "{all:?}");
        assert!(all.len() > 60 && all.iter().any(|option| option == "rro"));
    }

    #[test]
    fn what_can_not_be_taken_is_named() {
        for (options, bind) in
            [("size=1k", true), ("lazytime", true), ("idmap=uids=0-1-2", false), ("iversion", false)]
        {
            let error = parse_options([options], bind).unwrap_err();
            assert!(error.to_string().contains(options), "{error}");
        }
    }
}
