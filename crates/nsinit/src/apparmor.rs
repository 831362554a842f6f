//! apparmor: profiles that the kernel has, and the default one.

use libcontainer::security::apparmor::{AppArmorError, DefaultProfile, loaded, remove, replace};

use crate::arguments::Apparmor;
use crate::failure::{Failure, Named, Outcome};
use crate::output::{bytes, table};

#[inline(never)]
pub(crate) fn run(command: Apparmor) -> Outcome {
    match command {
        Apparmor::List => list(),
        Apparmor::Show { name } => bytes(text_of(&name)?.as_bytes()).map(|()| 0),
        Apparmor::Load { default: Some(name), .. } => done(replace(&text_of(&name)?)),
        Apparmor::Load { file, .. } => {
            let file = file.unwrap_or_default();
            let text = std::fs::read_to_string(&file).named(format!("read {}", file.display()))?;
            done(replace(&text))
        }
        Apparmor::Remove { name } => done(name.parse().and_then(|name| remove(&name))),
    }
}

fn list() -> Outcome {
    let all = loaded().map_err(told)?;
    let lines: Vec<_> = all.into_iter().map(|one| vec![one.name, one.mode]).collect();
    table(&lines)?;
    Ok(0)
}

fn text_of(name: &str) -> Result<String, Failure> {
    let profile = name.parse().and_then(|name| DefaultProfile::new(&name)).map_err(told)?;
    Ok(profile.text())
}

fn done(result: Result<(), AppArmorError>) -> Outcome {
    result.map(|()| 0).map_err(told)
}

#[allow(clippy::needless_pass_by_value, reason = "for map_err")]
fn told(error: AppArmorError) -> Failure {
    Failure::new(error.to_string())
}
