//! What podman 4.3, buildah 1.28, containerd 1.6 and Docker 20.10 really write, as Debian 12 has them. Numbers of containers and of processes are replaced.

use std::path::{Path, PathBuf};

use libcontainer_oci::spec::Process;
use libcontainer_oci::{Options, Problem, Spec, convert, process};

fn fixtures(suffix: &str, not: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let entries = std::fs::read_dir(&dir).into_iter().flatten().flatten();
    let fits = |path: &PathBuf| {
        let name = path.to_string_lossy();
        name.ends_with(suffix) && (not.is_empty() || !name.ends_with(not))
    };
    entries.map(|entry| entry.path()).filter(fits).collect()
}

fn listed(all: &[Problem]) -> String {
    all.iter().map(|problem| format!("\n  {problem}")).collect()
}

#[test]
fn what_clients_write_is_converted() {
    let mut refused = String::new();
    let all = fixtures(".json", ".process.json");
    assert!(all.len() > 15, "{}", all.len());
    for path in all {
        let spec = Spec::from_json(&std::fs::read(&path).unwrap()).unwrap();
        let options =
            Options { bundle: "/bundle".into(), id: "name".into(), cgroups: true, ..Options::default() };
        match convert(&spec, &options) {
            Ok(converted) => assert!(converted.process.is_some(), "{}", path.display()),
            Err(problems) => refused.push_str(&format!("{}:{}\n", path.display(), listed(&problems))),
        }
    }
    assert!(refused.is_empty(), "{refused}");
}

#[test]
fn what_clients_execute_is_converted() {
    let all = fixtures(".process.json", "");
    assert!(all.len() > 4, "{}", all.len());
    for path in all {
        let read = Process::from_json(&std::fs::read(&path).unwrap()).unwrap();
        let converted = process(&read);
        assert!(converted.is_ok(), "{}:{}", path.display(), listed(&converted.unwrap_err()));
    }
}

#[test]
fn nothing_of_a_real_config_is_unknown() {
    for path in fixtures(".json", ".process.json") {
        let spec = Spec::from_json(&std::fs::read(&path).unwrap()).unwrap();
        assert!(spec.notes.is_empty(), "{}: {:?}", path.display(), spec.notes);
    }
}
