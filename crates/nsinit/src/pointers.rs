//! What is wrong with a config.json, in its own pointers: the library knows only the config that was made of it.

use libcontainer::{Error, Problem};
use libcontainer_oci::{Spec, translated};

use crate::failure::Failure;

/// A config.json, by which the library's pointers are translated.
#[derive(Debug)]
pub(crate) struct Words {
    name: String,
    spec: Spec,
}

impl Words {
    pub(crate) fn new(name: String, spec: Spec) -> Self {
        Self { name, spec }
    }

    /// The failure of an error that points into the config; nothing of another error.
    pub(crate) fn of(&self, error: &Error) -> Option<Failure> {
        let problems = error.config_problems();
        if problems.is_empty() {
            return self.of_text(&error.to_string());
        }
        let all: Vec<_> = problems.iter().map(|problem| translated(problem.clone(), &self.spec)).collect();
        Some(refused(&self.name, &all))
    }

    /// `/user: …`, or behind what was done: `create "c": /namespaces/NEWNET: …`. What looks so and is no pointer is translated to itself.
    fn of_text(&self, text: &str) -> Option<Failure> {
        let begin = if text.starts_with('/') { 0 } else { text.find("\": /")? + "\": ".len() };
        let (pointer, message) = text.get(begin..)?.split_once(": ")?;
        let own = Problem { pointer: pointer.to_owned(), message: message.to_owned(), remedy: None };
        let found = translated(own, &self.spec);
        (found.pointer != pointer).then(|| refused(&self.name, &[found]))
    }
}

/// Everything that is wrong with a file, in one failure.
pub(crate) fn refused(name: &str, problems: &[Problem]) -> Failure {
    let all: Vec<_> = problems.iter().map(ToString::to_string).collect();
    Failure::new(format!("{name}: {}", all.join("; ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Option<String> {
        let spec = r#"{"ociVersion": "1.0.2", "linux": {"namespaces": [{"type": "network", "path": "/x"}]}}"#;
        let spec = Spec::from_json(spec.as_bytes()).unwrap();
        Words::new("/b/config.json".to_owned(), spec).of_text(text).map(|failure| failure.to_string())
    }

    #[test]
    fn pointers_are_those_of_config_json() {
        let says = |text: &str, wanted: &str| {
            assert_eq!(told(text).as_deref(), Some(format!("/b/config.json: {wanted}").as_str()), "{text}");
        };
        says("/user: user 7 is not mapped", "/process/user: user 7 is not mapped");
        says("create \"c\": /namespaces/NEWNET: /x: ENOENT", "/linux/namespaces/0: /x: ENOENT");
        says("/mount_config/mounts/7/source: /a: ENOENT", "/mounts/7/source: /a: ENOENT");
        for text in [
            "open rootfs /b: ENOENT",
            "create \"c\": step 1/2: mount: EPERM",
            "/b/state: EACCES",
            "create \"c\": /b/x: ENOENT",
        ] {
            assert_eq!(told(text), None, "{text}");
        }
    }
}
