//! Rules of labels. Whether the host has SELinux and its policy such labels, or AppArmor and such a profile, is seen when a container is made.

use libcontainer_security::apparmor::Transition;
use libcontainer_security::selinux::{Context, is_protected};

use super::problems::Problems;
use crate::config::container::Config;

impl Config {
    pub(super) fn label_problems(&self, all: &mut Problems) {
        context(&self.process_label, "/process_label", all);
        let profile = self.apparmor_profile.as_str();
        if let Err(error) = if profile.is_empty() { Ok(()) } else { profile.parse::<Transition>().map(drop) }
        {
            all.add("/apparmor_profile", error.to_string());
        }
        let Some(config) = &self.mount_config else { return };
        context(&config.mount_label, "/mount_config/mount_label", all);
        for (index, mount) in config.mounts.iter().enumerate() {
            // Without a label nothing is relabelled, as in 2014.
            let relabelled = !mount.relabel.is_empty() && !config.mount_label.is_empty();
            if relabelled && is_protected(&mount.source) {
                let text = format!("{}: the system depends on its labels", mount.source.display());
                let remedy = "mount a directory of the container's own";
                all.hint(format!("/mount_config/mounts/{index}/relabel"), text, remedy);
            }
        }
    }
}

fn context(text: &str, pointer: &str, all: &mut Problems) {
    if let Err(error) = if text.is_empty() { Ok(()) } else { text.parse::<Context>().map(drop) } {
        all.add(pointer, error.to_string());
    }
}
