//! Labels of SELinux, as the kernel writes them, and the profile of AppArmor.

use libcontainer_mount::MountConfig;
use libcontainer_security::apparmor::Transition;
use libcontainer_security::selinux::{Context, Relabel, SelinuxError, Standing, check};

use super::profile;
use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};
use crate::setup::{LabelSetup, MountItem, MountSetup};

/// The labels that a config asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Labels {
    pub(super) process: Option<Context>,
    pub(super) mount: Option<Context>,
    pub(super) apparmor: Option<Transition>,
}

impl Labels {
    /// As they stand in the config, without a look at the host.
    pub(crate) fn to_show(config: &Config) -> Self {
        // What is no context is a problem of the config, told before.
        let mount = config.mount_config.as_ref().and_then(|mounts| mounts.mount_label.parse().ok());
        Self {
            process: config.process_label.parse().ok(),
            mount,
            apparmor: config.apparmor_profile.parse().ok(),
        }
    }

    /// That of a process alone, for a join: see [`Labels::of`].
    pub(crate) fn of_process(config: &Config) -> Result<Self> {
        let Self { process, apparmor, .. } = Self::to_show(config);
        // The config of a join comes from a record: what is asked for there and not understood must not become nothing.
        refuse_lost(&config.process_label, process.is_some(), "/process_label")?;
        refuse_lost(&config.apparmor_profile, apparmor.is_some(), "/apparmor_profile")?;
        Ok(Self {
            process: process.map(|label| known("/process_label", label)).transpose()?,
            mount: None,
            apparmor: apparmor.map(|wanted| profile::known(config, wanted)).transpose()?.flatten(),
        })
    }

    /// As the loaded policy has them: a name may be another one's alias, and the read-back is told the other one.
    pub(crate) fn of(config: &Config) -> Result<Self> {
        let process = Self::of_process(config)?;
        let mount = Self::to_show(config).mount;
        let mount = mount.map(|label| known("/mount_config/mount_label", label)).transpose()?;
        let all = Self { mount, ..process };
        if let (Some(mounts), Some(label)) = (&config.mount_config, &all.mount) {
            for (index, (source, relabel)) in relabels(mounts, label) {
                let pointer = format!("/mount_config/mounts/{index}/relabel");
                relabel.check(&source).map_err(|error| refused(&pointer, &error))?;
            }
        }
        Ok(all)
    }

    /// What the init labels.
    pub(super) fn setup(&self, config: &Config) -> Option<LabelSetup> {
        let keyring = !config.no_new_keyring;
        self.process.clone().map(|process| LabelSetup { process, keyring })
    }

    /// What the host labels: what is bound, and nothing that has come into its place since it was looked at.
    pub(super) fn relabels(
        &self,
        config: &Config,
        setup: Option<&MountSetup>,
    ) -> Vec<(std::path::PathBuf, Relabel)> {
        let items = setup.map_or(&[][..], |setup| &setup.items);
        let seen = |source: &std::path::Path, nofollow: bool| {
            items.iter().find_map(|item| match item {
                MountItem::Bind { bind, .. } if bind.source == source && bind.source_nofollow == nofollow => {
                    bind.seen
                }
                _ => None,
            })
        };
        match (&config.mount_config, &self.mount) {
            (Some(mounts), Some(label)) => relabels(mounts, label)
                .map(|(_, (source, relabel))| {
                    let seen = seen(&source, relabel.nofollow);
                    (source, Relabel { seen, ..relabel })
                })
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn refuse_lost(text: &str, understood: bool, pointer: &str) -> Result<()> {
    if text.is_empty() || understood {
        return Ok(());
    }
    Err(Error::new(ErrorKind::InvalidConfig, format!("{pointer}: {text:?}: not understood")))
}

/// The policy is asked only if there is one.
fn known(pointer: &str, label: Context) -> Result<Context> {
    let asked = Standing::current().and_then(Standing::require).and_then(|()| check(&label));
    match asked {
        Ok(asked) => Ok(asked.unwrap_or(label)),
        Err(error @ SelinuxError::Off(_)) => Err(refused(&format!("{pointer}: {label}"), &error)),
        Err(error) => Err(refused(pointer, &error)),
    }
}

fn refused(pointer: &str, error: &SelinuxError) -> Error {
    let kind = match error {
        SelinuxError::Off(_) => ErrorKind::Unsupported,
        SelinuxError::Invalid { .. } | SelinuxError::Protected { .. } => ErrorKind::InvalidConfig,
        other => match other.errno() {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            _ => ErrorKind::Os,
        },
    };
    Error::new(kind, format!("{pointer}: {error}"))
}

/// Binds that are relabelled, with their place in the list.
fn relabels<'a>(
    mounts: &'a MountConfig,
    label: &'a Context,
) -> impl Iterator<Item = (usize, (std::path::PathBuf, Relabel))> + 'a {
    mounts.mounts.iter().enumerate().filter_map(|(index, mount)| {
        let relabel = Relabel::of(&mount.relabel, label.clone())?;
        let says = |name: &str| mount.options.iter().any(|option| option == name);
        // What is only a copy of a link has no label on the host.
        if says("copy-symlink") && mount.source.is_symlink() {
            return None;
        }
        let relabel = Relabel { mounts: !says("bind"), nofollow: says("src-nofollow"), ..relabel };
        Some((index, (mount.source.clone(), relabel)))
    })
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "in a test a panic is a failure")]
mod tests {
    use super::*;

    #[test]
    fn a_label_that_is_not_understood_is_not_left_out() {
        assert_eq!(Labels::of_process(&Config::default()).unwrap(), Labels::default());
        for (label, profile) in [("no context", ""), ("", "no/../name\n")] {
            let config = Config {
                process_label: label.to_owned(),
                apparmor_profile: profile.to_owned(),
                ..Config::default()
            };
            let error = Labels::of_process(&config).unwrap_err().to_string();
            assert!(error.contains("not understood"), "{error}");
        }
    }
}
