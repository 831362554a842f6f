//! Plan fragments of Landlock.

use libcontainer_plan::{At, Builder, File, How, Resolve, Rules, Slot};

use crate::landlock::{PathAccess, PathRule, Ruleset};

/// Makes the ruleset: landlock_create_ruleset(2), then for each path openat2(2), landlock_add_rule(2) and close(2), for each port landlock_add_rule(2). Paths are
/// opened from the root of the process as it is at this step, with its rights; one that is missing ends the plan unless its rule says otherwise.
///
/// RACE: a link on the way is followed to where it leads now. Who can change it has been allowed to write there, or is not restricted.
pub fn landlock_rules(plan: &mut Builder, rules: &Ruleset) -> Slot<Rules> {
    let left_out = match rules.left_out.as_slice() {
        [] => String::new(),
        some => format!(", without {}, which this kernel lacks", some.join(", ")),
    };
    plan.purpose(format!("make rules of Landlock{left_out}"));
    let set = plan.landlock_ruleset([rules.files.bits(), rules.network, rules.scopes]);
    for rule in &rules.paths {
        path(plan, set, rule);
    }
    for (port, access) in &rules.ports {
        plan.landlock_add_port(set, *access, *port);
    }
    set
}

fn path(plan: &mut Builder, set: Slot<Rules>, rule: &PathRule) {
    let (missing, done) = (plan.label(), plan.label());
    let how = How { flags: libc::O_PATH, mode: 0, resolve: Resolve::NO_MAGICLINKS };
    let place: Slot<File> = plan.openat2(At::Cwd, &rule.path, how);
    if rule.if_exists {
        plan.on(libc::ENOENT, missing);
    }
    plan.landlock_add_path(set, rule.access.bits(), place);
    let files = rule.access & PathAccess::OF_FILES;
    if files != rule.access && !files.is_empty() {
        // What is no directory takes no rights of directories; the ones that are left are fewer, never more.
        plan.tolerate(libc::EINVAL).on_success(done);
        plan.landlock_add_path(set, files.bits(), place);
    }
    plan.bind(done);
    plan.close(place);
    plan.bind(missing);
}

/// Restricts the process and all that comes from it: landlock_restrict_self(2) and close(2). It needs `no_new_privs`, or `CAP_SYS_ADMIN` in the process's user
/// namespace; behind it the verifier lets no privileged step pass.
pub fn landlock_enforce(plan: &mut Builder, set: Slot<Rules>) {
    plan.purpose("restrict the process by Landlock").landlock_restrict_self(set).close(set);
}
