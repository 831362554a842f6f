//! `hooks`.

use libcontainer::{Config, Hook, Hooks};

use super::found::Found;
use crate::spec::{self, Spec};

pub(super) fn convert(spec: &Spec, config: &mut Config, found: &mut Found) {
    let Some(hooks) = &spec.hooks else { return };
    let mut list = |key: &str, hooks: &[spec::Hook]| -> Vec<Hook> {
        let hooks = hooks.iter().enumerate();
        hooks.map(|(index, hook)| one(hook, &format!("/hooks/{key}/{index}"), found)).collect()
    };
    config.hooks = Hooks {
        prestart: list("prestart", &hooks.prestart),
        create_runtime: list("createRuntime", &hooks.create_runtime),
        create_container: list("createContainer", &hooks.create_container),
        start_container: list("startContainer", &hooks.start_container),
        poststart: list("poststart", &hooks.poststart),
        poststop: list("poststop", &hooks.poststop),
    };
}

fn one(hook: &spec::Hook, at: &str, found: &mut Found) -> Hook {
    let timeout = hook.timeout.map(u64::try_from);
    if !matches!(timeout, None | Some(Ok(1..))) {
        found.problem(&format!("{at}/timeout"), "seconds, at least 1");
    }
    Hook {
        path: hook.path.clone(),
        args: hook.args.clone(),
        env: hook.env.clone(),
        // As with runc and crun; hooks of the field look for programs in PATH.
        inherit_env: hook.env.is_empty(),
        timeout: timeout.and_then(Result::ok),
    }
}
