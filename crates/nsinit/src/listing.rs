//! list and state.

use libcontainer::{Container, Factory, RunState};
use serde_json::{Value, json};

use crate::lifecycle::load;
use crate::output::say;
use crate::root::State;
use crate::{ListArgs, Outcome};

pub(crate) fn state(root: &State, id: &str) -> Outcome {
    let container = load(root, id)?;
    say!("{}", serde_json::to_string_pretty(&describe(&container)?)?);
    Ok(0)
}

fn describe(container: &Container) -> libcontainer::Result<Value> {
    let (state, pid) = container.look()?;
    let status = match state {
        RunState::Running => "running",
        RunState::Created => "created",
        RunState::Creating => "creating",
        RunState::Paused => "paused",
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
    let mut all = Vec::new();
    let entries = match root.dir().read_dir() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        entries => entries?.collect::<Result<Vec<_>, _>>()?,
    };
    let factory = Factory::new()?;
    for entry in entries {
        let id = entry.file_name().to_string_lossy().into_owned();
        if !entry.path().is_dir() || id.ends_with(".tree") {
            continue;
        }
        // One damaged entry must not hide the others.
        let described = factory.load(entry.path()).and_then(|container| describe(&container));
        all.push(described.unwrap_or_else(
            |error| json!({"id": id, "status": "broken", "pid": 0, "error": error.to_string()}),
        ));
    }
    all.sort_by_key(|item| item["id"].to_string());
    print(&all, args)
}

fn print(all: &[Value], args: &ListArgs) -> Outcome {
    let text = |item: &Value, key: &str| match &item[key] {
        Value::String(text) => text.clone(),
        Value::Null => "-".to_owned(),
        other => other.to_string(),
    };
    if args.format == "json" {
        say!("{}", serde_json::to_string_pretty(all)?);
    } else if args.quiet {
        all.iter().for_each(|item| say!("{}", text(item, "id")));
    } else {
        let keys = ["id", "pid", "status", "created", "rootfs"];
        let width =
            |key: &str| all.iter().map(|item| text(item, key).len()).max().unwrap_or(0).max(key.len());
        let widths = keys.map(width);
        let row = |cells: [String; 5]| {
            let padded = cells.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}"));
            say!("{}", padded.collect::<Vec<_>>().join("  ").trim_end());
        };
        row(keys.map(str::to_uppercase));
        all.iter().for_each(|item| row(keys.map(|key| text(item, key))));
    }
    Ok(0)
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
