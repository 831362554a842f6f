//! Every example of every crate runs, and says what it is for.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test ends by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use libcontainer_oci::default_spec;
use libcontainer_tests::{Place, able, skip};
use serde_json::json;

/// Name, arguments, exit code, what it prints. `PLACE` is a directory with a rootfs and a bundle.
const EXAMPLES: [(&str, &[&str], i32, &str); 13] = [
    (
        "build_rootfs",
        &["PLACE/built", "/bin/sh", "-c", "touch /tmp/x && echo is there: /tmp/x"],
        0,
        "is there: /tmp/x",
    ),
    ("busy_threads", &[], 0, "100"),
    // It goes on for ever: timeout(1) ends it.
    ("cgroup_top", &["/"], 124, "MEMORY"),
    ("cpu_quota", &["1"], 0, "quota 50 %"),
    ("drop_caps", &["CHOWN", "--", "grep", "CapEff", "/proc/self/status"], 0, "0000000000000001"),
    ("hello", &[], 0, "\nhello\n"),
    ("in_process", &["PLACE/rootfs", "sh", "-c", "echo pid $$"], 0, "pid "),
    ("ip_like", &[], 0, "lo"),
    ("mount_tree", &[], 0, "/proc proc"),
    ("notify", &["mkdir", "PLACE/refused"], 0, "mkdir"),
    ("poll_pidfds", &[], 0, "exit"),
    ("run_bundle", &["PLACE", "PLACE/state"], 0, "of the bundle"),
    ("warm", &[], 0, "0 failures"),
];

#[test]
fn each_example_runs() {
    if !able("each_example_runs") {
        return;
    }
    let own = std::env::current_exe().unwrap();
    let dir = own.ancestors().nth(2).unwrap().join("examples");
    if !EXAMPLES.iter().all(|(name, ..)| dir.join(name).exists()) {
        return skip("each_example_runs", "the examples are not built: cargo build --workspace --examples");
    }
    let place = Place::new("examples");
    bundle(&place);
    let bad: Vec<_> = EXAMPLES
        .iter()
        .filter_map(|(name, args, code, wanted)| run(&dir.join(name), &place, (args, *code, wanted)))
        .collect();
    assert!(bad.is_empty(), "{}", bad.join("\n"));
    assert!(!place.join("refused").exists(), "the example of a listener refuses");
}

fn bundle(place: &Place) {
    place.rootfs().unwrap();
    fs::create_dir(place.join("built")).unwrap();
    let mut config = serde_json::to_value(default_spec(false)).unwrap();
    config["process"]["terminal"] = json!(false);
    config["process"]["args"] = json!(["echo", "of the bundle"]);
    config["linux"]["cgroupsPath"] = json!(Path::new("/").join(place.path().file_name().unwrap()));
    fs::write(place.join("config.json"), config.to_string()).unwrap();
}

/// What is wrong, if anything is.
fn run(program: &Path, place: &Place, (args, code, wanted): (&[&str], i32, &str)) -> Option<String> {
    let dir = place.path().to_str().unwrap();
    // One that never ends has time to begin, the others to end on a busy machine.
    let limit = if code == 124 { "5" } else { "200" };
    let mut command = Command::new("timeout");
    command.arg(limit).arg(program).args(args.iter().map(|arg| arg.replace("PLACE", dir)));
    let output = command.stdin(Stdio::null()).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    let right = output.status.code() == Some(code) && text.contains(wanted);
    (!right)
        .then(|| format!("{}: {:?}, wanted {code} and {wanted:?}: {text}", program.display(), output.status))
}

/// One that is new has to come into the table above.
#[test]
fn the_table_has_all_examples() {
    let crates = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../crates");
    let files = |dir: PathBuf| fs::read_dir(dir).into_iter().flatten().map(|entry| entry.unwrap().path());
    let all = files(crates).flat_map(|one| files(one.join("examples")));
    let found: BTreeSet<String> = all
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"))
        .map(|path| path.file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();
    let listed: BTreeSet<String> = EXAMPLES.iter().map(|(name, ..)| (*name).to_owned()).collect();
    assert_eq!(found, listed);
}
