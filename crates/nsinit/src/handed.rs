//! Descriptors that the caller hands on to the program: those of socket activation (sd_listen_fds(3)), and `--preserve-fds`.

use std::env;
use std::os::fd::OwnedFd;

use libcontainer::plan::inherited;

use crate::failure::{Failure, Named};

/// Descriptors from 3 on, and what the environment says of them.
#[derive(Debug, Default)]
pub(crate) struct Handed {
    pub(crate) descriptors: Vec<OwnedFd>,
    pub(crate) environment: Vec<String>,
}

/// The first descriptor behind the standard ones.
const FIRST: u32 = 3;

/// More is a mistake: so many are not opened by accident.
const MOST: u32 = 4096;

impl Handed {
    /// Takes `more` descriptors, behind those of `LISTEN_FDS` if that is meant for this process.
    pub(crate) fn take(more: u32) -> Result<Self, Failure> {
        let listening = listening(|name| env::var(name).ok(), std::process::id())?;
        let all = listening.saturating_add(more);
        if all > MOST {
            return Err(Failure::usage(format!(
                "--preserve-fds {more}: at most {MOST} descriptors with those of LISTEN_FDS"
            )));
        }
        let copy = |number| {
            inherited(number).named(format_args!(
                "descriptor {number} of --preserve-fds {more} and LISTEN_FDS={listening}: fcntl"
            ))
        };
        let descriptors = (FIRST..FIRST + all).map(copy).collect::<Result<_, _>>()?;
        // The program is process 1 of its namespace, or whatever it is where it shares one: runc says 1 too.
        let told = (listening > 0).then(|| [format!("LISTEN_FDS={all}"), "LISTEN_PID=1".to_owned()]);
        Ok(Self { descriptors, environment: told.into_iter().flatten().collect() })
    }
}

/// The number in `LISTEN_FDS`; 0 unless `LISTEN_PID` says that this process is meant.
fn listening(variable: impl Fn(&str) -> Option<String>, own: u32) -> Result<u32, Failure> {
    let Some(text) = variable("LISTEN_FDS") else { return Ok(0) };
    if variable("LISTEN_PID").is_none_or(|pid| pid != own.to_string()) {
        return Ok(0);
    }
    text.parse().map_err(|_| Failure::new(format!("LISTEN_FDS={text}: not a number of descriptors")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_processes_sockets_are_not_ours() {
        let with = |fds: &'static str, pid: &'static str| {
            move |name: &str| {
                Some(if name == "LISTEN_FDS" { fds } else { pid }.to_owned()).filter(|text| !text.is_empty())
            }
        };
        assert_eq!(listening(with("2", "7"), 7).unwrap(), 2);
        assert_eq!(listening(with("2", ""), 7).unwrap(), 0);
        assert_eq!(listening(with("2", "8"), 7).unwrap(), 0);
        assert_eq!(listening(with("", "7"), 7).unwrap(), 0);
        assert!(listening(with("two", "7"), 7).is_err());
    }
}
