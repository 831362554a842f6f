//! Programs that tasks need, from the packages of Debian and its kin.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use crate::run::{check, find};

/// A program, the package that has it, and what for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Tool {
    pub(crate) program: &'static str,
    pub(crate) package: &'static str,
    pub(crate) purpose: &'static str,
}

/// For lists of tools.
pub(crate) const fn tool(program: &'static str, package: &'static str, purpose: &'static str) -> Tool {
    Tool { program, package, purpose }
}

/// One file with everything. Linked to libraries it could not run in a root directory of its own.
pub(crate) const BUSYBOX: Tool = tool("busybox", "busybox-static", "is the program inside test containers");
pub(crate) const PROTOC: Tool =
    tool("protoc", "protobuf-compiler", "is needed to build the client of the CRI");

/// Whether this process may do everything.
pub(crate) fn is_root() -> Result<bool> {
    // The directory belongs to the effective user.
    Ok(std::fs::metadata("/proc/self").context("stat /proc/self")?.uid() == 0)
}

/// Those that are not there.
pub(crate) fn missing(tools: &[Tool]) -> Result<Vec<Tool>> {
    let mut all = Vec::new();
    for tool in tools {
        let fits = match find(tool.program) {
            Some(path) if tool.package == BUSYBOX.package => is_static(&path)?,
            found => found.is_some(),
        };
        all.extend((!fits).then_some(*tool));
    }
    Ok(all)
}

/// Whether a program names no dynamic linker.
fn is_static(program: &Path) -> Result<bool> {
    let bytes = std::fs::read(program).with_context(|| program.display().to_string())?;
    let has = |word: &[u8]| bytes.windows(word.len()).any(|part| part == word);
    Ok(!has(b"/ld-linux") && !has(b"/ld-musl"))
}

/// As root where there is `apt-get`, installs what is missing; elsewhere names it. What is still missing then.
pub(crate) fn install(tools: &[Tool]) -> Result<Vec<Tool>> {
    let wanted = named(tools)?;
    if wanted.is_empty() || !can_install()? {
        return Ok(wanted);
    }
    let packages: Vec<_> = wanted.iter().map(|tool| tool.package).collect();
    println!("installing {}", packages.join(" "));
    check(&mut apt(&["update"]))?;
    check(apt(&INSTALL).args(packages))?;
    missing(tools)
}

/// The same for what can be done without: each by itself, and one that can't be had is no error.
pub(crate) fn install_where_possible(tools: &[Tool]) -> Result<()> {
    let wanted = named(tools)?;
    if wanted.is_empty() || !can_install()? {
        return Ok(());
    }
    if let Err(error) = check(&mut apt(&["update"])) {
        println!("{error:#}");
    }
    for tool in wanted {
        let installed = check(apt(&INSTALL).arg(tool.package));
        match installed.and_then(|()| missing(&[tool])) {
            Ok(left) if left.is_empty() => println!("installed {}", tool.package),
            Ok(_) => println!("left out: {}: not in its package", tool.program),
            Err(error) => println!("left out: {}: {error:#}", tool.program),
        }
    }
    Ok(())
}

/// What is missing, said on standard output.
fn named(tools: &[Tool]) -> Result<Vec<Tool>> {
    let wanted = missing(tools)?;
    for Tool { program, package, purpose } in &wanted {
        println!("missing: {program} (package {package}): {purpose}");
    }
    Ok(wanted)
}

fn can_install() -> Result<bool> {
    Ok(is_root()? && find("apt-get").is_some())
}

const INSTALL: [&str; 3] = ["-y", "--no-install-recommends", "install"];

fn apt(args: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.arg("-qq").args(args).env("DEBIAN_FRONTEND", "noninteractive");
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_linker_is_not_static() {
        // cargo and this test are linked to the system's libraries.
        assert!(!is_static(&std::env::current_exe().unwrap()).unwrap());
        let text = std::env::temp_dir().join(format!("xtask-static-{}", std::process::id()));
        std::fs::write(&text, "no linker").unwrap();
        let found = is_static(&text);
        std::fs::remove_file(&text).unwrap();
        assert!(found.unwrap());
        assert!(is_static(Path::new("/no/such/program")).is_err());
    }

    #[test]
    fn missing_tools_are_named() {
        let tools = [tool("cargo", "cargo", ""), tool("no-such-program", "none", "")];
        let names: Vec<_> = missing(&tools).unwrap().iter().map(|tool| tool.program).collect();
        assert_eq!(names, ["no-such-program"]);
    }
}
