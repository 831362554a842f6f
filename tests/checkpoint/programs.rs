//! What programs have: files, pipes, children, mounts, a terminal.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::Stdio;

use libcontainer_tests::operator::until;

use super::Saver;

/// A pipe between two children, a file in the midst of which is written, one that has no name any more.
#[test]
fn pipes_and_files_go_on() {
    let Some(mut saver) = Saver::new("pipes") else { return };
    let script = "exec 5>/tmp/log 6>/tmp/gone; rm /tmp/gone; echo first >&5; \
        (i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done) | \
        while read n; do echo $n >>/tmp/count; echo $n >&5; echo $n >&6; done";
    saver.tool.config.args = ["sh", "-c", script].map(str::to_owned).to_vec();
    std::os::unix::fs::symlink("busybox", saver.tool.config.rootfs.join("bin/rm")).unwrap();
    saver.tool.write();
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(5);
    saver.checkpoint(&["--image-path", "images", "web"]);
    let there = saver.count();
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    saver.counts_on(there + 5);
    let log = fs::read_to_string(tool.config.rootfs.join("tmp/log")).unwrap();
    let numbers: Vec<u64> = log.lines().skip(1).map(|line| line.parse().unwrap()).collect();
    assert!(log.starts_with("first\n1\n2\n"), "{log}");
    assert!(numbers.windows(2).all(|pair| pair[1] == pair[0] + 1), "{log}");
    tool.ok(&["delete", "--force", "web"]);
}

/// Binds, masks and filesystems of its own are there again, as they were.
#[test]
fn mounts_are_there_again() {
    let Some(mut saver) = Saver::new("binds") else { return };
    let (data, file) = (saver.tool.place.join("data"), saver.tool.place.join("file"));
    fs::create_dir_all(data.join("below")).unwrap();
    fs::write(data.join("word"), "of the host").unwrap();
    fs::write(&file, "a file").unwrap();
    fs::write(saver.tool.config.rootfs.join("etc/secret"), "hidden").unwrap();
    let mounts = serde_json::json!({
        "mounts": [
            {"type": "bind", "source": data, "destination": "/srv/data", "writable": true},
            {"type": "bind", "source": file, "destination": "/srv/data/below/file"},
            {"type": "tmpfs", "source": "tmpfs", "destination": "/run", "options": ["nosuid", "mode=755"]},
            {"type": "bind", "source": file, "destination": "/run/there"},
        ],
        "masked_paths": ["/proc/keys", "/proc/fs", "/etc/secret"],
        "readonly_paths": ["/proc/sys"],
    });
    saver.tool.config.mount_config = Some(serde_json::from_value(mounts).unwrap());
    saver.tool.write();
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    tool.ok(&["exec", "web", "sh", "-c", "echo kept > /run/own; echo more > /srv/data/more"]);
    let mounted = || {
        let all = tool.json(&["mounts", "list", "--format", "json", "web"]);
        let place = |one: &serde_json::Value| one["destination"].as_str().unwrap().to_owned();
        let mut all: Vec<_> = all.as_array().unwrap().iter().map(place).collect();
        all.sort();
        all
    };
    let before = mounted();
    saver.checkpoint(&["--image-path", "images", "web"]);
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    let cat = |path: &str| tool.ok(&["exec", "web", "cat", path]);
    assert_eq!(cat("/srv/data/word"), "of the host");
    assert_eq!(cat("/srv/data/below/file"), "a file");
    assert_eq!(cat("/run/there"), "a file");
    assert_eq!(cat("/run/own"), "kept\n");
    assert_eq!(cat("/etc/secret") + &cat("/proc/keys"), "");
    assert!(
        tool.fails(&["exec", "web", "sh", "-c", "echo 1 > /proc/sys/kernel/domainname"])
            .contains("Read-only")
    );
    assert!(tool.fails(&["exec", "web", "sh", "-c", "echo x > /srv/data/below/file"]).contains("Read-only"));
    assert_eq!(mounted(), before);
    tool.ok(&["delete", "--force", "web"]);
}

/// Another rootfs, in which the places of mounts have to be made.
#[test]
fn places_are_made_in_a_new_rootfs() {
    let Some(mut saver) = Saver::new("moved") else { return };
    let data = saver.tool.place.join("data");
    fs::create_dir_all(&data).unwrap();
    fs::write(data.join("word"), "of the host").unwrap();
    let mounts = serde_json::json!({"mounts": [{"type": "bind", "source": data, "destination": "/a/b/c"}]});
    saver.tool.config.mount_config = Some(serde_json::from_value(mounts).unwrap());
    saver.tool.write();
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.checkpoint(&["--image-path", "images", "web"]);
    let rootfs = &tool.config.rootfs;
    fs::remove_dir(rootfs.join("a/b/c")).unwrap();
    fs::remove_dir(rootfs.join("a/b")).unwrap();
    fs::remove_dir(rootfs.join("a")).unwrap();
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    assert_eq!(tool.ok(&["exec", "web", "cat", "/a/b/c/word"]), "of the host");
    tool.ok(&["delete", "--force", "web"]);
}

/// A source that is gone is named, and nothing is left.
#[test]
fn a_missing_source_is_told() {
    let Some(mut saver) = Saver::new("sourceless") else { return };
    let data = saver.tool.place.join("data");
    fs::create_dir_all(&data).unwrap();
    let mounts = serde_json::json!({"mounts": [{"type": "bind", "source": data, "destination": "/data"}]});
    saver.tool.config.mount_config = Some(serde_json::from_value(mounts).unwrap());
    saver.tool.write();
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.checkpoint(&["--image-path", "images", "web"]);
    fs::remove_dir(&data).unwrap();
    let output = saver.run_with("restore", &["--image-path", "images", "--detach", "web"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("/mount_config/mounts/0/source") && text.contains("ENOENT"), "{text}");
    assert!(!tool.place.join("state/web").exists());
}

/// Files of the host's, which are no part of the container, are those of whoever restores it. criu wants them as long as they were.
#[test]
fn files_of_the_host_are_given_anew() {
    let Some(mut saver) = Saver::new("output") else { return };
    let script =
        "i=0; while :; do i=$((i+1)); echo $i >> /tmp/count; echo out $i; echo err $i >&2; sleep 0.02; done";
    saver.tool.config.args = ["sh", "-c", script].map(str::to_owned).to_vec();
    saver.tool.write();
    let tool = &saver.tool;
    let (out, err) = (tool.place.join("its-out"), tool.place.join("its-err"));
    let append = |path| fs::OpenOptions::new().append(true).create(true).open(path).unwrap();
    let run = |args: &[&str]| {
        let status = tool.command(args).stdout(append(&out)).stderr(append(&err)).status().unwrap();
        assert!(status.success(), "{}", fs::read_to_string(&err).unwrap());
    };
    run(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.checkpoint(&["--image-path", "images", "web"]);
    let there = saver.count();
    run(&saver.with("restore", &["--image-path", "images", "--detach", "web"]));
    saver.counts_on(there + 3);
    for (path, word) in [(&out, "out"), (&err, "err")] {
        let text = fs::read_to_string(path).unwrap();
        assert!(text.contains(&format!("{word} {}\n{word} {}\n", there, there + 1)), "{text}");
    }
    tool.ok(&["delete", "--force", "web"]);
}

/// Its pipes become those of whoever restores it.
#[test]
fn pipes_are_those_of_who_restores() {
    let Some(mut saver) = Saver::new("piped") else { return };
    let script = "i=0; while :; do i=$((i+1)); echo $i >> /tmp/count; echo $i; sleep 0.02; done";
    saver.tool.config.args = ["sh", "-c", script].map(str::to_owned).to_vec();
    saver.tool.write();
    let tool = &saver.tool;
    let lines = |args: &[&str]| {
        // Standard error of the tests may be a file to which others write.
        let mut command = tool.command(args);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        (BufReader::new(child.stdout.take().unwrap()).lines(), child)
    };
    let (mut said, mut first) = lines(&["run", "--detach", "web"]);
    assert_eq!(said.next().unwrap().unwrap(), "1");
    assert!(first.wait().unwrap().success());
    saver.checkpoint(&["--image-path", "images", "web"]);
    let there: u64 = said.map(|line| line.unwrap().parse().unwrap()).last().unwrap();
    // In the foreground: it is waited for, and its code is ours.
    let (mut said, mut second) = lines(&saver.with("restore", &["--image-path", "images", "web"]));
    assert_eq!(said.next().unwrap().unwrap(), (there + 1).to_string());
    assert_eq!(said.next().unwrap().unwrap(), (there + 2).to_string());
    tool.ok(&["kill", "web", "KILL"]);
    assert_eq!(second.wait().unwrap().code(), Some(137));
    assert!(!tool.place.join("state/web").exists());
}

/// It goes on, and what was written is a container of its own.
#[test]
fn two_run_side_by_side() {
    let Some(saver) = Saver::new("twice") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(5);
    saver.checkpoint(&["--image-path", "images", "--leave-running", "web"]);
    let there = saver.count();
    saver.counts_on(there + 3);
    assert_eq!(saver.status("web"), "running");
    tool.ok(&["delete", "--force", "web"]);
    for id in ["one", "two"] {
        let mut config = tool.config.clone();
        let path = format!("{}-{id}", tool.place.cgroup().path.display());
        config.cgroups.as_mut().unwrap().path = path.into();
        let bundle = tool.place.join(id);
        fs::create_dir(&bundle).unwrap();
        fs::write(bundle.join("container.json"), config.to_json().unwrap()).unwrap();
        saver.restore(&["--image-path", "images", "--detach", "--bundle", bundle.to_str().unwrap(), id]);
    }
    assert_eq!((saver.status("one"), saver.status("two")), ("running".to_owned(), "running".to_owned()));
    for id in ["one", "two"] {
        let pids = tool.json(&["ps", "--format", "json", id]);
        assert!(pids.as_array().unwrap().contains(&tool.json(&["state", id])["pid"]), "{pids}");
        tool.ok(&["delete", "--force", id]);
    }
}

/// One that is paused is written too, and stays so.
#[test]
fn a_paused_one_is_written() {
    let Some(saver) = Saver::new("still") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    tool.ok(&["pause", "web"]);
    saver.checkpoint(&["--image-path", "images", "--leave-running", "web"]);
    assert_eq!(saver.status("web"), "paused");
    tool.ok(&["resume", "web"]);
    let there = saver.count();
    saver.counts_on(there);
    tool.ok(&["delete", "--force", "web"]);
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    saver.counts_on(there + 1);
    tool.ok(&["delete", "--force", "web"]);
}

/// What waits for its start, or has ended, has nothing to be written.
#[test]
fn only_what_runs_can_be_written() {
    let Some(saver) = Saver::new("waits") else { return };
    let tool = &saver.tool;
    tool.ok(&["create", "web"]);
    let wrong = |text: &str| {
        let output = saver.run_with("checkpoint", &["--image-path", "images", "web"]);
        let found = String::from_utf8(output.stderr).unwrap();
        assert!(found.contains(text) && found.contains("only one that runs or is paused"), "{found}");
    };
    wrong("the container is created");
    tool.ok(&["kill", "web", "KILL"]);
    until("it has ended", || saver.status("web") == "stopped");
    wrong("the container is stopped");
    assert!(!tool.place.join("images/inventory.img").exists());
    tool.ok(&["delete", "web"]);
    let output = saver.run_with("restore", &["--image-path", "nothing", "web"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("open the directory of images: nothing: ENOENT"), "{text}");
    let output = saver.run_with("restore", &["--image-path", "images", "web"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("descriptors.json (a checkpoint has it): ENOENT"), "{text}");
}
