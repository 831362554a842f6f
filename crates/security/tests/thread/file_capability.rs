//! Capabilities of real files.

use std::fs::File;
use std::path::PathBuf;
use std::process::Command;

use libcontainer_security::{CapSet, FileCapabilities};

use super::able;

fn file(name: &str) -> (PathBuf, File) {
    let path = std::env::temp_dir().join(format!("{name}-{}", std::process::id()));
    let file = File::options().read(true).write(true).create(true).truncate(true).open(&path).unwrap();
    (path, file)
}

#[test]
fn set_read_and_taken_away() {
    if !able("set_read_and_taken_away") {
        return;
    }
    let (path, file) = file("file-capability");
    assert_eq!(FileCapabilities::of(&file), Ok(None));
    let permitted = CapSet::from_names(["NET_RAW", "BPF"]).unwrap();
    let inheritable = CapSet::from_names(["CHOWN"]).unwrap();
    for root in [None, Some(100_000)] {
        let wanted = FileCapabilities { permitted, inheritable, effective: true, root };
        wanted.set(&file).unwrap();
        assert_eq!(FileCapabilities::of(&file), Ok(Some(wanted)));
        if let Ok(output) = Command::new("/usr/sbin/getcap").args(["-n"]).arg(&path).output() {
            let text = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(text.contains("cap_net_raw") && text.contains("cap_bpf"), "{text}");
            assert_eq!(text.contains("[rootid=100000]"), root.is_some(), "{text}");
        }
    }
    FileCapabilities::remove(&file).unwrap();
    FileCapabilities::remove(&file).unwrap();
    assert_eq!(FileCapabilities::of(&file), Ok(None));
    std::fs::remove_file(path).unwrap();
}

#[test]
fn what_fails_says_so() {
    let proc = File::open("/proc/self/status").unwrap();
    let error = FileCapabilities::default().set(&proc).unwrap_err();
    assert!(error.errno().is_some());
    assert!(error.to_string().starts_with("fsetxattr(security.capability, {=p =i}): E"), "{error}");
    let (path, _) = file("file-capability-path");
    let flags = nix::fcntl::OFlag::O_PATH;
    let named = nix::fcntl::open(&path, flags, nix::sys::stat::Mode::empty()).unwrap();
    assert_eq!(FileCapabilities::of(&named).unwrap_err().errno(), Some(libc::EBADF));
    std::fs::remove_file(path).unwrap();
}
