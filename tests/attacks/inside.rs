//! What a hostile image or program gets hold of: descriptors, names in `/proc`, keys, sockets.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use libcontainer::{Factory, Namespace, NamespaceKind, ProcessConfig, Stdio};
use libcontainer_tests::text;

use super::{Attack, bind, with_mounts};

/// CVE-2015-3627: standard descriptors are those that the caller gave, whatever the image calls its null device.
#[test]
fn standard_descriptors_are_the_callers() {
    let Some(attack) = Attack::new("stdio-null") else { return };
    symlink(attack.canary.join("ptmx"), attack.rootfs("dev/null")).unwrap();
    let script = "echo one; echo two >&2; for n in 0 1 2; do stat -L -c %t:%T /proc/self/fd/$n; done";
    let process = ProcessConfig::new(["sh", "-c", script]);
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    let out = attack.place.join("out");
    let process = ProcessConfig {
        stdout: Stdio::Fd(fs::File::create(&out).unwrap().into()),
        stderr: Stdio::Stdout,
        ..ProcessConfig::new(["sh", "-c", script])
    };
    let (container, mut process) =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, process).unwrap();
    assert!(process.wait().unwrap().success());
    container.destroy().unwrap();
    assert_eq!(fs::read_to_string(out).unwrap(), "one\ntwo\n1:3\n0:0\n0:0\n");
    attack.unharmed();
}

/// CVE-2024-21626: a further process whose directory or program lies behind one of the init's descriptors.
#[test]
fn joins_through_descriptors_stay_inside() {
    let Some(attack) = Attack::new("join-fd") else { return };
    fs::copy(attack.rootfs("bin/busybox"), attack.canary.join("evil")).unwrap();
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let host = std::env::current_dir().unwrap();
    for number in 0..24 {
        let cwd = Some(PathBuf::from(format!("/proc/self/fd/{number}")));
        let process = ProcessConfig { cwd, ..ProcessConfig::new(["pwd"]).piped() };
        assert!(container.start(process).is_err(), "working directory {number}");
        for up in ["", "/..", "/../../../../.."] {
            let evil = format!("/proc/self/fd/{number}{up}{}/evil", attack.canary.display());
            assert!(container.start(ProcessConfig::new([evil])).is_err(), "program {number}{up}");
            let evil = format!("/proc/self/fd/{number}{up}{}", host.display());
            assert!(container.start(ProcessConfig::new([evil])).is_err(), "program {number}{up}");
        }
    }
    container.destroy().unwrap();
}

/// CVE-2025-52881: a kernel setting is written where it belongs, whatever the image has, or mounts, in place of `/proc`.
#[test]
fn settings_are_written_to_a_procfs_of_the_inits_own() {
    let Some(mut attack) = Attack::new("sysctl") else { return };
    let fake = attack.place.join("fake");
    fs::create_dir_all(fake.join("sys/kernel")).unwrap();
    fs::write(fake.join("sys/kernel/msgmax"), "alive").unwrap();
    fs::create_dir_all(attack.rootfs("proc/sys")).unwrap();
    symlink(&attack.canary, attack.rootfs("proc/sys/kernel")).unwrap();
    attack.config.sysctl.insert("kernel.msgmax".into(), "4097".into());
    assert_eq!(attack.run("cat /proc/sys/kernel/msgmax").unwrap(), "4097\n");
    let over = [bind(&fake, "/proc"), bind(&fake.join("sys/kernel/msgmax"), "/proc/sys/kernel/msgmax")];
    for mount in over {
        let to = mount.destination.clone();
        attack.config.mount_config = with_mounts(vec![mount]);
        // Refused, or written to the real one: never to what lies over it.
        if let Ok(found) = attack.run("cat /proc/sys/kernel/msgmax") {
            assert!(["4097\n", "alive"].contains(&found.as_str()), "{}: {found}", to.display());
        }
        assert_eq!(fs::read_to_string(fake.join("sys/kernel/msgmax")).unwrap(), "alive");
    }
    attack.unharmed();
}

/// CVE-2016-9962 with the capability to trace, which opens even what is not dumpable: nothing of the host's is to be found there.
#[test]
fn a_joining_init_holds_nothing_of_the_hosts() {
    let Some(mut attack) = Attack::new("ptrace") else { return };
    attack.config.capabilities.push("SYS_PTRACE".into());
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let watch = "i=0; while [ $i -lt 60 ]; do for p in /proc/[0-9]*; do \
        case $(readlink $p/exe) in /bin/busybox) ;; *) readlink $p/cwd $p/root $p/fd/*; cat $p/environ $p/maps;; esac; \
        done 2>/dev/null; i=$((i+1)); done; echo end";
    let watcher = container.start(ProcessConfig::new(["sh", "-c", watch]).piped()).unwrap();
    for _ in 0..25 {
        container.start(ProcessConfig::new(["true"])).unwrap().wait().unwrap();
    }
    let seen = text(&watcher.output(1 << 22).unwrap());
    container.destroy().unwrap();
    let host = attack.place.path().display().to_string();
    for line in seen.lines() {
        assert!(!line.contains(&host) && !line.contains("cgroup") && !line.contains("state.json"), "{line}");
    }
    assert!(seen.ends_with("end\n"));
}

/// The session keyring is a new one: all that a user without keys of its own can see is what it possesses.
#[test]
fn keys_of_the_host_stay_outside() {
    let Some(mut attack) = Attack::new("keys") else { return };
    attack.config.user = "4242:4242".into();
    let seen = attack.run("cat /proc/keys").unwrap();
    let sessions: Vec<_> = seen.lines().filter(|line| line.contains("_ses")).collect();
    assert!(sessions.len() <= 1 && sessions.iter().all(|line| line.contains("_ses.c: empty")), "{seen}");
    let container = Factory::new().unwrap().create(attack.place.join("c"), &attack.config).unwrap();
    let process = container.start(ProcessConfig::new(["cat", "/proc/keys"]).piped()).unwrap();
    let seen = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    let sessions: Vec<_> = seen.lines().filter(|line| line.contains("_ses")).collect();
    assert!(sessions.len() <= 1 && sessions.iter().all(|line| line.contains("_ses.join: empty")), "{seen}");
}

/// CVE-2020-15257: names of abstract sockets belong to a network namespace, and we have none.
#[test]
fn abstract_sockets_are_not_shared() {
    use std::os::linux::net::SocketAddrExt;
    let Some(mut attack) = Attack::new("sockets") else { return };
    let name = format!("lct-{}", std::process::id());
    let address = std::os::unix::net::SocketAddr::from_abstract_name(&name).unwrap();
    let _listener = std::os::unix::net::UnixListener::bind_addr(&address).unwrap();
    let seen = attack.run("cat /proc/net/unix").unwrap();
    assert!(!seen.contains('@'), "{seen}");
    // With the host's network they are all there, and none of them is ours.
    attack.config.namespaces = {
        let mut all = libcontainer::Namespaces::default();
        for kind in [NamespaceKind::Mount, NamespaceKind::Uts, NamespaceKind::Ipc, NamespaceKind::Pid] {
            all.set(kind, Namespace::New);
        }
        all
    };
    attack.config.networks.clear();
    let seen = attack.run("cat /proc/net/unix").unwrap();
    assert!(seen.contains(&name) && !seen.contains("@libcontainer"), "{seen}");
}

/// A directory of the host's bound over the procfs of a container: what is read of it is never believed by the init.
#[test]
fn a_bind_on_proc_is_refused_or_harmless() {
    let Some(mut attack) = Attack::new("bind-proc") else { return };
    let fake = attack.place.join("fake");
    fs::create_dir_all(fake.join("self/fd")).unwrap();
    for to in ["/proc", "/proc/self", "/proc/self/fd"] {
        attack.config.mount_config = with_mounts(vec![bind(Path::new(&fake), to)]);
        let before = fs::read_dir(&fake).unwrap().count();
        let _ = attack.run("true");
        assert_eq!(fs::read_dir(&fake).unwrap().count(), before, "{to}");
        attack.unharmed();
    }
}
