//! Alternative names of links.
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::OsStrExt;

use super::fields::ifinfomsg;
use crate::message::Message;
use crate::message::sealed::Encode;
use crate::name;
use crate::{Error, Index, Result, Verb};

/// `RTM_NEWLINKPROP`, `RTM_DELLINKPROP`.
const RTM_LINKPROP: (u16, u16) = (108, 109);
/// `IFLA_PROP_LIST`, `IFLA_ALT_IFNAME`.
const PROP_LIST: u16 = 52;
const ALT_IFNAME: u16 = 53;
/// Longest alternative name (`ALTIFNAMSIZ` less the NUL).
const LONGEST_ALT: usize = 127;

/// Alternative names of a link, up to 127 bytes each, to be added or deleted.
#[derive(Debug, Clone, Copy)]
pub struct AltNames<'a> {
    index: Index,
    names: &'a [&'a OsStr],
}

impl<'a> AltNames<'a> {
    /// These names of a link.
    #[must_use]
    pub const fn new(index: Index, names: &'a [&'a OsStr]) -> Self {
        Self { index, names }
    }
}

impl Encode for AltNames<'_> {
    fn encode(&self, verb: Verb, message: &mut Message) -> Result<()> {
        let (new, delete) = RTM_LINKPROP;
        let fixed = ifinfomsg(0, self.index, 0, 0);
        let mut writer = message.start(verb.pick(new, delete), verb.flags(), &fixed);
        if self.names.is_empty() {
            return Err(Error::invalid("alternative name", "none given"));
        }
        writer.nest_flagged(PROP_LIST, |list| {
            for name in self.names {
                check_alt(name.as_bytes())?;
                list.text(ALT_IFNAME, name.as_bytes())?;
            }
            Ok(())
        })
    }
}

pub(super) fn check_alt(name: &[u8]) -> Result<()> {
    name::check(name, "alternative name")?;
    if name.len() > LONGEST_ALT {
        let problem = format!("{} bytes long, at most {LONGEST_ALT} are allowed", name.len());
        return Err(Error::invalid("alternative name", problem));
    }
    Ok(())
}

impl fmt::Display for AltNames<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "alternative names {:?} of {}", self.names, self.index)
    }
}
