//! Filters by the system's libseccomp, made as runc makes them.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use libcontainer_security::seccomp::{Arch, Arg, Instruction, Operator, Profile};

use super::reference;

/// The program that asks the library.
pub(crate) struct Library {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Drop for Library {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Library {
    /// Builds and starts it; the reason to skip where there is no compiler or no library. Anything else fails the test.
    pub(crate) fn start() -> Result<Self, String> {
        let program = build()?;
        let started = Command::new(&program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut child = started.unwrap_or_else(|error| panic!("{}: execve: {error}", program.display()));
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut library = Self { child, input, output };
        let answer = library.ask("init 0x7fff0000\narch 0xc000003e\nexport\n");
        std::fs::remove_file(&program)
            .unwrap_or_else(|error| panic!("{}: unlink: {error}", program.display()));
        match answer {
            Some((0, bytes)) if !bytes.is_empty() => Ok(library),
            Some((status, bytes)) => panic!("libseccomp: a filter of {} bytes, status {status}", bytes.len()),
            None => Err(library.absence()),
        }
    }

    /// What a program that ended without an answer says: only that there is no library is a reason to skip.
    fn absence(&mut self) -> String {
        let status = self.child.wait().unwrap();
        assert_eq!(status.code(), Some(NO_LIBRARY), "the program that asks libseccomp: {status}");
        "libseccomp.so.2 is not installed".to_owned()
    }

    /// The program for a profile; the number of an error.
    pub(crate) fn filter(
        &mut self,
        profile: &Profile,
        archs: &[Arch],
        tree: bool,
    ) -> Result<Vec<Instruction>, i32> {
        let mut text = format!("init {:#x}\n", profile.default_outcome().code());
        for arch in archs {
            // x32 has a token of the library's own.
            let token = if *arch == Arch::X32 { 0x4000_003e } else { arch.token() };
            let _ = writeln!(text, "arch {token:#x}");
        }
        text.push_str(if tree { "tree\n" } else { "" });
        rules(&mut text, profile);
        text.push_str("export\n");
        let (status, bytes) = self.ask(&text).expect("libseccomp answers");
        if status != 0 {
            return Err(status);
        }
        let swapped = archs[0].is_big_endian() != cfg!(target_endian = "big");
        Ok(bytes.chunks_exact(8).map(|bytes| instruction(bytes.try_into().unwrap(), swapped)).collect())
    }

    fn ask(&mut self, text: &str) -> Option<(i32, Vec<u8>)> {
        self.input.write_all(text.as_bytes()).ok()?;
        let mut line = String::new();
        self.output.read_line(&mut line).ok()?;
        let (status, length) = line.trim().split_once(' ')?;
        let mut bytes = vec![0; length.parse().ok()?];
        self.output.read_exact(&mut bytes).ok()?;
        Some((status.parse().ok()?, bytes))
    }
}

/// Status of `oracle.c` where the library can't be found.
const NO_LIBRARY: i32 = 2;

/// The program, under a name that no other start has: tests are threads of one process, and each removes its own.
fn build() -> Result<PathBuf, String> {
    static STARTS: AtomicU32 = AtomicU32::new(0);
    let name = format!("oracle-{}-{}", std::process::id(), STARTS.fetch_add(1, Ordering::Relaxed));
    let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
    let source = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/seccomp/oracle.c");
    let built = Command::new("cc").args(["-O1", "-w", "-o"]).arg(&program).arg(&source).arg("-ldl").status();
    match built {
        Err(error) if error.kind() == ErrorKind::NotFound => return Err("there is no cc".to_owned()),
        Err(error) => panic!("cc: execve: {error}"),
        Ok(status) => assert!(status.success(), "cc {}: {status}", source.display()),
    }
    Ok(program)
}

fn instruction(bytes: [u8; 8], swapped: bool) -> Instruction {
    let Instruction { code, jt, jf, k } = Instruction::from_bytes(bytes);
    if swapped {
        Instruction { code: code.swap_bytes(), jt, jf, k: k.swap_bytes() }
    } else {
        Instruction { code, jt, jf, k }
    }
}

/// As runc adds them: none with the default's action, and conditions on one argument one by one.
fn rules(text: &mut String, profile: &Profile) {
    for rule in profile.syscalls.iter().filter(|rule| rule.outcome() != profile.default_outcome()) {
        let twice = reference::twice(rule);
        let whole = [rule.args.as_slice()];
        let single: Vec<_> = rule.args.chunks(1).collect();
        for name in &rule.names {
            for args in if twice { &single[..] } else { &whole[..] } {
                let _ = write!(text, "rule {:#x} {name}", rule.outcome().code());
                args.iter().for_each(|arg| condition(text, arg));
                text.push('\n');
            }
        }
    }
}

fn condition(text: &mut String, arg: &Arg) {
    let op = match arg.op {
        Operator::Ne => 1,
        Operator::Lt => 2,
        Operator::Le => 3,
        Operator::Eq => 4,
        Operator::Ge => 5,
        Operator::Gt => 6,
        Operator::MaskedEq => 7,
    };
    let _ = write!(text, " {} {op} {:#x} {:#x}", arg.index, arg.value, arg.value_two);
}
