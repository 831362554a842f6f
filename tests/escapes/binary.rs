//! The runtime's own program and memory, reachable from inside (class 1).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libcontainer::{Factory, ProcessConfig, Seccomp};
use libcontainer_tests::operator::{Operator, until};
use libcontainer_tests::{copy_program, text};

use crate::{Attack, arm};

/// Joins a container often, while a program inside looks into every process that is no program of the image yet; what that has seen.
fn watched(attack: &Attack, programs: &[&str]) -> Vec<String> {
    // It is the first process: no init stays, which would keep the sealed file busy.
    let watch = ProcessConfig::new(["inside", "watch"]).piped();
    let (container, watcher) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, watch).unwrap();
    for _ in 0..40 {
        for program in programs {
            // One that is a script of the sealed init, run on nonsense, fails or ends at once.
            if let Ok(mut process) = container.start(ProcessConfig::new([*program])) {
                assert_eq!(process.wait().unwrap().success(), *program == "true", "{program}");
            }
        }
    }
    fs::write(attack.rootfs("tmp/stop"), "").unwrap();
    let seen = text(&watcher.output(1 << 24).unwrap());
    container.destroy().unwrap();
    assert!(seen.lines().last().is_some_and(|line| line.starts_with("ok ")), "{seen}");
    seen.lines().filter(|line| !line.starts_with("ok ")).map(str::to_owned).collect()
}

/// A program of the image's that is run by whatever `/proc/self/exe` is.
fn run_by_itself(path: &Path) {
    fs::write(path, "#!/proc/self/exe\n").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// CVE-2019-5736, CVE-2016-9962 with the right to trace, which opens even what is not dumpable: neither the executable nor a directory,
/// a descriptor, the environment or the memory of a joining process leads to the host.
#[test]
fn a_joining_init_holds_nothing_of_the_hosts() {
    let Some(mut attack) = Attack::new("ptrace") else { return };
    attack.arm();
    attack.config.capabilities.push("SYS_PTRACE".into());
    run_by_itself(&attack.rootfs("bin/evil"));
    let seen = watched(&attack, &["true", "evil"]);
    let host = attack.place.path().display().to_string();
    for line in &seen {
        let own =
            ["exe /memfd:libcontainer-init (deleted)", "cwd /", "root /", "fd /dev/null"].contains(&&**line);
        let nameless = ["fd pipe:", "fd socket:", "fd anon_inode:", "fd /memfd:libcontainer-"];
        let memory = line.starts_with("environ ") || line.starts_with("maps ");
        let known = own || nameless.iter().any(|start| line.starts_with(start));
        assert!(known || (memory && !line.contains(&host) && !line.contains("cgroup")), "{line}");
    }
    assert!(seen.iter().any(|line| line.contains("libcontainer-init")), "it did see one");
}

/// LXC CVE-2016-8649: a joining process that holds a procfs which is not the container's own, or any other directory of the host's.
#[test]
fn a_joining_init_holds_no_directory() {
    let Some(mut attack) = Attack::new("procfs-fd") else { return };
    attack.arm();
    attack.config.capabilities.push("SYS_PTRACE".into());
    for line in watched(&attack, &["true"]) {
        assert!(!line.starts_with("directory "), "{line}");
    }
}

/// CVE-2016-9962: a process that joins can't be looked into, not even by root of the container.
#[test]
fn a_joining_init_can_not_be_looked_into() {
    let Some(mut attack) = Attack::new("dumpable") else { return };
    attack.arm();
    assert_eq!(watched(&attack, &["true"]), [""; 0], "of a process that was no program yet");
}

/// bubblewrap CVE-2016-8659, CVE-2026-41163: a process inside that may trace takes the socket by which a joining init talks to the host, and
/// says other things. The start ends with an error or goes on as planned; the host is neither held up nor misled.
#[test]
fn an_init_that_says_nonsense_is_ended() {
    let Some(mut attack) = Attack::new("tamper") else { return };
    attack.arm();
    attack.config.capabilities.push("SYS_PTRACE".into());
    let container = attack.create();
    let tamperer = container.start(ProcessConfig::new(["inside", "tamper"]).piped()).unwrap();
    let mut told = Vec::new();
    for _ in 0..3000 {
        if told.len() == 5 {
            break;
        }
        match container
            .start(ProcessConfig::new(["sh", "-c", "grep ^CapEff /proc/self/status; exit 7"]).piped())
        {
            Ok(process) => {
                let output = process.output(1 << 10).unwrap();
                // Whatever was said meanwhile, it is confined.
                assert_eq!(
                    (output.status.code(), text(&output).as_str()),
                    (Some(7), "CapEff:\t00000000000800e3\n")
                );
            }
            Err(error) => told.push(error.to_string()),
        }
    }
    fs::write(attack.rootfs("tmp/stop"), "").unwrap();
    let sent = text(&tamperer.output(1 << 16).unwrap());
    container.destroy().unwrap();
    assert!(sent.starts_with("ok ") && !sent.starts_with("ok 0"), "{sent}");
    assert!(!told.is_empty() && told.iter().all(|error| error.contains("step")), "{told:?}");
}

/// CVE-2019-5736: the executable of everything that comes along is opened, and written to as soon as it is not busy any more. With the
/// right to look into what is not dumpable the seals alone must hold.
#[test]
fn the_executable_stays_as_it_was() {
    let Some(mut attack) = Attack::new("exe-write") else { return };
    attack.arm();
    attack.config.capabilities.push("SYS_PTRACE".into());
    let own = std::env::current_exe().unwrap();
    let sum = |path: &Path| {
        let output = std::process::Command::new("sha256sum").arg(path).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        output.stdout
    };
    let before = sum(&own);
    let seen = watched(&attack, &["true"]);
    assert!(!seen.contains(&"WROTE".to_owned()), "{seen:?}");
    assert_eq!(sum(&own), before);
}

/// CVE-2019-5736 by the command: the program that the operator has installed is the same afterwards, and nobody inside has seen it.
#[test]
fn the_operators_program_stays_as_it_was() {
    let Some(mut operator) = Operator::new("exe-nsinit") else { return };
    arm(&mut operator.config);
    operator.config.capabilities.push("SYS_PTRACE".into());
    operator.config.seccomp = Seccomp::Unconfined;
    operator.write();
    let copy = operator.place.join("nsinit");
    copy_program(&operator.program, &copy).unwrap();
    operator.program.clone_from(&copy);
    let before = fs::read(&copy).unwrap();
    run_by_itself(&operator.config.rootfs.join("bin/evil"));
    let script = "touch /tmp/ready; inside watch > /tmp/seen; touch /tmp/end";
    assert!(operator.run(&["run", "--detach", "web", "sh", "-c", script]).status.success());
    until("the watcher runs", || operator.config.rootfs.join("tmp/ready").exists());
    for _ in 0..12 {
        assert!(!operator.run(&["exec", "web", "evil"]).status.success());
        operator.check(&["exec", "web", "true"], 0, "");
    }
    fs::write(operator.config.rootfs.join("tmp/stop"), "").unwrap();
    until("the watcher ends", || operator.config.rootfs.join("tmp/end").exists());
    operator.check(&["delete", "--force", "web"], 0, "");
    let seen = fs::read_to_string(operator.config.rootfs.join("tmp/seen")).unwrap();
    assert!(!seen.contains("/nsinit") && !seen.contains("WROTE"), "{seen}");
    assert!(seen.lines().last().is_some_and(|line| line.starts_with("ok ")), "{seen}");
    assert!(fs::read(&copy).unwrap() == before, "the program was changed");
}
