//! Profiles as Docker and podman write them: OCI's, with parts that hang on the container's capabilities, architecture and kernel.

use std::path::PathBuf;

use nix::errno::Errno;
use serde::Deserialize;

use super::action::Action;
use super::arch::Arch;
use super::profile::{Arg, Flag, Profile, Rule, none_is_empty};
use crate::capability::{CapSet, Capability};

/// A profile for many containers; OCI's form is read, too. What can't be read is an error, as with [`Profile`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct DockerProfile {
    default_action: Action,
    #[serde(default)]
    default_errno_ret: Option<u32>,
    #[serde(default)]
    default_errno: Option<String>,
    #[serde(default, deserialize_with = "none_is_empty")]
    architectures: Vec<Arch>,
    #[serde(default, deserialize_with = "none_is_empty")]
    arch_map: Vec<Family>,
    #[serde(default, deserialize_with = "none_is_empty")]
    flags: Vec<Flag>,
    #[serde(default)]
    listener_path: Option<PathBuf>,
    #[serde(default)]
    listener_metadata: Option<String>,
    #[serde(default, deserialize_with = "none_is_empty")]
    syscalls: Vec<Conditional>,
}

/// An architecture with those that run on it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Family {
    architecture: Arch,
    #[serde(default, deserialize_with = "none_is_empty")]
    sub_architectures: Vec<Arch>,
}

/// A rule that may not be for this container.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Conditional {
    #[serde(default)]
    name: Option<String>,
    #[serde(default, deserialize_with = "none_is_empty")]
    names: Vec<String>,
    action: Action,
    #[serde(default)]
    errno_ret: Option<u32>,
    #[serde(default)]
    errno: Option<String>,
    #[serde(default, deserialize_with = "none_is_empty")]
    args: Vec<Arg>,
    #[serde(default)]
    includes: Option<Circumstances>,
    #[serde(default)]
    excludes: Option<Circumstances>,
}

#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Circumstances {
    #[serde(default, deserialize_with = "none_is_empty")]
    caps: Vec<String>,
    #[serde(default, deserialize_with = "none_is_empty")]
    arches: Vec<String>,
    #[serde(default)]
    min_kernel: Option<String>,
}

/// Version and patch level of a kernel: `(6, 1)`.
pub type Kernel = (u32, u32);

/// What a profile in Docker's form can't be for any container.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("seccomp{pointer}: {reason}")]
pub struct ResolveError {
    /// A JSON pointer below the profile.
    pub pointer: String,
    /// What is wrong there.
    pub reason: String,
}

fn wrong<T>(pointer: impl Into<String>, reason: impl Into<String>) -> Result<T, ResolveError> {
    Err(ResolveError { pointer: pointer.into(), reason: reason.into() })
}

impl DockerProfile {
    /// The profile for a container with these capabilities in its bounding set, on this architecture and kernel.
    ///
    /// # Errors
    /// [`ResolveError`] for both `architectures` and `archMap`, both `name` and `names` or neither, and unknown names of capabilities, of
    /// errors, or versions.
    pub fn resolve(&self, caps: &CapSet, arch: Arch, kernel: Kernel) -> Result<Profile, ResolveError> {
        if !self.architectures.is_empty() && !self.arch_map.is_empty() {
            return wrong("/archMap", "architectures are given, too: one of both");
        }
        let family = self.arch_map.iter().filter(|family| family.architecture == arch);
        let mapped = family.flat_map(|family| {
            [family.architecture].into_iter().chain(family.sub_architectures.iter().copied())
        });
        let mut syscalls = Vec::new();
        for (index, rule) in self.syscalls.iter().enumerate() {
            let at = format!("/syscalls/{index}");
            if rule.applies(&at, caps, arch, kernel)? {
                syscalls.push(rule.plain(&at)?);
            }
        }
        Ok(Profile {
            default_action: self.default_action,
            default_errno_ret: errno("/defaultErrno", self.default_errno.as_deref(), self.default_errno_ret)?,
            architectures: self.architectures.iter().copied().chain(mapped).collect(),
            flags: self.flags.clone(),
            listener_path: self.listener_path.clone(),
            listener_metadata: self.listener_metadata.clone(),
            syscalls,
        })
    }
}

impl Conditional {
    fn plain(&self, at: &str) -> Result<Rule, ResolveError> {
        let names = match (&self.name, self.names.as_slice()) {
            (Some(_), [_, ..]) => return wrong(format!("{at}/name"), "names are given, too: one of both"),
            (Some(name), []) => vec![name.clone()],
            (None, []) => return wrong(at, "neither name nor names"),
            (None, names) => names.to_vec(),
        };
        let errno_ret = errno(&format!("{at}/errno"), self.errno.as_deref(), self.errno_ret)?;
        Ok(Rule { names, action: self.action, errno_ret, args: self.args.clone() })
    }

    /// Whether all that it includes is so, and nothing that it excludes.
    fn applies(&self, at: &str, caps: &CapSet, arch: Arch, kernel: Kernel) -> Result<bool, ResolveError> {
        if let Some(wanted) = &self.includes {
            let at = format!("{at}/includes");
            let all = held(&at, &wanted.caps, caps)?.iter().all(|held| *held);
            if !all || !wanted.lists(arch).unwrap_or(true) || !wanted.is_reached(&at, kernel)?.unwrap_or(true)
            {
                return Ok(false);
            }
        }
        if let Some(bad) = &self.excludes {
            let at = format!("{at}/excludes");
            let any = held(&at, &bad.caps, caps)?.contains(&true);
            if any || bad.lists(arch).unwrap_or(false) || bad.is_reached(&at, kernel)?.unwrap_or(false) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Circumstances {
    /// Whether the architecture is listed, if any is.
    fn lists(&self, arch: Arch) -> Option<bool> {
        (!self.arches.is_empty()).then(|| self.arches.iter().any(|name| name == arch.go_name()))
    }

    /// Whether the kernel is as new as is said, if it is.
    fn is_reached(&self, at: &str, kernel: Kernel) -> Result<Option<bool>, ResolveError> {
        let Some(text) = &self.min_kernel else { return Ok(None) };
        let parts =
            text.split_once('.').and_then(|(major, minor)| Some((major.parse().ok()?, minor.parse().ok()?)));
        match parts {
            Some(least) => Ok(Some(kernel >= least)),
            None => wrong(format!("{at}/minKernel"), format!("{text:?}: no version such as 4.8")),
        }
    }
}

fn held(at: &str, names: &[String], caps: &CapSet) -> Result<Vec<bool>, ResolveError> {
    let one = |name: &String| match name.parse::<Capability>() {
        Ok(capability) => Ok(caps.contains(capability)),
        Err(error) => wrong(format!("{at}/caps"), error.to_string()),
    };
    names.iter().map(one).collect()
}

/// podman names errors, and its names count more than the number beside them.
fn errno(at: &str, name: Option<&str>, number: Option<u32>) -> Result<Option<u32>, ResolveError> {
    let Some(name) = name.filter(|name| !name.is_empty()) else { return Ok(number) };
    let known = (1..=MOST_ERRNO).find(|number| format!("{:?}", Errno::from_raw(*number)) == name);
    match known.and_then(|number| u32::try_from(number).ok()) {
        Some(number) => Ok(Some(number)),
        None => wrong(at, format!("{name:?}: no error of this system")),
    }
}

/// No architecture has larger ones.
const MOST_ERRNO: i32 = 1200;
