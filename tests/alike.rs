//! Docker's default confinement under this library, runc and crun on one machine: `/proc/self/status`, limits and the like, field by field.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use libcontainer::mount::MountConfig;
use libcontainer::{CapabilitySets, Config, Factory, Network, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip, text};
use serde_json::{Value, json};

/// Docker's default set.
const KEPT: [&str; 14] = [
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
];
/// The fields that are told. A filter is the business of other tests; signals that the caller ignores stay ignored there, and not here.
const FIELDS: &str = "Umask|Uid|Gid|Groups|CapInh|CapPrm|CapEff|CapBnd|CapAmb|NoNewPrivs|SigBlk|Cpus_allowed_list|Mems_allowed_list";
const MASKED: [&str; 6] = [
    "/proc/acpi",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/sched_debug",
];
const READ_ONLY: [&str; 5] = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// One case: user, groups, `no_new_privs`, ambient set.
#[derive(Clone, Copy)]
struct Case {
    name: &'static str,
    uid: u32,
    groups: &'static [u32],
    no_new_privs: bool,
    ambient: &'static [&'static str],
}

const CASES: [Case; 4] = [
    Case { name: "root", uid: 0, groups: &[], no_new_privs: false, ambient: &[] },
    Case { name: "root, no_new_privs", uid: 0, groups: &[5, 10], no_new_privs: true, ambient: &[] },
    Case { name: "user", uid: 4242, groups: &[20, 10], no_new_privs: false, ambient: &[] },
    Case { name: "user, ambient", uid: 4242, groups: &[10], no_new_privs: true, ambient: &["KILL", "CHOWN"] },
];

fn script() -> String {
    format!(
        "grep -E '^({FIELDS}):' /proc/self/status; cat /proc/self/limits; echo oom: $(cat /proc/self/oom_score_adj); \
        echo personality: $(cat /proc/self/personality); echo io: $(busybox ionice -p $$); echo cwd: $(pwd); \
        for path in {}; do echo $path: $(cat $path 2>/dev/null | head -c 1 | wc -c) $(ls -d $path/* 2>/dev/null | wc -l); done; for path in {}; do \
        echo $path: $(busybox touch -c $path 2>&1); done",
        MASKED.join(" "),
        READ_ONLY.join(" ")
    )
}

/// The same for runc and crun: config.json of the OCI runtime specification.
fn oci(case: Case, id: &str) -> Value {
    let full = |names: &[&str]| names.iter().map(|name| format!("CAP_{name}")).collect::<Vec<_>>();
    let (kept, ambient) = (full(&KEPT), full(case.ambient));
    let namespaces = ["pid", "network", "ipc", "uts", "mount"].map(|kind| json!({ "type": kind }));
    json!({
        "ociVersion": "1.0.2",
        "hostname": "inside",
        "root": { "path": "rootfs" },
        "mounts": [
            { "destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"] },
            { "destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755"] },
        ],
        "process": {
            "terminal": false,
            "user": { "uid": case.uid, "gid": case.uid, "additionalGids": case.groups, "umask": 0o027 },
            "args": ["sh", "-c", script()],
            "env": ["PATH=/bin"],
            "cwd": "/tmp",
            "noNewPrivileges": case.no_new_privs,
            "oomScoreAdj": 100,
            "rlimits": [{ "type": "RLIMIT_NOFILE", "soft": 512, "hard": 1024 }, { "type": "RLIMIT_CORE", "soft": 0, "hard": 0 }],
            "capabilities": { "bounding": kept, "effective": kept, "permitted": kept, "inheritable": ambient, "ambient": ambient },
        },
        "linux": {
            "cgroupsPath": format!("/{id}"),
            "namespaces": namespaces,
            "maskedPaths": MASKED,
            "readonlyPaths": READ_ONLY,
        },
    })
}

fn ours(case: Case, good: &Config) -> Config {
    let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
    let (kept, ambient) = (names(&KEPT), names(case.ambient));
    let sets = CapabilitySets {
        bounding: kept.clone(),
        effective: kept.clone(),
        permitted: kept,
        inheritable: ambient.clone(),
        ambient,
    };
    Config {
        user: format!("{0}:{0}", case.uid),
        additional_groups: case.groups.iter().map(ToString::to_string).collect(),
        capabilities: Vec::new(),
        capability_sets: Some(sets),
        no_new_privileges: case.no_new_privs,
        umask: Some(0o027),
        oom_score_adj: Some(100),
        working_dir: "/tmp".into(),
        networks: Vec::<Network>::new(),
        rlimits: serde_json::from_str(
            r#"[{"type":"RLIMIT_NOFILE","soft":512,"hard":1024},{"type":"RLIMIT_CORE","soft":0,"hard":0}]"#,
        )
        .unwrap(),
        mount_config: Some(MountConfig {
            masked_paths: MASKED.map(Into::into).to_vec(),
            readonly_paths: READ_ONLY.map(Into::into).to_vec(),
            ..MountConfig::default()
        }),
        restrict_sys: false,
        ..good.clone()
    }
}

/// Lines by what stands before their colon, or of limits their name.
fn fields(text: &str) -> BTreeMap<String, String> {
    let one = |line: &str| {
        let (name, value) = line.split_once(':').unwrap_or_else(|| line.split_at(line.len().min(26)));
        (name.trim().to_owned(), value.split_whitespace().collect::<Vec<_>>().join(" "))
    };
    text.lines().map(one).collect()
}

/// What a program of the OCI shows; the reason if it can't run here.
fn peer(program: &str, place: &Place, case: Case) -> Result<String, String> {
    let id = format!("lct-alike-{}-{}-{program}", std::process::id(), case.uid);
    let bundle = place.join("bundle");
    std::fs::create_dir_all(&bundle).unwrap();
    std::fs::write(
        bundle.join("config.json"),
        oci(case, &id).to_string().replace("\"rootfs\"", &format!("{:?}", place.join("rootfs"))),
    )
    .unwrap();
    let state = place.join("state");
    // crun refuses both versions at once: in a mount namespace of its own, so that nobody else is concerned.
    let alone =
        "for at in $(awk '$3 == \"cgroup2\" { print $2 }' /proc/mounts); do umount -l $at; done; exec \"$@\"";
    let run = |args: &[&str]| {
        let mut command = Command::new("unshare");
        command.args(["-m", "sh", "-c", alone, "sh", program, "--root"]).arg(&state).args(args);
        command.current_dir(&bundle).output()
    };
    let output = run(&["run", &id]).map_err(|error| error.to_string())?;
    let _ = run(&["delete", "--force", &id]);
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    if output.status.success() {
        Ok(said(&output.stdout))
    } else {
        Err(said(&output.stderr).trim().to_owned())
    }
}

fn own(place: &Place, config: &Config) -> [String; 2] {
    let factory = Factory::new().unwrap();
    let program = || ProcessConfig::new(["sh".to_owned(), "-c".to_owned(), script()]).piped();
    let (first, process) = factory.run(place.join("a"), config, program()).unwrap();
    let one = text(&process.output(1 << 20).unwrap());
    first.destroy().unwrap();
    let reaper = factory.create(place.join("b"), config).unwrap();
    let other = text(&reaper.start(program()).unwrap().output(1 << 20).unwrap());
    reaper.destroy().unwrap();
    [one, other]
}

#[test]
fn dockers_default_confinement_is_that_of_runc_and_crun() {
    const NAME: &str = "dockers_default_confinement_is_that_of_runc_and_crun";
    if !able(NAME) {
        return;
    }
    for program in ["runc", "crun"] {
        if !["/usr/bin", "/usr/sbin"].iter().any(|dir| Path::new(dir).join(program).exists()) {
            skip(NAME, &format!("{program} is not installed"));
            continue;
        }
        for case in CASES {
            let place = Place::new("alike");
            let good = config(&place.rootfs().unwrap());
            let [first, joined] = own(&place, &ours(case, &good));
            assert_eq!(fields(&first), fields(&joined), "{}", case.name);
            match peer(program, &place, case) {
                Ok(found) => {
                    let found = fields(&found);
                    assert!(found.len() > 13 + 16 + 5, "{found:#?}");
                    assert_eq!(fields(&first), found, "{program}: {}", case.name);
                }
                Err(reason) => {
                    skip(NAME, &format!("{program} does not run here: {reason}"));
                    break;
                }
            }
        }
    }
}
