//! Builds the freestanding init with the same `rustc`, for the same target, and leaves it where `include_bytes!` finds it.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo by printing")]

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;

const SOURCES: [&str; 10] = [
    "init/main.rs",
    "init/arch.rs",
    "src/wire.rs",
    "src/order.rs",
    "src/interpret/mod.rs",
    "src/interpret/part.rs",
    "src/interpret/numbers.rs",
    "src/interpret/open.rs",
    "src/interpret/process.rs",
    "src/interpret/walk.rs",
];
const LIMIT: u64 = 32 * 1024;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

fn main() -> Result<()> {
    for source in SOURCES {
        println!("cargo::rerun-if-changed={source}");
    }
    let out = PathBuf::from(variable("OUT_DIR")?).join("init");
    let mut failures = Vec::new();
    for linker in linkers() {
        match build(&linker, &out) {
            Ok(()) => return check_size(&out),
            Err(text) => failures.push(text),
        }
    }
    Err(format!("no linker could build the init:\n{}", failures.join("\n")).into())
}

/// The linkers to try, in order: the one cargo was told to use, the one the toolchain brings, the system's compiler.
fn linkers() -> Vec<Vec<OsString>> {
    let flags = |linker: OsString, flavor: &str, args: &[&str]| {
        let mut all = vec!["-C".into(), format!("linker-flavor={flavor}").into(), "-C".into()];
        let mut name = OsString::from("linker=");
        name.push(linker);
        all.push(name);
        all.extend(args.iter().flat_map(|arg| ["-C".into(), format!("link-arg={arg}").into()]));
        all
    };
    let direct = ["-static", "-nostdlib", "--build-id=none", "--gc-sections"];
    let through_cc =
        ["-static", "-nostdlib", "-nostartfiles", "-no-pie", "-Wl,--build-id=none,--gc-sections"];
    let mut all = Vec::new();
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        all.push(flags(linker, "gcc", &through_cc));
    }
    all.push(flags("rust-lld".into(), "ld.lld", &direct));
    all.push(flags("cc".into(), "gcc", &through_cc));
    all
}

fn build(linker: &[OsString], out: &Path) -> std::result::Result<(), String> {
    let mut command = Command::new(variable("RUSTC").map_err(|error| error.to_string())?);
    command
        .args(["--edition=2024", "--crate-type=bin", "--crate-name=init", "--target"])
        .arg(variable("TARGET").map_err(|error| error.to_string())?);
    for option in [
        "opt-level=s",
        "panic=abort",
        "overflow-checks=off",
        "debug-assertions=off",
        "debuginfo=0",
        "strip=symbols",
        "lto=fat",
        "codegen-units=1",
        "relocation-model=static",
        "target-feature=+crt-static",
        "force-frame-pointers=no",
        "force-unwind-tables=no",
    ] {
        command.args(["-C", option]);
    }
    // With musl the toolchain brings files that begin a program of C.
    if env::var_os("CARGO_CFG_TARGET_ENV").is_some_and(|env| env == "musl") {
        command.args(["-C", "link-self-contained=no"]);
    }
    command.args(linker).arg("-o").arg(out).arg("init/main.rs");
    let result = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if result.status.success() {
        return Ok(());
    }
    Err(format!("{command:?}: {}\n{}", result.status, String::from_utf8_lossy(&result.stderr)))
}

fn check_size(out: &Path) -> Result<()> {
    let size = out.metadata()?.len();
    if size <= LIMIT { Ok(()) } else { Err(format!("the init has {size} bytes, more than {LIMIT}").into()) }
}

fn variable(name: &str) -> Result<OsString> {
    env::var_os(name).ok_or_else(|| format!("cargo did not set {name}").into())
}
