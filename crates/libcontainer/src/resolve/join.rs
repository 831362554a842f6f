//! From a config to the setup of a further process.

use super::Known;
use super::accounts::Accounts;
use super::labels::Labels;
use super::process::process as program;
use crate::config::Config;
use crate::error::Result;
use crate::process::ProcessConfig;
use crate::setup::JoinSetup;

/// The setup of a process that joins a running container.
pub(crate) fn join(
    config: &Config,
    process: &ProcessConfig,
    accounts: &Accounts,
    namespaces: u32,
    (known, labels): (Known<'_>, &Labels),
) -> Result<JoinSetup> {
    let mut process = program(config, process, accounts, known, true)?;
    process.attributes.affinity = config.cpu_affinity.r#final.clone();
    let affinity = config.cpu_affinity.initial.clone();
    let keyring = (!config.no_new_keyring).then(|| "_ses.join".to_owned());
    let dumpable = !known.probe.is_root() && config.oom_score_adj.is_some();
    let (label, apparmor) = (labels.setup(config), labels.apparmor.clone());
    Ok(JoinSetup {
        namespaces,
        setgroups_denied: known.setgroups_denied,
        dumpable,
        changes_root: config.has_others_mounts(),
        keyring,
        label,
        apparmor,
        cgroup: None,
        affinity,
        process,
    })
}
