//! `validate`: everything that is wrong with a config, at once.

use std::path::Path;

use libcontainer::{Config, Facts, Mode, Problem};
use libcontainer_oci::spec::Spec;
use serde_json::{Value, json};

use crate::arguments::ValidateArgs;
use crate::bundle::{self, Form};
use crate::failure::{Failure, Named, Outcome};
use crate::output::say;
use crate::root::State;

/// More than anybody reads.
const MOST: usize = 200;

/// What was found.
#[derive(Debug, Default)]
struct Found {
    problems: Vec<Problem>,
    warnings: Vec<Problem>,
}

#[inline(never)]
pub(crate) fn run(root: &State, args: &ValidateArgs) -> Outcome {
    let (file, form) = bundle::file_of(&args.file.path)?;
    let text = bundle::bytes(&file)?;
    let mut found = match form {
        Form::Oci => oci(root, &file, &text)?,
        Form::Own => own(&text),
    };
    if args.file.strict {
        found.problems.append(&mut found.warnings);
    }
    let printed = print(&file, &found, args.format == "json");
    // A config that is wrong is so for a reader too that has seen enough.
    if found.problems.is_empty() { printed.map(|()| 0) } else { Ok(1) }
}

fn print(file: &Path, found: &Found, as_json: bool) -> Result<(), Failure> {
    let lists = [("error", &found.problems), ("warning", &found.warnings)];
    let mut all = lists.iter().flat_map(|(level, list)| list.iter().map(move |one| (*level, one)));
    if as_json {
        let all: Vec<_> = all
            .map(|(level, one)| {
                json!({"level": level, "pointer": one.pointer, "message": one.message, "remedy": one.remedy})
            })
            .collect();
        return say!("{}", serde_json::to_string_pretty(&all).named("the problems as JSON")?);
    }
    all.try_for_each(|(level, one)| {
        // Of the text as a whole there is no pointer.
        let shown = one.to_string();
        say!("{}: {level}: {}", file.display(), shown.strip_prefix(": ").unwrap_or(&shown))
    })
}

fn oci(root: &State, file: &Path, text: &[u8]) -> Result<Found, Failure> {
    let mut found = Found::default();
    let read = |value: &Value| {
        let text = serde_json::to_vec(value).map_err(|error| whole(&error))?;
        Spec::from_json(&text).map_err(|error| Problem {
            pointer: error.pointer,
            message: error.message,
            remedy: None,
        })
    };
    let Some(spec) = mended(text, &mut found.problems, read) else { return Ok(found) };
    let dir = file.parent().unwrap_or(Path::new("/"));
    let options = root.options(dir, "container")?;
    let (converted, problems) = libcontainer_oci::examine(&spec, &options, &facts());
    found.warnings = converted.warnings;
    more(&mut found.problems, problems);
    Ok(found)
}

fn own(text: &[u8]) -> Found {
    let mut found = Found::default();
    let read = |value: &Value| {
        let text = serde_json::to_vec(value).map_err(|error| whole(&error))?;
        Config::from_json_with(&text, Mode::Lenient, "").map_err(|error| match error.config_problems() {
            [first, ..] => first.clone(),
            [] => whole(&error),
        })
    };
    let Some((mut config, unknown)) = mended(text, &mut found.problems, read) else { return found };
    // Beside the file, unless it says otherwise.
    if !config.rootfs.is_absolute() {
        config.rootfs = Path::new("/").join("rootfs").join(&config.rootfs);
    }
    found.warnings = unknown.into_iter().map(Problem::left_out).collect();
    more(&mut found.problems, config.problems(&facts()));
    found
}

fn facts() -> Facts {
    Facts { euid: nix::unistd::geteuid().as_raw() }
}

fn whole(error: &impl ToString) -> Problem {
    Problem { pointer: String::new(), message: error.to_string(), remedy: None }
}

/// Adds those of which nothing was told before: what could not be read is not judged.
fn more(all: &mut Vec<Problem>, new: Vec<Problem>) {
    let read: Vec<_> = all.iter().map(|one| one.pointer.clone()).collect();
    all.extend(
        new.into_iter().filter(|one| !read.iter().any(|known| one.pointer.starts_with(known.as_str()))),
    );
}

/// Reads a text, with each value that can't be read told, and another one put in its place.
fn mended<T>(
    text: &[u8],
    problems: &mut Vec<Problem>,
    read: impl Fn(&Value) -> Result<T, Problem>,
) -> Option<T> {
    let mut value: Value = match serde_json::from_slice(text) {
        Ok(value) => value,
        Err(error) => {
            problems.push(whole(&error));
            return None;
        }
    };
    while problems.len() < MOST {
        match read(&value) {
            Ok(read) => return Some(read),
            Err(problem) => {
                let at = problem.pointer.clone();
                problems.push(problem);
                if !mend(&mut value, &at, &read) {
                    return None;
                }
            }
        }
    }
    None
}

/// Puts something in a value's place with which the text is read farther; in that of what holds it, if nothing does.
fn mend<T>(value: &mut Value, at: &str, read: impl Fn(&Value) -> Result<T, Problem>) -> bool {
    let mut places = std::iter::successors(Some(at), |at| at.rsplit_once('/').map(|(parent, _)| parent));
    places.any(|at| !at.is_empty() && mend_at(value, at, &read))
}

fn mend_at<T>(value: &mut Value, at: &str, read: impl Fn(&Value) -> Result<T, Problem>) -> bool {
    [json!(null), json!(""), json!(0), json!(false), json!([]), json!({})].into_iter().any(|other| {
        let Some(place) = value.pointer_mut(at) else { return false };
        *place = other;
        read(value).map_or_else(|problem| !problem.pointer.starts_with(at), |_| true)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_can_not_be_read_is_told_all_at_once() {
        let text = br#"{"rootfs": 5, "namespaces": {"NEWNS": {}}, "hostname": [], "umask": "x", "rlimits": [{"type": 1}], "restrict_sys": 1, "odd": 1}"#;
        let found = own(text);
        let pointers: Vec<_> = found.problems.iter().map(|one| one.pointer.as_str()).collect();
        for wanted in ["/rootfs", "/hostname", "/umask", "/rlimits/0", "/restrict_sys"] {
            assert!(pointers.contains(&wanted), "{wanted}: {:?}", found.problems);
        }
        assert_eq!(found.warnings[0].pointer, "/odd");
        assert_eq!(own(b"{").problems.len(), 1);
    }
}
