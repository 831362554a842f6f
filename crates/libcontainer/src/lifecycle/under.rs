//! The look at the profile of a program that has taken the place of its init.

use std::io;

use libcontainer_plan::{HostStep, Pid};
use libcontainer_security::ProcessDir;
use libcontainer_security::apparmor::{Label, Transition, current};

/// A step that looks, for a start at the end of which the program runs; none without a profile to look for.
pub(super) fn step(wanted: Option<&Transition>) -> Option<HostStep> {
    let wanted = wanted.filter(|wanted| !wanted.name().is_unconfined())?.clone();
    let text = format!("read back the AppArmor profile {wanted} of the program");
    Some(HostStep::new(text, "", move |context| look(context.pid()?, &wanted).map(|()| None)))
}

/// Looks at a process whose number is its own until it is reaped.
pub(super) fn look(pid: Pid, wanted: &Transition) -> io::Result<()> {
    if wanted.name().is_unconfined() {
        return Ok(());
    }
    let name = "attr/apparmor/current";
    let bytes = ProcessDir::open(pid)?.read(name)?;
    let none = || io::Error::other(format!("/proc/{pid}/{name}: {} is no label", bytes.escape_ascii()));
    let found = Label::from_bytes(&bytes).ok_or_else(none)?;
    let own = current().map_err(io::Error::other)?;
    if is_under(&found, wanted, &own) {
        return Ok(());
    }
    Err(io::Error::other(format!(
        "read back the AppArmor profile of the program: wanted {wanted}, found {found}"
    )))
}

/// RACE: a program may have gone on to another profile already, as far as that one allows it. So only that of before exec says that exec has not
/// entered it.
fn is_under(found: &Label, wanted: &Transition, own: &Label) -> bool {
    let name = wanted.name().as_str();
    let below =
        |one: &str| one.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with("//"));
    found.names().any(below) || !(found.is_unconfined() || found == own)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_before_exec_says_that_it_failed() {
        let label = |text: &str| Label::from_bytes(text.as_bytes()).unwrap();
        for (found, own, wanted, good) in [
            ("a (enforce)", "unconfined", "a", true),
            ("a//hat (enforce)", "unconfined", "a", true),
            ("a//&b (enforce)", "b (enforce)", "&a", true),
            ("other (enforce)", "unconfined", "a", true),
            ("a (enforce)", "a (enforce)", "a", true),
            ("unconfined", "unconfined", "a", false),
            ("unconfined", "b (enforce)", "a", false),
            ("b (enforce)", "b (enforce)", "a", false),
            ("ab (enforce)", "ab (enforce)", "a", false),
        ] {
            let seen = is_under(&label(found), &wanted.parse().unwrap(), &label(own));
            assert_eq!(seen, good, "{found} {own} {wanted}");
        }
    }
}
