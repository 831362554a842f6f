//! One plan for each kind of step, as text and as JSON; `UPDATE_GOLDEN=1` writes the files anew.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test may panic outside of its own function"
)]

use std::fs;
use std::path::{Path, PathBuf};

use libcontainer_plan::{
    At, Builder, CapMasks, Dir, FdSource, File, FsContext, Hook, HostStep, How, Lane, MountAttr, Ns, Plan,
    Pty, Slot, Sock,
};

type Build = fn(&mut Builder);

/// Name of the files, and what stands in the plan before its exec.
const PLANS: [(&str, Build); 17] = [
    ("call", |plan| {
        let dir: Slot<Dir> = plan.openat2(At::Cwd, "/srv", How::DIR_IN_ROOT);
        plan.mkdirat(dir, "a b", 0o755).umask(0o22).close(dir);
    }),
    ("outcomes", |plan| {
        let past = plan.label();
        plan.purpose("make what may be there");
        plan.mkdirat(At::Cwd, "/a", 0o700).tolerate(libc::EEXIST).on(libc::EROFS, past);
        plan.chdir("/a").on_success(past);
        plan.chdir("/");
        plan.purpose("go on");
        plan.bind(past);
        plan.setsid();
    }),
    ("expect", |plan| {
        let file: Slot<File> = plan.openat2(At::Cwd, "/proc/self/setgroups", How::TRUSTED);
        plan.write(file, b"deny\n").expect_no_new_privs(false);
        plan.expect_prctl(23, 21, 0, 1);
        plan.expect_filesystem(file, 0x9fa0).expect_content(file, b"deny\n");
    }),
    ("await", |plan| {
        plan.await_host("id maps written");
    }),
    ("notify", |plan| {
        plan.notify_host("ready");
    }),
    ("await_any", |plan| {
        let pipe: Slot<Sock> = plan.preset("start pipe");
        plan.await_byte(pipe);
    }),
    ("send_fd", |plan| {
        let pts: Slot<Dir> = plan.preset("devpts");
        let (master, terminal) = plan.open_terminal(pts);
        plan.send_fd(master, "terminal master");
        plan.own_terminal(terminal, 1000).controlling_terminal(terminal);
        plan.resize_terminal(terminal, 24, 80);
    }),
    ("send_listener", |plan| {
        plan.no_new_privs().listen_and_send(&[0; 16], 0, [1, 2]);
    }),
    ("recv_fd", |plan| {
        let source = FdSource::new("map ids of /srv", |_| Err(std::io::Error::other("never run")));
        let given: Slot<Dir> = plan.receive_fd("mapped tree", source);
        plan.fchdir(given);
    }),
    ("respawn", |plan| {
        let target: Slot<Ns> = plan.preset("namespaces of pid 7");
        plan.join(target, 0x2000_0000 | 0x2_0000);
    }),
    ("compare", |plan| {
        plan.expect_ids(1000, 100).expect_groups(&[5, 10]);
        plan.expect_capabilities(CapMasks { effective: 1 << 40 | 1, permitted: 3, inheritable: 0 });
    }),
    ("reset_signals", |plan| {
        plan.reset_signals().unblock_signals();
        plan.end_on_signals().unblock_ending();
    }),
    ("hook", |plan| {
        let (input, output): (Slot<File>, Slot<File>) = (plan.preset("null"), plan.preset("log"));
        let args = vec![b"hook".to_vec(), b"with \"quotes\"\n".to_vec()];
        let hook = Hook { path: "/bin/hook".into(), args, env: vec![b"SECRET=1".to_vec()] };
        plan.hook(&hook, input, output);
    }),
    ("mounts", |plan| {
        let root: Slot<Dir> = plan.preset("rootfs");
        let context: Slot<FsContext> = plan.fsopen("tmpfs");
        plan.fsconfig_string(context, "size", "64k").fsconfig_flag(context, "ro").fsconfig_create(context);
        let mount = plan.fsmount(context, 0xe);
        plan.mount_setattr(mount, true, MountAttr { set: 1, clear: 8, propagation: 1 << 18 });
        plan.move_mount(mount, root);
        let tree = plan.clone_tree(root, true);
        plan.move_mount_path(tree, "/").pivot_root().unmount_here().chroot(".").check_cwd();
    }),
    ("identity", |plan| {
        plan.setrlimit(7, 1024, u64::MAX).sethostname("box").setdomainname("example");
        plan.join_session_keyring("_ses.box").tolerate(libc::ENOSYS);
        plan.drop_bounding(21).clear_ambient().keep_capabilities(true);
        plan.setgroups(&(0..17).collect::<Vec<_>>()).setgroups(&[4, 2]).setresgid(100).setresuid(1000);
        plan.capset(CapMasks { effective: 1, permitted: 1, inheritable: 1 }).raise_ambient(0);
        plan.dumpable(true).no_new_privs().parent_death_signal(9).seccomp(&[0; 16], 0);
    }),
    ("listen", |plan| {
        plan.no_new_privs().purpose("load the filter").listen(&[0; 16], 0, [0x5ec2e7, 0x5ec2e7]);
    }),
    ("descriptors", |plan| {
        let file: Slot<Pty> = plan.preset("standard output");
        plan.dup_to(file, 1);
        let copy = plan.dup_cloexec(file, 7);
        let above = plan.dup_above(copy, 10);
        plan.keep_across_exec(above).mark_all_cloexec(3).loopback_up().close_range(20, u32::MAX);
    }),
];

fn built(build: Build) -> Plan {
    let mut plan = Builder::new();
    plan.host(HostStep::new("make what is needed", "remove it", |_| Ok(None)));
    plan.namespaces(0x2002_0000);
    plan.start_init();
    build(&mut plan);
    plan.purpose("become the program");
    plan.exec(&["/bin/true".into(), "/usr/bin/true".into()], &[b"true".to_vec()], &[b"A=b".to_vec()]);
    plan.await_exec();
    plan.seal().unwrap()
}

fn reaper() -> Plan {
    let mut plan = Builder::new();
    plan.into_cgroup();
    plan.start_init();
    plan.purpose("be the reaper");
    plan.notify_host("ready");
    plan.reap();
    plan.seal().unwrap()
}

fn opened() -> Plan {
    let mut plan = Builder::new();
    let program = plan.preset("program");
    plan.start_init();
    plan.purpose("become the program");
    plan.exec_open(program, &[b"true".to_vec()], &[b"A=b".to_vec()]);
    plan.await_exec();
    plan.seal().unwrap()
}

fn all() -> impl Iterator<Item = (&'static str, Plan)> {
    PLANS
        .into_iter()
        .map(|(name, build)| (name, built(build)))
        .chain([("reap", reaper()), ("exec_open", opened())])
}

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn check(name: &str, found: &str) {
    let path = golden(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, found).unwrap();
    }
    assert_eq!(found, fs::read_to_string(&path).unwrap_or_default(), "{}", path.display());
}

#[test]
fn text_and_json_are_as_committed() {
    for (name, plan) in all() {
        check(&format!("{name}.txt"), &plan.explain().to_string());
        check(&format!("{name}.json"), &(plan.to_json().unwrap() + "\n"));
    }
}

#[test]
fn no_file_is_left_over() {
    let mut wanted: Vec<String> =
        all().flat_map(|(name, _)| [format!("{name}.json"), format!("{name}.txt")]).collect();
    let mut found: Vec<String> = fs::read_dir(golden(""))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    wanted.sort();
    found.sort();
    assert_eq!(found, wanted);
}

/// Text, JSON, `steps` and `counts` are four views of one thing.
#[test]
fn the_views_agree() {
    for (name, plan) in all() {
        let json: serde_json::Value = serde_json::from_str(&plan.to_json().unwrap()).unwrap();
        let text = plan.explain().to_string();
        for (lane, key) in [(Lane::Child, "child"), (Lane::Host, "host")] {
            let steps: Vec<_> = plan.steps(lane).collect();
            assert_eq!(json[key].as_array().unwrap().len(), steps.len(), "{name}");
            for (index, step) in steps.iter().enumerate() {
                assert_eq!(json[key][index]["call"], step.call, "{name}");
                assert!(text.contains(&step.call), "{name}: {}", step.call);
            }
        }
        let counts = plan.counts();
        let syscalls: usize = plan.steps(Lane::Child).map(|step| step.syscalls).sum();
        assert_eq!((counts.child_syscalls, counts.child_steps), (syscalls, plan.len(Lane::Child)), "{name}");
        assert_eq!(json["counts"]["bytes"], counts.bytes, "{name}");
    }
}

/// Values of the environment may be secret; only their number is shown.
#[test]
fn no_variable_is_shown() {
    for (name, plan) in all() {
        let shown = plan.explain().to_string() + &plan.to_json().unwrap();
        assert!(!shown.contains("SECRET") && !shown.contains("A=b"), "{name}");
    }
}
