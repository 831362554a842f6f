//! OCI's `config.json`, and alone its `process` and `linux.resources`: what is accepted can be told as a config of the specification again.
#![no_main]

use libcontainer_oci::spec::{Process, resources_from_json};
use libcontainer_oci::{Options, Spec, convert, from_config, process, resources};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let _ = resources_from_json(bytes).map(|(all, _)| resources(&all));
    let _ = Process::from_json(bytes).map(|one| process(&one));
    let Ok(spec) = Spec::from_json(bytes) else { return };
    for (systemd_cgroup, rootless) in [(false, false), (true, true)] {
        let bundle = "/srv/bundle".into();
        let options =
            Options { bundle, id: "c".into(), cgroups: true, systemd_cgroup, rootless, ..Options::default() };
        let Ok(converted) = convert(&spec, &options) else { continue };
        let (back, _) = from_config(&converted.config);
        let text = serde_json::to_vec(&back).expect("a config that was read can be written");
        let again = Spec::from_json(&text).expect("what was written can be read");
        assert!(convert(&again, &options).is_ok(), "{}", String::from_utf8_lossy(&text));
    }
});
