//! What is joined: namespaces of another container, as in a pod; processes and mounts that came while it ran.

use std::fs;
use std::path::Path;

use libcontainer::{Namespace, NamespaceKind};
use libcontainer_tests::operator::until;

use super::Saver;

const KINDS: [(NamespaceKind, &str); 4] = [
    (NamespaceKind::Network, "net"),
    (NamespaceKind::Ipc, "ipc"),
    (NamespaceKind::Uts, "uts"),
    (NamespaceKind::Pid, "pid"),
];

/// Writes it, and waits until the number of its first process is free.
fn written(saver: &Saver) {
    let pid = saver.tool.json(&["state", "web"])["pid"].to_string();
    saver.checkpoint(&["--image-path", "images", "web"]);
    until("its first process was reaped", || !Path::new("/proc").join(&pid).exists());
}

/// Namespaces of another container are joined again, each kind by itself and all at once; those of a new one by its paths.
#[test]
fn namespaces_of_a_pod_are_joined_again() {
    let Some(mut saver) = Saver::new("pod") else { return };
    let own = saver.tool.config.clone();
    let pod = |saver: &mut Saver, name: &str| {
        saver.tool.config = own.clone();
        let config = &mut saver.tool.config;
        // What ends in its pid namespace is its to reap: else the number is taken when it is wanted again.
        config.args = ["sh", "-c", "sleep 300 & wait"].map(str::to_owned).to_vec();
        config.cgroups.as_mut().unwrap().path =
            format!("{}-{name}", saver.tool.place.cgroup().path.display()).into();
        saver.tool.write();
        saver.tool.ok(&["run", "--detach", name]);
        saver.tool.json(&["state", name])["pid"].as_i64().unwrap()
    };
    let member = |saver: &mut Saver, pod: i64, kinds: &[(NamespaceKind, &str)]| {
        saver.tool.config = own.clone();
        let config = &mut saver.tool.config;
        for (kind, file) in kinds {
            config.namespaces.set(*kind, Namespace::Join(format!("/proc/{pod}/ns/{file}").into()));
            match kind {
                NamespaceKind::Network => config.networks.clear(),
                NamespaceKind::Uts => config.hostname.clear(),
                _ => {}
            }
        }
        saver.tool.write();
    };
    let same = |saver: &Saver, pod: i64, kinds: &[(NamespaceKind, &str)]| {
        let pid = saver.tool.json(&["state", "web"])["pid"].as_i64().unwrap();
        for (_, file) in kinds {
            let link = |pid: i64| fs::read_link(format!("/proc/{pid}/ns/{file}")).unwrap();
            assert_eq!(link(pid), link(pod), "{file}");
        }
    };
    let first = pod(&mut saver, "first");
    for kinds in KINDS.iter().map(std::slice::from_ref).chain([&KINDS[..]]) {
        member(&mut saver, first, kinds);
        saver.tool.ok(&["run", "--detach", "web"]);
        let from = saver.count();
        saver.counts_on(from);
        written(&saver);
        let there = saver.count();
        saver.restore(&["--image-path", "images", "--detach", "web"]);
        saver.counts_on(there);
        same(&saver, first, kinds);
        if kinds.len() == 1 {
            saver.tool.ok(&["delete", "--force", "web"]);
        }
    }
    written(&saver);
    let second = pod(&mut saver, "second");
    member(&mut saver, second, &KINDS);
    let there = saver.count();
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    saver.counts_on(there);
    same(&saver, second, &KINDS);
    for name in ["web", "first", "second"] {
        saver.tool.ok(&["delete", "--force", name]);
    }
}

/// Those whose parents are outside are not in the images, which is said; what they have left to the first process is.
#[test]
fn processes_that_joined_are_told() {
    let Some(saver) = Saver::new("execed") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    tool.ok(&["exec", "web", "sh", "-c", "sleep 3001 </dev/null >/dev/null 2>&1 &"]);
    tool.ok(&["exec", "--detach", "web", "sh", "-c", "sleep 3002 & wait"]);
    let shown = || tool.ok(&["ps", "web"]);
    until("all run", || shown().contains("sleep 3001") && shown().contains("sleep 3002"));
    let output = saver.run_with("checkpoint", &["--image-path", "images", "web"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(
        text.contains("not in the images: ") && text.contains(" (sh), ") && text.contains(" (sleep): joined"),
        "{text}"
    );
    assert_eq!(text.matches("(sleep)").count(), 1, "{text}");
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    assert!(shown().contains("sleep 3001") && !shown().contains("sleep 3002"), "{}", shown());
    // Again, now that nobody is outside.
    let output = saver.run_with("checkpoint", &["--image-path", "images", "web"]);
    assert!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

fn added(saver: &Saver) -> Vec<String> {
    let all = saver.tool.json(&["mounts", "list", "--format", "json", "web"]);
    let all = all.as_array().unwrap().iter().filter(|one| one["added"] == true);
    all.map(|one| one["destination"].as_str().unwrap().to_owned()).collect()
}

/// What was mounted while it ran is there again, in a rootfs without places for it too, and can be taken away as before.
#[test]
fn added_mounts_are_there_again() {
    let Some(saver) = Saver::new("added") else { return };
    let tool = &saver.tool;
    let data = tool.place.join("data");
    fs::create_dir(&data).unwrap();
    fs::write(data.join("word"), "of the host\n").unwrap();
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    tool.ok(&["mounts", "add", "web", data.to_str().unwrap(), "/srv/data"]);
    tool.ok(&["mounts", "add", "--type", "tmpfs", "web", "scratch", "/scratch"]);
    tool.ok(&["mounts", "add", "web", data.to_str().unwrap(), "/gone"]);
    tool.ok(&["mounts", "remove", "web", "/gone"]);
    tool.ok(&["exec", "web", "sh", "-c", "echo kept > /scratch/word"]);
    for _ in 0..2 {
        saver.checkpoint(&["--image-path", "images", "web"]);
        for place in ["srv/data", "srv", "scratch"] {
            fs::remove_dir(tool.config.rootfs.join(place)).unwrap();
        }
        saver.restore(&["--image-path", "images", "--detach", "web"]);
        assert_eq!(
            tool.ok(&["exec", "web", "cat", "/srv/data/word", "/scratch/word"]),
            "of the host\nkept\n"
        );
        assert_eq!(added(&saver), ["/srv/data", "/scratch"]);
    }
    tool.ok(&["mounts", "remove", "web", "/srv/data"]);
    tool.ok(&["mounts", "remove", "web", "/scratch"]);
    assert!(tool.fails(&["exec", "web", "cat", "/srv/data/word"]).contains("No such file"));
    saver.checkpoint(&["--image-path", "images", "web"]);
    fs::remove_dir_all(&data).unwrap();
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    assert_eq!(added(&saver), [""; 0]);
    tool.ok(&["delete", "--force", "web"]);
}

/// A source that is gone is named, before anything is made.
#[test]
fn a_missing_source_of_an_added_mount_is_told() {
    let Some(saver) = Saver::new("sourcelater") else { return };
    let tool = &saver.tool;
    let data = tool.place.join("data");
    fs::create_dir(&data).unwrap();
    tool.ok(&["run", "--detach", "web"]);
    tool.ok(&["mounts", "add", "web", data.to_str().unwrap(), "/data"]);
    saver.checkpoint(&["--image-path", "images", "web"]);
    fs::remove_dir(&data).unwrap();
    let output = saver.run_with("restore", &["--image-path", "images", "--detach", "web"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("mount /data, which was added") && text.contains("ENOENT"), "{text}");
    assert!(text.contains(data.to_str().unwrap()) && !tool.place.join("state/web").exists(), "{text}");
}

/// Of two mounts on one place, one of them the host's, criu would make one twice.
#[test]
fn mounts_over_each_other_are_refused() {
    let Some(mut saver) = Saver::new("stacked") else { return };
    let (one, two) = (saver.tool.place.join("one"), saver.tool.place.join("two"));
    fs::create_dir(&one).unwrap();
    fs::create_dir(&two).unwrap();
    let refused = |saver: &Saver| {
        saver.tool.write();
        saver.tool.ok(&["run", "--detach", "web"]);
        let output = saver.run_with("checkpoint", &["--image-path", "images", "web"]);
        let text = String::from_utf8(output.stderr).unwrap();
        assert!(text.contains("2 mounts lie on /data"), "{text}");
        saver.counts_on(saver.count());
        saver.tool.ok(&["delete", "--force", "web"]);
    };
    let bind = |from: &Path| serde_json::json!({"type": "bind", "source": from, "destination": "/data"});
    let tmpfs = serde_json::json!({"type": "tmpfs", "source": "x", "destination": "/data"});
    for above in [bind(&two), tmpfs] {
        let all = serde_json::json!({"mounts": [bind(&one), above]});
        saver.tool.config.mount_config = Some(serde_json::from_value(all).unwrap());
        refused(&saver);
    }
}
