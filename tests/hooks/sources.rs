//! Hooks that put another thing in the place of a bind's source: what is bound is what was looked at.

use std::path::Path;

use libcontainer::{Config, Container, Factory, Process, ProcessConfig};
use libcontainer_tests::{Place, able, config, text};

use super::{list, sh};

/// Those that have the host's names. All run behind the mounts.
const NAMES: [&str; 5] = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];

/// A directory bound at `/shared`, and a hook that replaces it, once.
fn replaced_by(name: &str, place: &Place) -> Config {
    let source = place.join("source");
    std::fs::create_dir(&source).unwrap();
    std::fs::write(source.join("f"), "before").unwrap();
    let mut config = config(&place.rootfs().unwrap());
    let mounts =
        serde_json::json!({"mounts": [{"type": "bind", "source": source, "destination": "/shared"}]});
    config.mount_config = Some(serde_json::from_value(mounts).unwrap());
    *list(&mut config.hooks, name) = vec![sh(&replace(&source))];
    config
}

fn replace(source: &Path) -> String {
    let dir = source.display();
    format!("test -e {dir}.old || {{ mv {dir} {dir}.old && mkdir {dir} && printf after > {dir}/f; }}")
}

fn look() -> ProcessConfig {
    ProcessConfig::new(["cat", "/shared/f"]).piped()
}

fn seen((container, process): (Container, Process)) -> String {
    let found = text(&process.output(1 << 16).unwrap());
    container.destroy_now().unwrap();
    found
}

#[test]
fn a_source_that_a_hook_replaces_is_the_next_containers() {
    if !able("a_source_that_a_hook_replaces_is_the_next_containers") {
        return;
    }
    for name in NAMES {
        let place = Place::new("hooks-source");
        let config = replaced_by(name, &place);
        let run = || Factory::new().unwrap().run(place.join("c"), &config, look()).unwrap();
        assert_eq!(seen(run()), "before", "{name}: what was there when it was made");
        assert_eq!(seen(run()), "after", "{name}: what is there now");
    }
}

/// One look for all of its containers: the second has a source that is no longer what was looked at.
#[test]
fn a_template_refuses_a_source_that_a_hook_has_replaced() {
    if !able("a_template_refuses_a_source_that_a_hook_has_replaced") {
        return;
    }
    for name in NAMES {
        let place = Place::new("hooks-template");
        let config = replaced_by(name, &place);
        let template = Factory::new().unwrap().template(place.path(), &config).unwrap();
        assert_eq!(seen(template.run("a", look()).unwrap()), "before", "{name}");
        let error = template.run("b", look()).unwrap_err().to_string();
        let source = place.join("source");
        assert!(
            error.contains(&format!("see that {} is still what it was", source.display())),
            "{name}: {error}"
        );
        assert!(!place.join("b").exists(), "{name}");
    }
}
