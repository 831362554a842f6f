//! Development tasks: `cargo xtask test | tidy | ci | bench | faults | escapes | miri | golden | errors | criu | order | syscalls`.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a command line talks to its user")]

mod bench;
mod ci;
mod circles;
mod clients;
mod criu;
mod digest;
mod dist;
mod escapes;
mod faults;
mod miri;
mod order;
mod profiles;
mod run;
mod source;
mod syscalls;
mod test;
mod tidy;
mod tools;
mod traps;
mod vm;

use std::process::ExitCode;

const USAGE: &str = "cargo xtask COMMAND

  test [FILTER]   set up what the tests need, run them all, count skips
  test --vm [FILTER | --all] [--few] [--kernel 6.1|newest|5.10|all] [--cg v2|v1|hybrid|systemd] [--keep]
                  run them in machines with stock kernels, under QEMU; --script IMAGE runs the program `run` of a disk in their place
  test --clients [podman] [buildah] [containerd] [docker] [--runtime nsinit,crun,runc]
                  real clients of runtimes, with each of these; docs/clients.md
  tidy [--circles]
                  check the invariants of ARCHITECTURE.md; or only show all circles of imports
  ci              fmt, clippy, docs, tidy, each crate alone, test, bench --short, faults, test --vm --few;
                  ends with what failed
  bench [COUNT]   measure starts, side by side with crun and runc
  bench --short   see that this works, on what the tests were run with
  bench memory    peak memory only
  bench templates [COUNT]
                  templates and containers that stand by only
  bench cgroups   measure reading control groups, side by side with libcgroups and cgroups-rs
  bench netlink [ROUNDS]
                  links, addresses, routes and long lists, side by side with rtnetlink and ip
  bench seccomp   compiling filters of system calls and what they cost, side by side with libseccomp
  faults [--all | --sites]
                  make each system call of nsinit, its children and a library program fail, or each place in the code that makes one; --help tells how to choose
  escapes [TRIAL…]
                  take each defence out and see that the tests of tests/escapes/ which stand for it fail
  dist [--out DIR] [--check]
                  release build, man pages, completions, an archive and a Debian package; or build twice and compare, and install it
  install [--prefix DIR]
                  the same files, below /usr/local or DIR
  miri [PACKAGE…] the tests of pure code in Miri, which needs a nightly compiler and takes its time; what is left out is told
  golden          write the golden files of explain anew and show what changed
  errors          write docs/error-messages.md anew: what nsinit, crun and runc say of mistakes
  criu            fetch a criu that knows this kernel into target/criu, for the tests of checkpoints
  order           write anew in which order nsinit's functions are linked (crates/nsinit/order.txt), by what its commands call
  syscalls        write the table of system call numbers anew, from Debian's newest kernel headers";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = args.split_first().map_or(("", &[][..]), |(first, rest)| (first.as_str(), rest));
    let result = match command {
        "test" if rest.iter().any(|arg| arg == "--vm") => vm::run(rest),
        "test" if rest.iter().any(|arg| arg == "--clients") => clients::run(rest),
        "test" => {
            profiles::fetch();
            criu::fetch();
            test::run(rest)
        }
        "tidy" => tidy::run(rest),
        "ci" => ci::run(),
        "ci-steps" => ci::steps_in_turn(),
        "bench" => bench::run(rest),
        "faults" => faults::run(rest),
        "escapes" => escapes::run(rest),
        "dist" => dist::run(rest),
        "install" => dist::install(rest),
        "miri" => miri::run(rest),
        "golden" => test::golden(),
        "errors" => test::errors(),
        "criu" => criu::run(),
        "order" => order::run(),
        "syscalls" => syscalls::run(),
        _ => {
            eprintln!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("xtask {command}: {error:#}");
            ExitCode::FAILURE
        }
    }
}
