//! Hooks of an ordinary user: in the user's own right outside, as root of the user namespace inside.

use std::fs;

use libcontainer::{Hook, Hooks};

use crate::{Ordinary, USER};

const NAMES: [&str; 6] =
    ["prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"];

#[test]
fn hooks_run_without_root() {
    let Some(mut ordinary) = Ordinary::new("rootless-hooks") else { return };
    let log = ordinary.place.join("rootfs/tmp");
    let hook = |name: &str, dir: &str| {
        let script = format!(
            "(echo {name}; id -u; readlink /proc/self/ns/mnt) >> {dir}/{name}; echo {name} >> {dir}/order"
        );
        let args = ["sh", "-c", &script].map(str::to_owned).to_vec();
        vec![Hook {
            path: "/bin/sh".into(),
            args,
            env: vec!["PATH=/usr/bin:/bin".into()],
            timeout: Some(20),
            ..Hook::default()
        }]
    };
    let outside = log.display().to_string();
    ordinary.config.hooks = Hooks {
        prestart: hook(NAMES[0], &outside),
        create_runtime: hook(NAMES[1], &outside),
        create_container: hook(NAMES[2], &outside),
        start_container: hook(NAMES[3], "/tmp"),
        poststart: hook(NAMES[4], &outside),
        poststop: hook(NAMES[5], &outside),
    };
    ordinary.config.args = ["sleep", "60"].map(str::to_owned).to_vec();
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    let state = ordinary.state();
    let mut command = ordinary.command(ordinary.place.join("nsinit").to_str().unwrap(), &["--root"]);
    command.arg(&state).args(["run", "--detach", "web"]).stdout(std::process::Stdio::null());
    // A file: the program has it as long as it runs.
    let said = ordinary.place.join("said");
    let status = command.stderr(fs::File::create(&said).unwrap()).status().unwrap();
    assert!(status.success(), "{}", fs::read_to_string(&said).unwrap());
    assert_eq!(ordinary.nsinit(&state, &["delete", "--force", "web"]), (Some(0), String::new()));
    let lines = |name: &str| -> Vec<String> {
        fs::read_to_string(log.join(name)).unwrap_or_default().lines().map(str::to_owned).collect()
    };
    assert_eq!(lines("order"), NAMES);
    let host = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
    for name in NAMES {
        let found = lines(name);
        let is_inside = ["createContainer", "startContainer"].contains(&name);
        assert_eq!(found[1], if is_inside { "0".to_owned() } else { USER.to_string() }, "{name}");
        assert_eq!(found[2] != host, is_inside, "{name}");
    }
}
