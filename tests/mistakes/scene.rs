//! A bundle that is right, on which one mistake is made, and what a runtime says of it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use libcontainer_oci::default_spec;
use libcontainer_tests::{Place, World};
use serde_json::{Value, json};

use crate::runtime::Runtime;

type Make = dyn Fn(&mut Scene) -> Vec<String> + Send + Sync;

/// A thing that a user does wrong.
pub(crate) struct Mistake {
    /// In a few words.
    pub(crate) name: String,
    /// Makes it, and says with which arguments the runtime is called.
    make: Box<Make>,
    /// The exit code of `nsinit`.
    pub(crate) code: i32,
    /// What its message must have: the object, the cause, the remedy.
    pub(crate) wanted: Vec<String>,
}

impl Mistake {
    pub(crate) fn new(
        name: &str,
        code: i32,
        wanted: &[&str],
        make: impl Fn(&mut Scene) -> Vec<String> + Send + Sync + 'static,
    ) -> Self {
        let wanted = wanted.iter().map(|&part| part.to_owned()).collect();
        Self { name: name.to_owned(), make: Box::new(make), code, wanted }
    }
}

/// A bundle and a runtime.
pub(crate) struct Scene {
    pub(crate) place: Place,
    /// config.json, as it is written when the mistake was made.
    pub(crate) config: Value,
    /// Another text in its place, or nothing for no file at all.
    pub(crate) text: Option<Option<String>>,
    /// The directory of states.
    pub(crate) root: PathBuf,
    /// What stands before the runtime: a command that runs it.
    pub(crate) before: Vec<String>,
    program: PathBuf,
}

/// What a runtime said.
pub(crate) struct Told {
    pub(crate) code: Option<i32>,
    /// Paths of the scene are shortened to `/b`; times and log formats are taken off.
    pub(crate) text: String,
    /// What it left behind, for ours.
    pub(crate) left: Option<String>,
}

/// Makes a mistake with a runtime.
pub(crate) fn tried(mistake: &Mistake, runtime: &Runtime) -> Told {
    let mut scene = Scene::new(runtime);
    let args = (mistake.make)(&mut scene);
    scene.write();
    let before = World::look(scene.place.path()).but_files();
    let (code, text) = scene.call(&args.iter().map(String::as_str).collect::<Vec<_>>());
    let left = World::look(scene.place.path()).but_files().more_than(&before);
    let text = scene.plain(&text);
    scene.end();
    Told { code, text, left }
}

impl Scene {
    fn new(runtime: &Runtime) -> Self {
        let place = Place::new("mistake");
        place.rootfs().unwrap();
        let mut config = serde_json::to_value(default_spec(false)).unwrap();
        // What crun of Debian 12 knows.
        config["ociVersion"] = json!("1.0.2");
        config["process"]["env"] = json!(["PATH=/bin"]);
        config["process"]["terminal"] = json!(false);
        config["process"]["args"] = json!(["sleep", "0"]);
        config["root"]["readonly"] = json!(false);
        let group = PathBuf::from("/").join(place.path().file_name().unwrap());
        config["linux"]["cgroupsPath"] = json!(group);
        let root = place.join("state");
        fs::create_dir(&root).unwrap();
        Self { root, config, text: None, before: Vec::new(), program: runtime.program.clone(), place }
    }

    pub(crate) fn write(&self) {
        let path = self.place.join("config.json");
        match &self.text {
            None => fs::write(path, serde_json::to_vec_pretty(&self.config).unwrap()).unwrap(),
            Some(Some(text)) => fs::write(path, text).unwrap(),
            Some(None) => {}
        }
    }

    /// A path of the bundle as text.
    pub(crate) fn at(&self, name: &str) -> String {
        self.place.join(name).to_str().unwrap().to_owned()
    }

    /// Calls the runtime; what it says on standard error goes to a file, as a container may keep that open.
    pub(crate) fn call(&self, args: &[&str]) -> (Option<i32>, String) {
        let said = self.place.join("said");
        let mut line: Vec<_> = self.before.iter().map(Into::into).collect();
        line.extend([self.program.clone().into_os_string(), "--root".into(), self.root.clone().into()]);
        let mut command = Command::new("timeout");
        command.args(["-k", "1", "20"]).args(line).args(args).current_dir(self.place.path());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(fs::File::create(&said).unwrap());
        let status = command.status().unwrap();
        (status.code(), String::from_utf8_lossy(&fs::read(said).unwrap()).into_owned())
    }

    /// The same, which must go well; some mistakes need a container.
    pub(crate) fn done(&self, args: &[&str]) {
        let (code, text) = self.call(args);
        assert_eq!(code, Some(0), "{} {args:?}: {text}", self.program.display());
    }

    /// A container that runs.
    pub(crate) fn running(&mut self) {
        self.config["process"]["args"] = json!(["sleep", "300"]);
        self.write();
        self.done(&["run", "--detach", "--bundle", &self.at(""), "c"]);
    }

    /// The status that `state` prints.
    pub(crate) fn status(&self) -> String {
        let mut command = Command::new(&self.program);
        let output = command.arg("--root").arg(&self.root).args(["state", "c"]).output().unwrap();
        let state: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        state["status"].as_str().unwrap_or_default().to_owned()
    }

    fn end(&self) {
        let _ = self.call(&["delete", "--force", "c"]);
    }

    fn plain(&self, text: &str) -> String {
        let dir = self.place.path().to_str().unwrap();
        let name = self.place.path().file_name().unwrap().to_str().unwrap();
        let lines: Vec<_> = text.lines().map(message).filter(|line| !line.is_empty()).collect();
        lines.join("\n").replace(&format!("{dir}/"), "/b/").replace(dir, "/b").replace(name, "b")
    }
}

/// The message of a line: runc writes `time="…" level=error msg="…"`, crun a time before it.
fn message(line: &str) -> String {
    if let Some((_, rest)) = line.split_once(" msg=") {
        return serde_json::from_str(rest).unwrap_or_else(|_| rest.to_owned());
    }
    let timed = line.split_once("Z: ").filter(|(time, _)| time.starts_with("20") && !time.contains(' '));
    timed.map_or(line, |(_, rest)| rest).to_owned()
}

/// The arguments of `run` of the bundle.
pub(crate) fn run(scene: &Scene) -> Vec<String> {
    words(&["run", "--bundle", &scene.at(""), "c"])
}

pub(crate) fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(|&word| word.to_owned()).collect()
}
