//! Runs the example that builds a rootfs.
#![forbid(unsafe_code)]
#![allow(clippy::unwrap_used, reason = "a test ends by panicking")]

#[path = "../examples/build_rootfs.rs"]
#[allow(dead_code, reason = "main is for the example")]
mod example;

use std::fs::{self, File};
use std::io::{Read, Write};

fn skip(reason: &str) {
    let _ = std::io::stderr().write_all(format!("SKIP: build_rootfs: {reason}\n").as_bytes());
}

#[test]
fn a_program_sees_what_was_built() {
    if !nix::unistd::geteuid().is_root() {
        return skip("needs root");
    }
    let dir = std::env::temp_dir().join(format!("lct-build-rootfs-{}", std::process::id()));
    fs::create_dir(&dir).unwrap();
    let before = fs::read("/proc/self/mountinfo").unwrap();
    let script = "echo /*; echo $$; echo x > /dev/null && touch /tmp/x && echo writable; \
                  touch /usr/x 2>/dev/null || echo read-only; \
                  echo 0 2>/dev/null > /proc/sys/kernel/sysrq || echo protected; \
                  while read -r a b c d at rest; do echo $at; done < /proc/self/mountinfo";
    let program: Vec<Vec<u8>> = ["/bin/sh", "-c", script].map(|text| text.as_bytes().to_vec()).into();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let null = || File::open("/dev/null").unwrap().into();
    let ended = example::run(&dir, &program, [null(), writer, null()]).unwrap();
    let mut text = String::new();
    File::from(reader).read_to_string(&mut text).unwrap();
    assert!(ended.contains("Exited") && ended.ends_with(", 0)"), "{ended}: {text}");
    let (head, mounts) = text.split_once("protected\n").unwrap_or_else(|| unreachable!("{text}"));
    assert_eq!(head, "/bin /dev /lib /lib64 /proc /tmp /usr\n1\nwritable\nread-only\n");
    let mounts: Vec<_> = mounts.lines().collect();
    let there = |path: &&&str| path.starts_with("/proc") && fs::exists(path).unwrap_or(false);
    let masked = libcontainer_mount::DEFAULT_MASKED_PATHS.iter().filter(there).copied();
    for wanted in ["/", "/usr", "/proc", "/tmp", "/dev", "/proc/sys"].into_iter().chain(masked) {
        assert!(mounts.contains(&wanted), "{wanted}: {mounts:?}");
    }
    assert_eq!(fs::read("/proc/self/mountinfo").unwrap(), before, "nothing travelled to the host");
    fs::remove_dir_all(&dir).unwrap();
}
