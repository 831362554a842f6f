//! Options of criu: what each allows, and what is said without it.

use std::fs;
use std::io::Read;
use std::net::TcpListener;
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use libcontainer::{NamespaceKind, Namespaces};
use libcontainer_tests::operator::until;
use libcontainer_tests::skip;
use nix::pty::openpty;

use super::Saver;

impl Saver {
    fn refused(&self, command: &str, more: &[&str], wanted: &str) {
        let output = self.run_with(command, more);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && text.contains(wanted), "{text}");
    }
}

#[test]
fn locks_of_files_are_held_again() {
    let Some(saver) = Saver::holding("locks", &["lock"]) else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.refused("checkpoint", &["--image-path", "images", "web"], "--file-locks");
    saver.counts_on(saver.count());
    saver.checkpoint(&["--image-path", "images", "--file-locks", "web"]);
    let there = saver.count();
    saver.restore(&["--image-path", "images", "--file-locks", "--detach", "web"]);
    saver.counts_on(there);
    assert_eq!(tool.ok(&["exec", "web", "holder", "try"]), "EAGAIN\n");
    tool.ok(&["delete", "--force", "web"]);
}

/// The file by another name is the one that is written to, before and afterwards.
#[test]
fn a_file_that_lost_its_name_is_the_same() {
    let Some(saver) = Saver::holding("nameless", &["unlinked"]) else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.refused("checkpoint", &["--image-path", "images", "web"], "Use link-remap option");
    saver.checkpoint(&["--image-path", "images", "--link-remap", "web"]);
    let there = saver.count();
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    saver.counts_on(there + 3);
    let text = fs::read_to_string(tool.config.rootfs.join("tmp/held-too")).unwrap();
    assert!(text.contains(&format!("\n{}\n{}\n", there + 1, there + 2)), "{text}");
    let names = fs::read_dir(tool.config.rootfs.join("tmp")).unwrap();
    assert!(!names.flatten().any(|name| name.file_name().to_string_lossy().starts_with("link_remap")));
    tool.ok(&["delete", "--force", "web"]);
}

/// One with the network of the host, whose program has what `kind` makes of a socket at the same path inside and outside.
fn connected(name: &str, kind: &str) -> Option<Saver> {
    let mut saver = Saver::holding(name, &[])?;
    let dir = saver.tool.place.join("sockets");
    fs::create_dir(&dir).unwrap();
    let config = &mut saver.tool.config;
    config.namespaces =
        Namespaces::new([NamespaceKind::Mount, NamespaceKind::Pid, NamespaceKind::Ipc, NamespaceKind::Uts]);
    config.networks.clear();
    config.args = vec!["holder".to_owned(), kind.to_owned(), dir.join("socket").to_str().unwrap().to_owned()];
    let mount = serde_json::json!({"type": "bind", "source": dir, "destination": dir, "writable": true});
    config.mount_config.as_mut().unwrap().mounts.push(serde_json::from_value(mount).unwrap());
    saver.tool.write();
    Some(saver)
}

#[test]
fn datagrams_go_on_to_a_socket_outside() {
    let Some(saver) = connected("datagrams", "datagrams") else { return };
    let tool = &saver.tool;
    let socket = UnixDatagram::bind(tool.place.join("sockets/socket")).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let received = || {
        let mut bytes = [0; 32];
        let count = socket.recv(&mut bytes).unwrap();
        std::str::from_utf8(&bytes[..count]).unwrap().parse::<u64>().unwrap()
    };
    tool.ok(&["run", "--detach", "web"]);
    assert_eq!((received(), received()), (1, 2));
    saver.refused("checkpoint", &["--image-path", "images", "web"], "--ext-unix-sk");
    saver.checkpoint(&["--image-path", "images", "--ext-unix-sk", "web"]);
    let there = saver.count();
    saver.restore(&["--image-path", "images", "--ext-unix-sk", "--detach", "web"]);
    while received() < there + 3 {}
    tool.ok(&["delete", "--force", "web"]);
}

#[test]
fn half_of_a_stream_is_refused() {
    let Some(saver) = connected("stream", "stream") else { return };
    let listener = UnixListener::bind(saver.tool.place.join("sockets/socket")).unwrap();
    saver.tool.ok(&["run", "--detach", "web"]);
    let (mut ours, _) = listener.accept().unwrap();
    // What is on its way is another matter.
    std::thread::spawn(move || std::io::copy(&mut ours, &mut std::io::sink()));
    saver.counts_on(3);
    let args = ["--image-path", "images", "--ext-unix-sk", "web"];
    saver.refused("checkpoint", &args, "Can't dump half of stream unix connection");
    saver.counts_on(saver.count());
    saver.tool.ok(&["delete", "--force", "web"]);
}

/// A number of a port that nobody had a moment ago.
fn port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

/// A helper of criu's in the background, with its log in the place.
fn helper(saver: &Saver, args: &[&str]) -> Child {
    let mut command = Command::new(&saver.criu);
    command.args(args).current_dir(saver.tool.place.path());
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn listens(port: u16) -> bool {
    let wanted = format!(":{port:04X} 00000000:0000 0A");
    fs::read_to_string("/proc/net/tcp").unwrap().contains(&wanted)
}

fn size_of_pages(dir: &Path) -> u64 {
    let pages = fs::read_dir(dir).unwrap().flatten();
    let pages = pages.filter(|file| file.file_name().to_string_lossy().starts_with("pages-"));
    pages.map(|file| std::os::unix::fs::MetadataExt::blocks(&file.metadata().unwrap()) * 512).sum()
}

/// Memory goes over a connection, and not into the directory of the other images.
#[test]
fn memory_goes_to_a_server() {
    let Some(saver) = Saver::holding("served", &["memory"]) else { return };
    let (tool, port) = (&saver.tool, port().to_string());
    let (pages, images) = (tool.place.join("pages"), tool.place.join("images"));
    fs::create_dir(&pages).unwrap();
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    let server = [
        "page-server",
        "--images-dir",
        "pages",
        "--address",
        "127.0.0.1",
        "--port",
        &port,
        "-o",
        "server.log",
    ];
    let mut server = helper(&saver, &server);
    until("it listens", || listens(port.parse().unwrap()));
    saver.checkpoint(&["--image-path", "images", "--page-server", &format!("127.0.0.1:{port}"), "web"]);
    let there = saver.count();
    assert!(server.wait().unwrap().success());
    assert_eq!(size_of_pages(&images), 0);
    assert!(size_of_pages(&pages) > 8 << 20);
    for file in fs::read_dir(&pages).unwrap().flatten() {
        let to = images.join(file.file_name());
        if !to.exists() {
            fs::copy(file.path(), to).unwrap();
        }
    }
    saver.restore(&["--image-path", "images", "--detach", "web"]);
    saver.counts_on(there + 2);
    tool.ok(&["delete", "--force", "web"]);
}

/// What was restored is punched out of the images.
#[test]
fn images_are_used_up() {
    let Some(saver) = Saver::holding("punched", &["memory"]) else { return };
    let (tool, images) = (&saver.tool, saver.tool.place.join("images"));
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.checkpoint(&["--image-path", "images", "--auto-dedup", "web"]);
    let (there, before) = (saver.count(), size_of_pages(&images));
    saver.restore(&["--image-path", "images", "--auto-dedup", "--detach", "web"]);
    saver.counts_on(there + 2);
    assert!(before > 8 << 20 && size_of_pages(&images) < before / 8);
    tool.ok(&["delete", "--force", "web"]);
}

/// Memory comes when it is used, from the container that was written, which ends with the last of it.
#[test]
fn memory_is_fetched_later() {
    let Some(saver) = Saver::holding("lazy", &["memory"]) else { return };
    let (tool, port) = (&saver.tool, port().to_string());
    let status = tool.place.join("status");
    nix::unistd::mkfifo(&status, nix::sys::stat::Mode::S_IRUSR | nix::sys::stat::Mode::S_IWUSR).unwrap();
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    let address = format!("127.0.0.1:{port}");
    let args =
        ["--image-path", "images", "--lazy-pages", "--page-server", &address, "--status-fd", "3", "web"];
    let told = fs::File::create(tool.place.join("told")).unwrap();
    let ours = tool.command(&saver.with("checkpoint", &args));
    let mut writer = Command::new("sh");
    writer.args(["-c", "exec \"$@\" 3>status", "sh"]).arg(ours.get_program()).args(ours.get_args());
    let mut writer = writer.current_dir(tool.place.path()).stderr(told).spawn().unwrap();
    let mut ready = [1];
    if fs::File::open(&status).unwrap().read(&mut ready).unwrap() == 0 {
        assert!(!writer.wait().unwrap().success());
        let text = fs::read_to_string(tool.place.join("told")).unwrap();
        assert!(text.contains("fs.pipe-max-size") || text.contains("userfaultfd"), "{text}");
        saver.counts_on(saver.count());
        skip("memory_is_fetched_later", text.trim());
        tool.ok(&["delete", "--force", "web"]);
        return;
    }
    assert_eq!(ready, [0]);
    let there = saver.count();
    let daemon =
        ["lazy-pages", "--page-server", "--address", "127.0.0.1", "--port", &port, "--images-dir", "images"];
    let mut daemon = helper(&saver, &daemon);
    until("the daemon listens", || {
        tool.place.join("lazy-pages.socket").exists() || tool.place.join("images/lazy-pages.socket").exists()
    });
    let mut config = tool.config.clone();
    config.cgroups.as_mut().unwrap().path = format!("{}-later", tool.place.cgroup().path.display()).into();
    fs::create_dir(tool.place.join("later")).unwrap();
    fs::write(tool.place.join("later/container.json"), config.to_json().unwrap()).unwrap();
    saver.restore(&[
        "--image-path",
        "images",
        "--lazy-pages",
        "--manage-cgroups-mode",
        "ignore",
        "--bundle",
        "later",
        "--detach",
        "later",
    ]);
    assert!(writer.wait().unwrap().success() && daemon.wait().unwrap().success());
    saver.counts_on(there + 2);
    assert!(!tool.place.join("state/web").exists());
    tool.ok(&["delete", "--force", "later"]);
}

/// In each of criu's modes all are in the container's group again; a group that criu makes is asked for by one of them.
#[test]
fn groups_by_each_mode() {
    let Some(saver) = Saver::new("modes") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    let mut there = 3;
    for mode in ["soft", "full", "ignore", ""] {
        saver.counts_on(there);
        saver.checkpoint(&["--image-path", "images", "--manage-cgroups-mode", mode, "web"]);
        there = saver.count();
        saver.restore(&["--image-path", "images", "--manage-cgroups-mode", mode, "--detach", "web"]);
        let pids = tool.json(&["ps", "--format", "json", "web"]);
        assert!(pids.as_array().unwrap().contains(&tool.json(&["state", "web"])["pid"]), "{mode}: {pids}");
    }
    saver.counts_on(there);
    saver.checkpoint(&["--image-path", "images", "--manage-cgroups-mode", "strict", "web"]);
    let args = ["--image-path", "images", "--manage-cgroups-mode", "strict", "--detach", "web"];
    saver.refused("restore", &args, "the mode \"strict\" for control groups is for one that criu makes");
    assert!(!tool.place.join("state/web").exists());
}

/// Options for callers of other runtimes change nothing; a profile that the kernel doesn't have is an error.
#[test]
fn options_of_restores() {
    let Some(saver) = Saver::new("taken") else { return };
    let tool = &saver.tool;
    tool.ok(&["run", "--detach", "web"]);
    saver.counts_on(3);
    saver.checkpoint(&["--image-path", "images", "--work-path", "work", "--empty-ns", "network", "web"]);
    let there = saver.count();
    assert!(tool.place.join("work/dump.log").exists() && !tool.place.join("images/dump.log").exists());
    if !Path::new("/sys/kernel/security/apparmor").exists() {
        let args = ["--image-path", "images", "--lsm-profile", "apparmor:none", "--detach", "web"];
        saver.refused("restore", &args, "apparmor not supported by kernel");
        saver.refused("restore", &["--image-path", "images", "--lsm-profile", "none", "web"], "lsm");
        assert!(!tool.place.join("state/web").exists());
    }
    let args = [
        "--image-path",
        "images",
        "--empty-ns",
        "network",
        "--no-subreaper",
        "--no-pivot",
        "--detach",
        "web",
    ];
    saver.restore(&args);
    saver.counts_on(there);
    tool.ok(&["delete", "--force", "web"]);
}

/// criu would write it, and then can't restore it.
#[test]
fn a_terminal_of_the_host_is_refused() {
    let Some(saver) = Saver::new("hosted") else { return };
    let tool = &saver.tool;
    let pty = openpty(None, None).unwrap();
    let mut run = tool.command(&["run", "--detach", "web"]);
    run.stdin(pty.slave.try_clone().unwrap()).stdout(Stdio::null()).stderr(Stdio::null());
    assert!(run.status().unwrap().success());
    saver.counts_on(3);
    for args in [&["--image-path", "images", "web"][..], &["--image-path", "images", "--shell-job", "web"]] {
        saver.refused("checkpoint", args, "descriptor 0 is /dev/pts/");
        saver.counts_on(saver.count());
    }
    tool.ok(&["delete", "--force", "web"]);
}
