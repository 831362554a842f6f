//! The commands under test: what is set up before, what is run, and what it may change.

/// Which config a scene's container has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Bundle {
    /// Bridge, addresses, port, user, limits, mounts, a device.
    Full,
    /// The same with a terminal and without a network.
    Terminal,
    /// Of an ordinary user, in a user namespace.
    User,
}

impl Bundle {
    pub(crate) const ALL: [Self; 3] = [Self::Full, Self::Terminal, Self::User];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Terminal => "terminal",
            Self::User => "user",
        }
    }
}

/// Which program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Nsinit,
    Library,
}

/// One command. In its words `ID` is the container's name and `BUNDLE` its bundle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) setup: &'static [&'static str],
    pub(crate) command: &'static str,
    pub(crate) tool: Tool,
    pub(crate) bundle: Bundle,
    /// A program of the container begins.
    pub(crate) begins: bool,
    /// It changes nothing, so that the container serves more than once.
    pub(crate) reads: bool,
}

const RUNNING: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000"];
const CREATED: &[&str] = &["create --bundle BUNDLE ID sleep 1000"];
const PAUSED: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000", "pause ID"];

const fn scene(name: &'static str, setup: &'static [&'static str], command: &'static str) -> Scene {
    Scene { name, setup, command, tool: Tool::Nsinit, bundle: Bundle::Full, begins: false, reads: false }
}

const fn beginning(scene: Scene) -> Scene {
    Scene { begins: true, ..scene }
}

const fn reading(scene: Scene) -> Scene {
    Scene { reads: true, ..scene }
}

const fn of(bundle: Bundle, scene: Scene) -> Scene {
    Scene { bundle, ..scene }
}

/// All scenes.
pub(crate) const SCENES: &[Scene] = &[
    beginning(scene("run", &[], "run --bundle BUNDLE ID true")),
    beginning(scene("run-detached", &[], "run --detach --bundle BUNDLE ID sleep 1000")),
    scene("create", &[], "create --bundle BUNDLE ID sleep 1000"),
    beginning(scene("start", CREATED, "start ID")),
    beginning(scene("exec", RUNNING, "exec ID true")),
    scene("kill", RUNNING, "kill ID KILL"),
    scene("pause", RUNNING, "pause ID"),
    scene("resume", PAUSED, "resume ID"),
    scene("update", RUNNING, "update --memory 64m --memory-swap 128m --pids-limit 50 --cpu-quota 20000 ID"),
    reading(scene("stats", RUNNING, "stats --format json ID")),
    reading(scene("ps", RUNNING, "ps ID")),
    reading(scene("net", RUNNING, "net ID")),
    reading(scene("list", RUNNING, "list")),
    reading(scene("state", RUNNING, "state ID")),
    reading(scene("events", RUNNING, "events --stats ID")),
    scene("delete", RUNNING, "delete --force ID"),
    scene("delete-created", CREATED, "delete --force ID"),
    reading(scene("explain", &[], "explain BUNDLE")),
    reading(scene("config", &[], "config BUNDLE")),
    reading(scene("check", &[], "check")),
    beginning(Scene { tool: Tool::Library, ..scene("library", &[], "ID BUNDLE") }),
    of(Bundle::Terminal, beginning(scene("run+tty", &[], "run --bundle BUNDLE ID true"))),
    of(Bundle::Terminal, beginning(scene("exec+tty", RUNNING_TTY, "exec --tty ID true"))),
    of(Bundle::User, beginning(scene("run+user", &[], "run --bundle BUNDLE ID true"))),
    of(Bundle::User, scene("create+user", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::User, beginning(scene("start+user", CREATED, "start ID"))),
    of(Bundle::User, beginning(scene("exec+user", RUNNING, "exec ID true"))),
    of(Bundle::User, scene("kill+user", RUNNING, "kill ID KILL")),
    of(Bundle::User, reading(scene("list+user", RUNNING, "list"))),
    of(Bundle::User, reading(scene("state+user", RUNNING, "state ID"))),
    of(Bundle::User, scene("delete+user", RUNNING, "delete --force ID")),
];

/// A container of the full config: one with a terminal can't be left alone.
const RUNNING_TTY: &[&str] = &["run --detach --bundle FULL ID sleep 1000"];

/// The scene of a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Scene> {
    SCENES.iter().find(|scene| scene.name == name)
}
