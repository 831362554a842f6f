//! Files of a record that are cut, changed, newer, another's, or missing: no command takes the container for ended, and destroy ends it or
//! says that it can't know.

use std::path::Path;
use std::time::{Duration, Instant};

use libcontainer::cgroups::Layout;
use libcontainer::cgroups::discovery::Mode;
use libcontainer::network::netlink::Netlink;
use libcontainer::{Config, ErrorKind, Factory, Network, Pid, ProcessConfig};
use libcontainer_tests::{World, able, config, copy_program, skip};

use super::{Kept, fails, lives};

const FILES: [&str; 2] = ["state.json", "ending.json"];

fn veth() -> Network {
    Network {
        kind: "veth".to_owned(),
        bridge: "lcbr0".to_owned(),
        create_bridge: true,
        veth_prefix: "veth".to_owned(),
        address: "10.7.0.2/24".to_owned(),
        ..Network::default()
    }
}

/// Waits until there are these links only: the kernel takes a pair away in its own time.
fn wait_for_links(wanted: &[String], damage: &str) {
    let end = Instant::now() + Duration::from_secs(10);
    loop {
        let there = links();
        if there == wanted {
            return;
        }
        assert!(Instant::now() < end, "{damage}: {there:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn links() -> Vec<String> {
    Netlink::open().unwrap().links().unwrap().iter().map(|link| link.name.to_string()).collect()
}

/// Runs `test` in a thread whose network namespace is its own, with a config that has a group and a pair.
fn on_a_host(name: &str, test: impl FnOnce(&Kept, &Config) + Send) {
    if !able(name) {
        return;
    }
    let kept = Kept::new(name);
    let mut config = kept.config.clone();
    config.networks.push(veth());
    std::thread::scope(|scope| {
        let run = scope.spawn(|| {
            nix::sched::unshare(nix::sched::CloneFlags::CLONE_NEWNET).unwrap();
            test(&kept, &config);
        });
        if let Err(panic) = run.join() {
            std::panic::resume_unwind(panic);
        }
    });
}

fn start(kept: &Kept, config: &Config) -> Pid {
    let process = ProcessConfig::new(["sleep", "300"]);
    Factory::new().unwrap().run(kept.web(), config, process).unwrap().1.pid()
}

type Damage = fn(&Path);

fn rewrite(file: &Path, change: impl FnOnce(Vec<u8>) -> Vec<u8>) {
    let bytes = change(std::fs::read(file).unwrap());
    std::fs::write(file, bytes).unwrap();
}

const DAMAGES: [(&str, Damage); 10] = [
    ("empty", |file| std::fs::write(file, "").unwrap()),
    ("zeroed", |file| std::fs::write(file, [0; 100]).unwrap()),
    ("cut", |file| rewrite(file, |bytes| bytes[..40].to_vec())),
    ("cut in the middle", |file| rewrite(file, |bytes| bytes[..bytes.len() / 2].to_vec())),
    ("cut at the end", |file| rewrite(file, |bytes| bytes[..bytes.len() - 2].to_vec())),
    ("changed", |file| {
        rewrite(file, |bytes| String::from_utf8(bytes).unwrap().replace("\"web\"", "\"wec\"").into_bytes());
    }),
    ("newer", |file| {
        let newer = |bytes| String::from_utf8(bytes).unwrap().replace("\"version\":1", "\"version\":99");
        rewrite(file, |bytes| newer(bytes).into_bytes());
    }),
    ("another's", |file| std::os::unix::fs::chown(file, Some(12_345), None).unwrap()),
    ("missing", |file| std::fs::remove_file(file).unwrap()),
    ("a pipe", |file| {
        std::fs::remove_file(file).unwrap();
        nix::unistd::mkfifo(file, nix::sys::stat::Mode::S_IRUSR).unwrap();
    }),
];

/// The record is damaged: the second file says what there is.
#[test]
fn by_the_second_file() {
    on_a_host("second-file", |kept, config| {
        let factory = Factory::new().unwrap();
        let before = links();
        for (name, damage) in DAMAGES {
            let pid = start(kept, config);
            damage(&kept.web().join("state.json"));
            for args in [&["state", "web"] as &[&str], &["kill", "web"], &["delete", "web"]] {
                let output = kept.nsinit(args).output().unwrap();
                let text = String::from_utf8_lossy(&output.stderr);
                assert!(!output.status.success() && text.contains("state.json"), "{name} {args:?}: {text}");
            }
            let error = factory.load(kept.web()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
            assert!(lives(pid), "{name}");
            factory.destroy(kept.web()).unwrap();
            assert!(!lives(pid) && !kept.web().exists(), "{name}");
            assert_eq!(World::look(kept.place.path()).groups().count(), 0, "{name}");
            wait_for_links(&before, name);
        }
    });
}

/// Wherever the record is cut, it is not believed.
#[test]
fn cut_at_every_byte() {
    on_a_host("cut", |kept, config| {
        let factory = Factory::new().unwrap();
        let pid = start(kept, config);
        let file = kept.web().join("state.json");
        let whole = std::fs::read(&file).unwrap();
        // Without its last byte, the end of the line, it says the same.
        for end in 0..whole.len() - 1 {
            std::fs::write(&file, &whole[..end]).unwrap();
            let error = factory.load(kept.web()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{end}: {error}");
        }
        factory.destroy(kept.web()).unwrap();
        assert!(!lives(pid) && !kept.web().exists());
    });
}

/// Neither file can be believed: the marks of its group and its links say what there is.
#[test]
fn by_the_marks() {
    on_a_host("marks", |kept, config| {
        if Layout::of_this_process().unwrap().mode == Mode::Absent {
            return skip("by_the_marks", "no control groups");
        }
        let factory = Factory::new().unwrap();
        let before = links();
        for (name, damage) in DAMAGES {
            let pid = start(kept, config);
            let neighbour = kept.place.join("state/neighbour");
            let other = Config { cgroups: Some(kept.place.cgroup()), ..config.clone() };
            let other = other_group(other);
            let process = ProcessConfig::new(["sleep", "300"]);
            let other = factory.run(&neighbour, &other, process).unwrap();
            FILES.iter().for_each(|file| damage(&kept.web().join(file)));
            factory.destroy(kept.web()).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!lives(pid) && !kept.web().exists(), "{name}");
            assert_eq!(World::look(kept.place.path()).groups().count(), 0, "{name}");
            assert!(lives(other.1.pid()), "{name}");
            other.0.destroy().unwrap();
            wait_for_links(&before, name);
        }
    });
}

fn other_group(mut config: Config) -> Config {
    let block = config.cgroups.as_mut().unwrap();
    block.path.as_mut_os_string().push("-neighbour");
    config.networks.truncate(1);
    config
}

/// Neither file can be believed and there is no group to be found: destroy does not say that the container is gone.
#[test]
fn what_can_not_be_known() {
    if !able("what_can_not_be_known") {
        return;
    }
    let kept = Kept::new("unknown");
    let config = config(&kept.place.join("rootfs"));
    let factory = Factory::new().unwrap();
    for (name, damage) in DAMAGES.iter().filter(|(name, _)| *name != "missing") {
        let pid = start(&kept, &config);
        let path = kept.web();
        let whole = FILES.map(|file| std::fs::read(path.join(file)).unwrap());
        FILES.iter().for_each(|file| damage(&path.join(file)));
        let error = factory.destroy(&path).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt, "{name}: {error}");
        let text = error.to_string();
        assert!(text.contains("can't be known") && text.contains("ending.json"), "{name}: {text}");
        assert!(lives(pid) && path.exists(), "{name}");
        for (file, bytes) in FILES.iter().zip(&whole) {
            std::fs::remove_file(path.join(file)).unwrap();
            std::fs::write(path.join(file), bytes).unwrap();
        }
        factory.destroy(&path).unwrap();
        assert!(!lives(pid) && !path.exists(), "{name}");
    }
}

/// The record of another container in the directory: that one is not touched.
#[test]
fn the_record_of_another() {
    if !able("the_record_of_another") {
        return;
    }
    let kept = Kept::new("another");
    let pid = start(&kept, &kept.config);
    let copy = kept.place.join("state/copy");
    std::fs::create_dir(&copy).unwrap();
    std::fs::set_permissions(&copy, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let factory = Factory::new().unwrap();
    for file in FILES {
        std::fs::copy(kept.web().join(file), copy.join(file)).unwrap();
        let error = factory.destroy(&copy).unwrap_err();
        assert!(error.to_string().contains("of another container, \"web\""), "{error}");
        assert!(factory.load(&copy).is_err() && lives(pid));
    }
    for file in FILES {
        std::fs::remove_file(copy.join(file)).unwrap();
    }
    // As if its maker had been killed before it wrote anything.
    factory.destroy(&copy).unwrap();
    assert!(!copy.exists() && lives(pid));
    factory.destroy(kept.web()).unwrap();
}

/// An empty directory of an ordinary user, who may not look for marks: a destroy was killed behind the record. It goes.
#[test]
fn nothing_is_left_but_the_directory() {
    const USER: u32 = 54_321;
    let there = |program: &str| Path::new("/usr/bin").join(program).exists();
    if !able("nothing_is_left_but_the_directory") {
        return;
    }
    if !there("setpriv") {
        return skip("nothing_is_left_but_the_directory", "setpriv is not installed");
    }
    let kept = Kept::new("empty");
    let program = kept.place.join("nsinit");
    copy_program(Path::new(kept.nsinit(&[]).get_program()), &program).unwrap();
    let state = kept.place.join("state");
    for dir in [state.clone(), state.join("web")] {
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::set_permissions(&dir, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
        std::os::unix::fs::chown(&dir, Some(USER), Some(USER)).unwrap();
    }
    let id = USER.to_string();
    let mut command = std::process::Command::new("setpriv");
    command.args(["--reuid", &id, "--regid", &id, "--clear-groups"]).arg(program).arg("--root").arg(state);
    let output = command.args(["delete", "--force", "web"]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!kept.web().exists());
}

/// Half a record is told as what it is, by the call and with the way out, to each who asks; one that is no file of ours is not called half.
#[test]
fn half_a_record_is_told_with_the_way_out() {
    if !able("half_a_record_is_told_with_the_way_out") {
        return;
    }
    let kept = Kept::new("half-record");
    let out = "nsinit delete --force (Factory::destroy) takes away what is left";
    let told = |words: &str| {
        for args in [&["state", "web"] as &[&str], &["start", "web"], &["delete", "web"]] {
            let output = kept.nsinit(args).output().unwrap();
            fails(&output, words);
            fails(&output, out);
        }
        assert!(kept.nsinit(&["delete", "--force", "web"]).status().unwrap().success());
        assert!(!kept.web().exists());
    };
    std::fs::create_dir_all(kept.web()).unwrap();
    told("state.json: openat: ENOENT: No such file or directory; whoever made or deleted it was broken off");
    kept.start();
    rewrite(&kept.web().join("state.json"), |bytes| bytes[..bytes.len() / 2].to_vec());
    told("state.json: EOF while parsing");
    std::fs::create_dir_all(kept.web()).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", kept.web().join("state.json")).unwrap();
    let error = Factory::new().unwrap().load(kept.web()).unwrap_err();
    assert!(
        error.to_string().ends_with("state.json: openat: ELOOP: Too many symbolic links encountered"),
        "{error}"
    );
    assert_eq!(error.kind(), ErrorKind::Corrupt);
}
