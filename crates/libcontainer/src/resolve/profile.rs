//! The profile of AppArmor that a config asks for.

use libcontainer_security::apparmor::{AppArmorError, Standing, Transition, check, current};

use crate::config::Config;
use crate::error::{Error, ErrorKind, Result};

/// How the program gets under it; `None` if nothing is to be done for that, as without AppArmor for `unconfined`.
pub(super) fn known(config: &Config, wanted: Transition) -> Result<Option<Transition>> {
    possible(config, wanted).map_err(|error| refused(&config.apparmor_profile, &error))
}

fn possible(config: &Config, wanted: Transition) -> std::result::Result<Option<Transition>, AppArmorError> {
    let standing = Standing::current()?;
    let wanted = match wanted {
        // With no_new_privs nobody leaves a profile, but another one may be added to it.
        Transition::Exec(name)
            if config.no_new_privileges && standing == Standing::On && !current()?.is_unconfined() =>
        {
            Transition::Stack(name)
        }
        wanted => wanted,
    };
    check(&wanted)?;
    Ok((standing == Standing::On).then_some(wanted))
}

fn refused(name: &str, error: &AppArmorError) -> Error {
    let kind = match error {
        AppArmorError::Off(_) => ErrorKind::Unsupported,
        AppArmorError::NotLoaded { .. } | AppArmorError::Name { .. } => ErrorKind::InvalidConfig,
        AppArmorError::Refused { .. } => ErrorKind::PermissionDenied,
        other => match other.errno() {
            Some(libc::EPERM | libc::EACCES) => ErrorKind::PermissionDenied,
            _ => ErrorKind::Os,
        },
    };
    // The others name it themselves.
    let name = if matches!(error, AppArmorError::Off(_)) { format!("{name:?}: ") } else { String::new() };
    Error::new(kind, format!("/apparmor_profile: {name}{error}"))
}
