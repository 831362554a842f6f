//! What strace has written down.

use std::collections::BTreeMap;

/// A call in the log.
pub(crate) struct Call {
    pub(crate) name: String,
    /// What stands between the outermost parentheses.
    pub(crate) arguments: String,
    /// What stands behind the `=`; empty for a call that never returned.
    pub(crate) result: String,
}

/// All calls by the process that made them. One that was interrupted in the log is put together.
pub(crate) fn calls(text: &str) -> BTreeMap<String, Vec<Call>> {
    let mut all = BTreeMap::<String, Vec<Call>>::new();
    let mut begun = BTreeMap::new();
    for line in text.lines() {
        let Some((pid, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        if let Some(start) = rest.strip_suffix(" <unfinished ...>") {
            begun.insert(pid, start);
            continue;
        }
        let resumed = rest.strip_prefix("<... ").and_then(|rest| rest.split_once(" resumed>"));
        let whole = match resumed {
            Some((_, end)) => begun.remove(pid).unwrap_or_default().to_owned() + end,
            None => rest.to_owned(),
        };
        all.entry(pid.to_owned()).or_default().extend(call(&whole));
    }
    all
}

fn call(text: &str) -> Option<Call> {
    let (name, rest) = text.split_once('(')?;
    let known = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let (arguments, result) = rest.rsplit_once(" = ").unwrap_or((rest, ""));
    let arguments = arguments.trim_end().strip_suffix(')').unwrap_or(arguments);
    known.then(|| Call { name: name.to_owned(), arguments: arguments.to_owned(), result: result.to_owned() })
}
