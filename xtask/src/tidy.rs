//! `tidy`: the invariants of ARCHITECTURE.md as code. Each rule is a function from files to complaints.

use anyhow::{Result, bail};

use crate::circles;
use crate::escapes;
use crate::run::root;
use crate::source::{self, Source};
use crate::traps;

/// The only files with `unsafe` code, and why.
const UNSAFE: [(&str, &str); 13] = [
    ("crates/plan/init/main.rs", "the freestanding init"),
    ("crates/plan/init/arch.rs", "entry and system calls of the init"),
    ("crates/plan/src/launch/clone.rs", "clone3 with a shared address space"),
    ("crates/plan/src/launch/raw.rs", "calls that neither nix nor rustix wraps"),
    ("crates/thread/src/posix.rs", "pthread_create(3)"),
    ("crates/security/src/seccomp/notify/raw.rs", "seccomp(2) and the ioctls of its listener"),
    ("crates/netlink/src/tun.rs", "ioctl of a tun device"),
    ("crates/cgroups/src/devices/bpf.rs", "bpf(2)"),
    ("crates/shim/src/ready.rs", "registering a descriptor with tokio"),
    ("crates/cgroups/tests/counting/mod.rs", "an allocator that counts"),
    ("tests/src/bin/inside.rs", "raw calls of an attacker"),
    ("vmguest/src/port.rs", "writes to the port that ends the machine"),
    ("benches/src/bin/floor.rs", "straight system calls to compare with"),
];

/// Package and what it may depend on within the workspace.
const DIRECTIONS: [(&str, &[&str]); 11] = [
    ("libcontainer-thread", &[]),
    ("libcontainer-plan", &["libcontainer-thread"]),
    ("libcontainer-mount", &["libcontainer-plan", "libcontainer-thread"]),
    ("libcontainer-security", &["libcontainer-plan"]),
    ("libcontainer-netlink", &["libcontainer-thread"]),
    ("libcontainer-cgroups", &[]),
    ("libcontainer-network", &["libcontainer-plan", "libcontainer-netlink"]),
    (
        "libcontainer",
        &[
            "libcontainer-plan",
            "libcontainer-mount",
            "libcontainer-security",
            "libcontainer-cgroups",
            "libcontainer-network",
            "libcontainer-thread",
        ],
    ),
    ("libcontainer-oci", &["libcontainer"]),
    ("nsinit", &["libcontainer", "libcontainer-oci"]),
    ("containerd-shim-nsinit", &["libcontainer", "libcontainer-oci", "libcontainer-thread"]),
];

const FILE_LINES: usize = 400;
const FUNCTION_LINES: usize = 60;

/// `tidy`, or `tidy --circles`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let files = source::files()?;
    if args.first().is_some_and(|arg| arg == "--circles") {
        circles::shown(&source::roots()?, &files).iter().for_each(|circle| println!("{circle}"));
        return Ok(());
    }
    let mut complaints = Vec::new();
    for file in &files {
        complaints.extend(whitespace(file));
        complaints.extend(words(file));
        if file.is_rust() {
            complaints.extend(rust(file));
        }
        if file.path.ends_with(".md") {
            complaints.extend(links(file, &|path| root().join(path).exists()));
        }
    }
    complaints.extend(listed_for_nothing(&files));
    complaints.extend(directions(&source::dependencies()?));
    complaints.extend(documented(&source::manifests()?, &files));
    complaints.extend(traps::complaints(&files));
    complaints.extend(escapes::complaints(&files));
    complaints.extend(circles::complaints(&source::roots()?, &files));
    for complaint in &complaints {
        println!("{complaint}");
    }
    if complaints.is_empty() { Ok(()) } else { bail!("{} complaints", complaints.len()) }
}

fn rust(file: &Source) -> Vec<String> {
    let mut all = Vec::new();
    let lines = file.text.lines().count();
    if lines > FILE_LINES {
        all.push(format!("{}: {lines} lines, limit {FILE_LINES}", file.path));
    }
    all.extend(functions(file));
    all.extend(let_chains(file));
    all.extend(names(file));
    all.extend(panics(file));
    all.extend(unsafety(file));
    all.extend(tags(file));
    all.extend(forbids(file));
    all.extend(knowledge(file));
    all
}

fn functions(file: &Source) -> Vec<String> {
    let lines: Vec<_> = file.text.lines().collect();
    let mut all = Vec::new();
    for (start, line) in lines.iter().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        let head = code.split('(').next().unwrap_or_default();
        // A parameter of a function type has a colon before it.
        let words: Vec<_> = head.split_whitespace().take_while(|word| !word.ends_with(':')).collect();
        let is_function = words.contains(&"fn") && !code.starts_with("//");
        // The last one is a line of text.
        if !is_function || [";", "}", "\","].iter().any(|end| code.ends_with(end)) {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let Some(length) = lines.iter().skip(start).position(|line| *line == end) else {
            all.push(format!("{}:{}: a function whose end is not seen", file.path, start + 1));
            continue;
        };
        if length > FUNCTION_LINES {
            all.push(format!(
                "{}:{}: function of {length} lines, limit {FUNCTION_LINES}",
                file.path,
                start + 1
            ));
        }
    }
    all
}

/// The floor of the language: `if let … && …` needs a newer compiler than the workspace's `rust-version`.
fn let_chains(file: &Source) -> Vec<String> {
    let lines: Vec<_> = file.text.lines().map(str::trim_start).collect();
    let opens = |line: &str| {
        let line = line.strip_prefix("} else ").unwrap_or(line);
        ["if let ", "while let "].iter().any(|head| line.starts_with(head))
    };
    let chained = |number: usize, line: &str| {
        let next = lines.get(number + 1).copied().unwrap_or_default();
        line.contains(concat!("&& ", "let "))
            || (opens(line) && !line.ends_with('{') && next.starts_with("&& "))
    };
    let found = lines.iter().enumerate().filter(|(number, line)| chained(*number, line));
    found
        .map(|(number, _)| format!("{}:{}: a let chain, which rust-version forbids", file.path, number + 1))
        .collect()
}

/// Crates without a wrapper of a raw call forbid it; the others deny it and allow it in that file.
fn forbids(file: &Source) -> Option<String> {
    let is_root = file.path.ends_with("/src/lib.rs") || file.path.ends_with("/src/main.rs");
    let attribute = concat!("(uns", "afe_code)]");
    let there = ["#![forbid", "#![deny"].iter().any(|kind| file.text.contains(&format!("{kind}{attribute}")));
    (is_root && !there).then(|| format!("{}: neither forbids nor denies {attribute}", file.path))
}

/// Nothing below the facade knows containers or their files.
fn knowledge(file: &Source) -> Vec<String> {
    const BELOW: [&str; 6] = ["plan", "mount", "security", "network", "cgroups", "netlink"];
    if !BELOW.iter().any(|name| file.path.starts_with(&format!("crates/{name}/src/"))) {
        return Vec::new();
    }
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    let bad =
        [concat!("state", ".json"), concat!("libcontainer", "::"), concat!("pub struct Cont", "ainer {")];
    let code = file.text.lines().filter(is_code);
    let found = code.flat_map(|line| bad.iter().filter(move |word| line.contains(**word)));
    found.map(|word| format!("{}: {word} is the facade's", file.path)).collect()
}

/// What panics where the kernel or memory fail: docs/dependencies.md.
fn panics(file: &Source) -> Vec<String> {
    const BAD: [&str; 8] = [
        "thread::sleep(",
        "thread::spawn(",
        "thread::scope(",
        "thread::Builder",
        "fs::read_dir(",
        "remove_dir_all(",
        "HashMap::new(",
        "HashSet::new(",
    ];
    let is_test = ["/tests/", "_tests.rs"].iter().any(|part| file.path.contains(part));
    if !file.path.starts_with("crates/") || !file.path.contains("/src/") || is_test {
        return Vec::new();
    }
    let code = file.text.lines().take_while(|line| !line.starts_with("#[cfg(test)]"));
    let found = code.flat_map(|line| BAD.iter().filter(move |word| line.contains(**word)));
    found.map(|word| format!("{}: {word} may panic: docs/dependencies.md", file.path)).collect()
}

fn names(file: &Source) -> Option<String> {
    let name = file.path.rsplit('/').next()?;
    let bad = ["utils.rs", "helpers.rs", "common.rs", "manager.rs", "util.rs", "misc.rs"];
    bad.contains(&name).then(|| format!("{}: a name that says nothing", file.path))
}

/// Whether a line has the keyword in its code.
fn is_unsafe(line: &str) -> bool {
    !line.trim_start().starts_with("//") && line.contains(concat!("uns", "afe "))
}

/// Each file that is listed needs it: the list only gets shorter.
fn listed_for_nothing(files: &[Source]) -> Vec<String> {
    let needed = |path: &str| files.iter().any(|file| file.path == path && file.text.lines().any(is_unsafe));
    let idle = UNSAFE.iter().filter(|(path, _)| !needed(path));
    idle.map(|(path, _)| format!("{path}: has nothing that xtask/src/tidy.rs lists it for")).collect()
}

fn unsafety(file: &Source) -> Vec<String> {
    let keyword = concat!("uns", "afe");
    let allowed = UNSAFE.iter().any(|(path, _)| *path == file.path);
    let lines: Vec<_> = file.text.lines().collect();
    let mut all = Vec::new();
    for (number, line) in lines.iter().enumerate().filter(|(_, line)| is_unsafe(line)) {
        if !allowed {
            all.push(format!(
                "{}:{}: {keyword} outside of the files listed in xtask/src/tidy.rs",
                file.path,
                number + 1
            ));
        }
        let block = line.contains(&format!("{keyword} {{"));
        let near = lines.iter().take(number + 1).skip(number.saturating_sub(8));
        if block && !near.clone().any(|line| line.contains("SAFETY:")) {
            all.push(format!("{}:{}: no SAFETY argument", file.path, number + 1));
        }
    }
    all
}

/// Comment tags are those of CONTRIBUTING.md; notes to self are not for committed code.
fn tags(file: &Source) -> Vec<String> {
    let known = ["SAFETY", "ORDER", "RACE", "KERNEL", "MSRV"];
    let complain = |(number, line): (usize, &str)| {
        let comment = line.trim_start().strip_prefix("//")?.trim_start_matches(['/', '!']).trim_start();
        let word: String = comment.chars().take_while(char::is_ascii_uppercase).collect();
        let rest = comment.get(word.len()..)?;
        let tagged = word.len() > 2 && (rest.starts_with(':') || rest.starts_with('('));
        (tagged && !known.contains(&word.as_str()))
            .then(|| format!("{}:{}: tag {word}", file.path, number + 1))
    };
    file.text.lines().enumerate().filter_map(complain).collect()
}

/// Samples of kernel files are left as the kernel writes them, blanks at the ends of lines included.
fn whitespace(file: &Source) -> Vec<String> {
    let mut all = Vec::new();
    if file.path.contains("/tests/samples/") {
        return all;
    }
    if let Some(number) = file.text.lines().position(|line| line.ends_with([' ', '\t'])) {
        all.push(format!("{}:{}: trailing whitespace", file.path, number + 1));
    }
    if !file.text.is_empty() && !file.text.ends_with('\n') {
        all.push(format!("{}: no newline at the end", file.path));
    }
    all
}

/// Paths of somebody's workplace have no place in the repository.
fn words(file: &Source) -> Vec<String> {
    let bad = [concat!("/wo", "rk/"), concat!("/fa", "rm/"), concat!("/home", "/user/")];
    let complain = |word: &&&str| file.text.contains(**word);
    bad.iter().filter(complain).map(|word| format!("{}: contains {word}", file.path)).collect()
}

fn links(file: &Source, exists: &dyn Fn(&str) -> bool) -> Vec<String> {
    let dir = file.path.rsplit_once('/').map_or("", |(dir, _)| dir);
    let targets = file.text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
    let local = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    let path = |target: &str| {
        format!("{dir}/{}", target.split('#').next().unwrap_or_default()).trim_start_matches('/').to_owned()
    };
    local
        .filter(|target| !exists(&path(target)))
        .map(|target| format!("{}: broken link {target}", file.path))
        .collect()
}

fn directions(packages: &[(String, Vec<String>)]) -> Vec<String> {
    let mut all = Vec::new();
    for (name, dependencies) in packages {
        let Some((_, allowed)) = DIRECTIONS.iter().find(|(known, _)| known == name) else { continue };
        for dependency in
            dependencies.iter().filter(|dependency| DIRECTIONS.iter().any(|(known, _)| known == dependency))
        {
            if !allowed.contains(&dependency.as_str()) {
                all.push(format!("{name} depends on {dependency}: against the direction"));
            }
        }
    }
    all
}

/// Each dependency has its reason in docs/dependencies.md; each package takes version and lints from the workspace.
fn documented(manifests: &[Source], files: &[Source]) -> Vec<String> {
    let reasons =
        files.iter().find(|file| file.path == "docs/dependencies.md").map_or("", |file| file.text.as_str());
    let mut all = Vec::new();
    for manifest in manifests {
        let mut in_dependencies = false;
        for line in manifest.text.lines() {
            if line.starts_with('[') {
                in_dependencies = line.contains("dependencies");
            }
            let name = line.split(['=', '.', ' ']).next().unwrap_or_default();
            let foreign = in_dependencies
                && !line.starts_with('[')
                && !name.is_empty()
                && !name.starts_with("libcontainer");
            if foreign && !reasons.contains(&format!("`{name}`")) {
                all.push(format!("{}: {name} is not in docs/dependencies.md", manifest.path));
            }
        }
        let inherits =
            manifest.text.contains("[workspace]") || manifest.text.contains("rust-version.workspace = true");
        if !inherits || !(manifest.text.contains("[workspace.lints") || manifest.text.contains("[lints]")) {
            all.push(format!("{}: version or lints are not the workspace's", manifest.path));
        }
    }
    all
}

#[cfg(test)]
#[path = "tidy_tests.rs"]
mod tests;
