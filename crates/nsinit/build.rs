//! Links the command line statically where the system has what that takes.
//!
//! A static program starts in half the time, as there is no dynamic linker at work, needs a third less memory, and can be copied to any machine.
//! `target-feature=+crt-static` would do it too, but only from outside of the package, and it reaches procedural macros,
//! which can't be static. So the names under which rustc asks for the shared C libraries are given another meaning
//! here: each is a linker script that names the archive.
//!
//! What is used together is linked together: the kernel maps a program's text by 64 KiB around each page that is touched, and one command touches little pieces of all of it. `order.txt` says
//! what comes first, and `cargo xtask order` writes it. What it names and the program does not have is passed over, so that a list that has aged costs memory and nothing else.

#![allow(clippy::print_stdout, reason = "a build script talks to cargo by printing")]

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The library as rustc names it, and the archives that take its place.
const LIBRARIES: [(&str, &[&str]); 7] = [
    ("gcc_s", &["libgcc_eh.a", "libgcc.a", "libc.a"]),
    ("c", &["libc.a", "libgcc_eh.a", "libgcc.a"]),
    ("m", &["libm.a"]),
    ("util", &["libutil.a"]),
    ("rt", &["librt.a"]),
    ("pthread", &["libpthread.a"]),
    ("dl", &["libdl.a"]),
];
/// The section of what is used often; a name that all linkers take for text.
const OFTEN: &str = ".text.often";
/// The version of the GNU C library whose static programs move themselves by packed relocations: here 2 KB instead of 130.
const PACKED: u32 = 36;
/// The start file of a static program that may be loaded anywhere.
const START: &str = "rcrt1.o";

fn main() -> std::io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed=order.txt");
    println!("cargo::rerun-if-env-changed=NSINIT_DYNAMIC");
    println!("cargo::rerun-if-env-changed=CARGO_ENCODED_RUSTFLAGS");
    let Some(out) = env::var_os("OUT_DIR").map(PathBuf::from) else { return Ok(()) };
    let wanted = env::var_os("NSINIT_DYNAMIC").is_none() && is("CARGO_CFG_TARGET_OS", "linux");
    if wanted && is("CARGO_CFG_TARGET_ENV", "gnu") && !already_static() && has_all() {
        for (name, archives) in LIBRARIES {
            let files: Vec<_> = archives.iter().map(|archive| format!("-l:{archive}")).collect();
            fs::write(out.join(format!("lib{name}.so")), format!("GROUP ( {} )\n", files.join(" ")))?;
        }
        println!("cargo::rustc-link-arg-bins=-L{}", out.display());
        println!("cargo::rustc-link-arg-bins=-static-pie");
        if minor_version().is_some_and(|minor| minor >= PACKED) {
            println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
        }
        if is("PROFILE", "release") && takes_scripts() {
            let script = out.join("order.ld");
            fs::write(&script, ordered(include_str!("order.txt")))?;
            println!("cargo::rustc-link-arg-bins=-Wl,-T,{}", script.display());
        }
    }
    Ok(())
}

/// A linker script that puts sections, or members of archives, in this order before the rest of the text.
fn ordered(order: &str) -> String {
    let input = |line: &str| match line.starts_with(".text") {
        true => format!("*({line})\n"),
        false => format!("*{line}(.text .text.*)\n"),
    };
    let inputs: String = order.lines().map(input).collect();
    format!("SECTIONS\n{{\n{OFTEN} :\n{{\n{inputs}}}\n}}\nINSERT BEFORE .text;\n")
}

/// Those of GNU and LLVM do.
fn takes_scripts() -> bool {
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    !["mold", "wild", "gold"].iter().any(|linker| flags.contains(linker))
}

/// The version of the GNU C library is 2 and this.
fn minor_version() -> Option<u32> {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let arguments = ["-E", "-dM", "-include", "features.h", "-x", "c", "/dev/null"];
    let output = Command::new(linker).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    text.lines().find_map(|line| line.strip_prefix("#define __GLIBC_MINOR__ "))?.trim().parse().ok()
}

// What can't be read here, or no compiler to be asked, means: linked as rustc does it by itself, which always works.

fn is(name: &str, value: &str) -> bool {
    env::var(name).is_ok_and(|found| found == value)
}

fn already_static() -> bool {
    env::var("CARGO_CFG_TARGET_FEATURE").is_ok_and(|all| all.split(',').any(|one| one == "crt-static"))
}

/// Whether the compiler that links finds the start file and all archives.
fn has_all() -> bool {
    let archives = LIBRARIES.iter().flat_map(|(_, archives)| archives.iter().copied());
    archives.chain([START]).all(found)
}

fn found(file: &str) -> bool {
    let linker = env::var_os("RUSTC_LINKER").unwrap_or_else(|| "cc".into());
    let output = Command::new(linker).arg(format!("-print-file-name={file}")).output();
    // A compiler that does not find the file prints its bare name.
    output.is_ok_and(|output| Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_absolute())
}
