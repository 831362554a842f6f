//! All rules together.

use super::problems::{Facts, Problems};
use crate::config::container::Config;
use crate::config::namespace_kind::NamespaceKind;
use crate::error::Problem;

impl Config {
    /// Everything that is wrong with the config, each with a JSON pointer; nothing if it is fit to be compiled.
    #[must_use]
    pub fn problems(&self, facts: &Facts) -> Vec<Problem> {
        let mut all = Problems::default();
        self.rootfs_problems(&mut all);
        self.namespace_problems(facts, &mut all);
        self.mapping_problems(&mut all);
        self.name_problems(&mut all);
        self.mount_problems(&mut all);
        self.mapped_mount_problems(facts, &mut all);
        self.changed_root_problems(&mut all);
        self.process_problems(&mut all);
        self.capability_problems(&mut all);
        self.label_problems(&mut all);
        self.attribute_problems(&mut all);
        self.sysctl_problems(&mut all);
        self.network_problems(facts, &mut all);
        self.hook_problems(&mut all);
        self.resctrl_problems(facts, &mut all);
        all.0
    }

    /// What is wrong with that which a process may say instead of the config.
    pub(crate) fn override_problems(&self) -> Vec<Problem> {
        let mut all = Problems::default();
        self.process_problems(&mut all);
        self.capability_problems(&mut all);
        self.label_problems(&mut all);
        self.attribute_problems(&mut all);
        all.0
    }

    fn network_problems(&self, facts: &Facts, all: &mut Problems) {
        let plan = match libcontainer_network::Plan::new(&self.networks, &self.routes) {
            Ok(plan) => plan,
            Err(found) => {
                return found.into_iter().for_each(|problem| all.add(problem.pointer, problem.message));
            }
        };
        let joins = self.networks.iter().filter(|network| network.kind == "netns").count();
        let own = self.namespaces.contains(NamespaceKind::Network);
        if joins > 1 || (joins == 1 && own) {
            all.add(
                "/networks",
                "a container has one network namespace: NEWNET, or one network of type netns",
            );
        }
        if joins == 0 && !own && !(self.networks.is_empty() && self.routes.is_empty()) {
            all.hint("/networks", "would change the host's network", "add NEWNET");
        }
        if facts.euid != 0 && plan.needs_root() {
            let remedy =
                "an ordinary user can have loopback, pasta, or join a namespace that was set up for it";
            all.hint("/networks", "needs root: it changes links of the host", remedy);
        }
        if plan.has_pasta() && (facts.euid == 0 || !self.namespaces.is_new(NamespaceKind::User)) {
            let remedy = "as root use veth";
            all.hint("/networks", "pasta: only without root, and with a user namespace", remedy);
        }
    }
}
