//! `Config` → `config.json`: what has no place in the specification is named.

mod left;
mod linux;
mod process;
mod tree;

use left::Left;
use libcontainer::{Config, Hook, Problem};

use crate::VERSION;
use crate::spec::{self, Hooks, Linux, Root, Spec};

/// The config as the specification has it, and what of it that has no place for, by pointers into `container.json`.
#[must_use]
pub fn from_config(config: &Config) -> (Spec, Vec<Problem>) {
    let mut left = Left::default();
    let mut linux = Linux::default();
    linux::convert(config, &mut linux, &mut left);
    let mounts = tree::convert(config, &mut linux, &mut left);
    let mut annotations = config.labels.clone();
    for (name, value) in config.cgroups.iter().flat_map(|group| &group.properties) {
        annotations.insert(format!("{}{name}", crate::PROPERTY), value.clone());
    }
    if config.keep_groups {
        annotations.insert(crate::KEEP_GROUPS.to_owned(), "1".to_owned());
    }
    let hooks = hooks(config, &mut left);
    let spec = Spec {
        oci_version: VERSION.to_owned(),
        process: Some(process::convert(config, &mut left)).filter(|process| !process.args.is_empty()),
        root: Some(Root {
            // None is the root of a mount namespace that is shared or joined.
            path: if config.rootfs.as_os_str().is_empty() { "/".into() } else { config.rootfs.clone() },
            readonly: config.mount_config.as_ref().is_some_and(|mounts| mounts.readonly_fs),
        }),
        hostname: config.hostname.clone(),
        domainname: config.domainname.clone(),
        mounts,
        hooks,
        annotations,
        linux: Some(linux),
        ..Spec::default()
    };
    (spec, left.0)
}

fn hooks(config: &Config, left: &mut Left) -> Option<Hooks> {
    let one = |hook: &Hook| spec::Hook {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        timeout: hook.timeout.map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX)),
    };
    // Without an environment a hook of the specification has that of the runtime.
    let mut list = |hooks: &[Hook]| -> Vec<spec::Hook> {
        let other = hooks.iter().any(|hook| hook.inherit_env != hook.env.is_empty());
        left.check(other, "/hooks", "inherit_env: whoever has no env inherits one, and nobody else");
        hooks.iter().map(one).collect()
    };
    let all = &config.hooks;
    let hooks = Hooks {
        prestart: list(&all.prestart),
        create_runtime: list(&all.create_runtime),
        create_container: list(&all.create_container),
        start_container: list(&all.start_container),
        poststart: list(&all.poststart),
        poststop: list(&all.poststop),
    };
    Some(hooks).filter(|_| !all.is_empty())
}
