//! criu's log: what it says of its failure.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// How much of its end is read.
const END: u64 = 1024 * 1024;
/// How many errors are told: the first is the cause, what follows comes of it.
const MOST: usize = 4;
/// Said wherever root lacks CAP_SYS_RESOURCE, and of no consequence.
const HARMLESS: [&str; 2] = ["rlimit: Can't setup RLIMIT_NOFILE", "Unexpected EOF on (empty-image)"];

/// The errors in a log, joined, and where it is.
pub(crate) fn errors(path: &Path) -> String {
    let place = path.display();
    match end_of(path) {
        Ok(text) => match errors_in(&text).join("; ") {
            none if none.is_empty() => format!("{place} has no error"),
            errors => format!("{place}: {errors}"),
        },
        Err(error) if error.kind() == io::ErrorKind::NotFound => format!("it wrote no log ({place})"),
        Err(error) => format!("its log can't be read: {place}: {error}"),
    }
}

fn end_of(path: &Path) -> io::Result<String> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(END)))?;
    let mut bytes = Vec::new();
    file.take(END).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// Each without its time.
fn errors_in(text: &str) -> Vec<String> {
    let lines = text.lines().filter(|line| line.contains("Error ("));
    let lines = lines.filter(|line| !HARMLESS.iter().any(|harmless| line.contains(harmless)));
    let error =
        |line: &str| line.find("Error (").and_then(|at| line.get(at..)).unwrap_or(line).trim().to_owned();
    lines.map(error).take(MOST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_errors_are_told() {
        let text = "(00.031172) Error (criu/util.c:1533): rlimit: Can't setup RLIMIT_NOFILE for self: Operation not permitted\n\
            (00.043792) Warn  (compel/arch/x86/src/lib/infect.c:418): Will restore 16203\n\
            (00.050000) \t 17: Error (criu/files-reg.c:1816): Can't lookup mount=29 for fd=0 path=/x\n\
            (00.050001) Error (criu/cr-dump.c:2128): Dumping FAILED.\n";
        let errors = errors_in(text);
        assert_eq!(
            errors,
            [
                "Error (criu/files-reg.c:1816): Can't lookup mount=29 for fd=0 path=/x",
                "Error (criu/cr-dump.c:2128): Dumping FAILED."
            ]
        );
        assert_eq!(errors_in(&"Error (x)\n".repeat(9)).len(), MOST);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_log_that_is_not_there_is_said_so() {
        assert_eq!(errors(Path::new("/no/such/dump.log")), "it wrote no log (/no/such/dump.log)");
    }
}
