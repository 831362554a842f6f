//! Hooks of the host beside an image that would like to be part of them (class 1).

use libcontainer::{Factory, Hook, Hooks, ProcessConfig};

use crate::Attack;

/// CVE-2025-23266: the environment of the container, which the image writes, and a library of that name in the rootfs. The host's loader says so if it is asked to load what is none.
#[test]
fn hooks_take_nothing_from_the_image() {
    let Some(mut attack) = Attack::new("hooks") else { return };
    let log = attack.place.join("log");
    std::fs::create_dir(&log).unwrap();
    std::fs::write(attack.rootfs("evil.so"), "no library").unwrap();
    // A link to busybox until now.
    std::fs::remove_file(attack.rootfs("bin/id")).unwrap();
    std::fs::write(attack.rootfs("bin/id"), "#!/bin/sh\necho evil\n").unwrap();
    for entry in ["LD_PRELOAD=./evil.so", "LD_LIBRARY_PATH=.", "PATH=bin:/bin", "ENV=./evil.so"] {
        attack.config.environment.push(entry.into());
    }
    let script = |name: &str| format!("exec > {0}/{name} 2>&1; env; pwd; id", log.display());
    let hook = |name: &str| {
        let args = ["sh", "-c", &script(name)].map(str::to_owned).to_vec();
        let env = vec!["PATH=/usr/bin:/bin".to_owned()];
        vec![Hook { path: "/bin/sh".into(), args, env, timeout: Some(20), ..Hook::default() }]
    };
    attack.config.hooks = Hooks {
        prestart: hook("prestart"),
        create_runtime: hook("create_runtime"),
        create_container: hook("create_container"),
        start_container: Vec::new(),
        poststart: hook("poststart"),
        poststop: hook("poststop"),
    };
    let made =
        Factory::new().unwrap().run(attack.place.join("c"), &attack.config, ProcessConfig::new(["true"]));
    made.unwrap().0.destroy().unwrap();
    let rootfs = attack.config.rootfs.display().to_string();
    for name in ["prestart", "create_runtime", "create_container", "poststart", "poststop"] {
        let text = std::fs::read_to_string(log.join(name)).unwrap();
        assert!(text.contains("uid=0"), "{name}: {text}");
        for evil in ["evil", "LD_", "PATH=bin"] {
            assert!(!text.contains(evil), "{name}: {evil}: {text}");
        }
        // That of createContainer is the rootfs, as with runc: nothing is looked for there by what the image may say.
        assert_eq!(text.contains(&rootfs), name == "create_container", "{name}: {text}");
    }
}
