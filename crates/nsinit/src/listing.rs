//! list and state.

use std::fs::File;
use std::path::Path;

use libcontainer::plan::names;
use libcontainer::{Container, ErrorKind, Factory, RunState};
use serde_json::{Value, json};

use crate::arguments::ListArgs;
use crate::failure::{Failure, Named, Outcome, shown};
use crate::lifecycle::load;
use crate::output::{say, table};
use crate::root::State;
use crate::trial;

pub(crate) fn state(root: &State, id: &str) -> Outcome {
    let container = load(root, id)?;
    say!("{:#}", describe(&container)?)?;
    Ok(0)
}

fn describe(container: &Container) -> libcontainer::Result<Value> {
    let (state, pid) = container.look()?;
    let status = match state {
        RunState::Running => "running",
        RunState::Created => "created",
        RunState::Creating => "creating",
        RunState::Paused => "paused",
        RunState::Pausing => "pausing",
        RunState::Warm => "warm",
        _ => "stopped",
    };
    let pid = pid.map_or(0, libcontainer::Pid::as_raw);
    Ok(json!({
        "id": container.id(),
        "status": status,
        "pid": pid,
        "rootfs": container.config().rootfs,
        "path": container.path(),
        "created": time(container.created()),
    }))
}

/// RFC 3339, in UTC: days since 1970 by the civil calendar.
fn time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_index = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_index + 2) / 5 + 1;
    let month = if month_index < 10 { month_index + 3 } else { month_index - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z", rest / 3600, rest / 60 % 60, rest % 60)
}

pub(crate) fn list(root: &State, args: &ListArgs) -> Outcome {
    let called = |call: &str| format!("state directory {}: {call}", root.dir().display());
    let names = match File::open(root.dir()).and_then(names) {
        // No container was ever made.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        names => names.named(called("read"))?,
    };
    let factory = Factory::new()?;
    let mut all: Vec<_> = names.iter().filter_map(|name| item(&factory, &root.dir().join(name))).collect();
    all.sort_by_key(|item| item["id"].to_string());
    print(&all, args)?;
    // A damaged record is a fact, and is listed as one. What could not be found out is not.
    let unknown = all.iter().find(|item| item["status"] == UNKNOWN);
    match unknown.and_then(|item| Some((item["id"].as_str()?, item["error"].as_str()?))) {
        Some((id, error)) => Err(Failure::new(format!("container {id:?} could not be looked at: {error}"))),
        None => Ok(0),
    }
}

const UNKNOWN: &str = "unknown";

/// What is shown of an entry; nothing of a file. One damaged entry must not hide the others.
fn item(factory: &Factory, path: &Path) -> Option<Value> {
    let id = path.file_name()?.to_string_lossy().into_owned();
    let failed =
        |status: &str, error: String| Some(json!({"id": id, "status": status, "pid": 0, "error": error}));
    match path.symlink_metadata() {
        // It is gone since it was listed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) => return failed(UNKNOWN, format!("{}: {}", path.display(), shown(&error))),
        Ok(kind) if !kind.is_dir() => return None,
        Ok(_) => {}
    }
    match trial::owner_of(path) {
        Err(failure) => return failed(UNKNOWN, failure.to_string()),
        // It is shown by its container; one that was killed earlier has none.
        Ok(Some(container)) => return abandoned(&container),
        Ok(None) => {}
    }
    let described = factory.load(path).and_then(|container| describe(&container));
    match described {
        Ok(item) => Some(item),
        Err(error) if error.kind() == ErrorKind::Corrupt => failed("broken", error.to_string()),
        // Another process has destroyed it meanwhile.
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => failed(UNKNOWN, error.to_string()),
    }
}

fn abandoned(container: &Path) -> Option<Value> {
    let id = container.file_name()?.to_string_lossy();
    let told = |error: String| Some(json!({"id": id, "status": "broken", "pid": 0, "error": error}));
    match container.try_exists() {
        Ok(true) => None,
        Ok(false) => told("a trial that was killed before it had a container".to_owned()),
        Err(error) => told(format!("{}: {}", container.display(), shown(&error))),
    }
}

fn print(all: &[Value], args: &ListArgs) -> Result<(), Failure> {
    let text = |item: &Value, key: &str| match &item[key] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    if args.format == "json" {
        return say!("{:#}", json!(all));
    }
    if args.quiet {
        return all.iter().try_for_each(|item| say!("{}", text(item, "id")));
    }
    let keys = ["id", "pid", "status", "created", "rootfs"];
    let mut lines = vec![keys.map(str::to_uppercase).to_vec()];
    lines.extend(all.iter().map(|item| keys.map(|key| text(item, key)).to_vec()));
    table(&lines)
}

#[cfg(test)]
mod tests {
    #[test]
    fn times_are_civil() {
        for (seconds, wanted) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ] {
            assert_eq!(super::time(seconds), wanted);
        }
    }
}
