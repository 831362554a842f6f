//! The commands under test: what is set up before, what is run, and what it may change.

use crate::bundle::Bundle;

/// Which program is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Nsinit,
    Library,
    /// By itself, as `start` leaves it, and called as containerd calls it.
    Shim,
}

/// When a command that did not come to its end leaves the container as it was before, or as it is behind its success.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Whole {
    /// What is left is told by one delete alone.
    #[default]
    Never,
    /// After an error.
    Told,
    /// Also when it was killed.
    Always,
}

/// One command. In its words `ID` is the container's name, `BUNDLE` its bundle, `IMAGES` where its checkpoint lies, `CRIU` a criu and `STANDIN` what stands in for one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scene {
    pub(crate) name: &'static str,
    pub(crate) setup: &'static [&'static str],
    pub(crate) command: &'static str,
    pub(crate) tool: Tool,
    pub(crate) bundle: Bundle,
    /// A program of the container begins.
    pub(crate) begins: bool,
    /// Its container ends, and with it the network, when the kernel gets to that.
    pub(crate) ends: bool,
    /// It changes nothing, so that the container serves more than once.
    pub(crate) reads: bool,
    /// Its first program leaves its calls to the tool, which is traced itself and would note ours.
    pub(crate) watches: bool,
    pub(crate) whole: Whole,
}

/// Whose answer is what is wrong.
pub(crate) const VALIDATE: &str = "validate";
/// The one that is called.
pub(crate) const SHIM: &str = "shim";
/// The command of all commands.
pub(crate) const RUN: &str = "run --bundle BUNDLE ID true";
const RUNNING: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000"];
const SHORT: &[&str] = &["run --detach --bundle BUNDLE ID sleep 0.4"];
const ENDED: &[&str] = &["run --keep --bundle BUNDLE ID true"];
const CREATED: &[&str] = &["create --bundle BUNDLE ID sleep 1000"];
const UPDATE: &str = "update --memory 64m --memory-swap 128m --pids-limit 50 --cpu-quota 20000 ID";
const UPDATE_ODD: &str = "update --memory-reservation 32m --cpu-shares 256 --cpu-period 50000 --cpu-quota 25000 --cpuset-mems 0 ID";
/// It keeps the parent of the others' groups, and comes last by its name.
const HOLDER: &[&str] = &["run --detach --bundle BUNDLE zz-holder sleep 1000"];
const WITH_MOUNT: &[&str] =
    &["run --detach --bundle BUNDLE ID sleep 1000", "mounts add --options ro ID BUNDLE /mnt/added"];
const PAUSED: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000", "pause ID"];

const fn scene(name: &'static str, setup: &'static [&'static str], command: &'static str) -> Scene {
    Scene {
        name,
        setup,
        command,
        tool: Tool::Nsinit,
        bundle: Bundle::Full,
        begins: false,
        ends: false,
        reads: false,
        watches: false,
        whole: Whole::Never,
    }
}

const fn library(name: &'static str, setup: &'static [&'static str], command: &'static str) -> Scene {
    Scene { tool: Tool::Library, ..scene(name, setup, command) }
}

const fn beginning(scene: Scene) -> Scene {
    Scene { begins: true, ..scene }
}

const fn reading(scene: Scene) -> Scene {
    Scene { reads: true, ..scene }
}

const fn ending(scene: Scene) -> Scene {
    Scene { ends: true, ..scene }
}

const fn told(scene: Scene) -> Scene {
    Scene { whole: Whole::Told, ..scene }
}

const fn whole(scene: Scene) -> Scene {
    Scene { whole: Whole::Always, ..scene }
}

const fn of(bundle: Bundle, scene: Scene) -> Scene {
    Scene { bundle, ..scene }
}

/// All scenes.
pub(crate) const SCENES: &[Scene] = &[
    beginning(scene("run", &[], RUN)),
    beginning(scene("run-detached", &[], "run --detach --bundle BUNDLE ID sleep 1000")),
    scene("create", &[], "create --bundle BUNDLE ID sleep 1000"),
    beginning(scene("start", CREATED, "start ID")),
    beginning(scene("exec", RUNNING, "exec ID true")),
    ending(scene("kill", RUNNING, "kill ID KILL")),
    told(scene("pause", RUNNING, "pause ID")),
    told(scene("resume", PAUSED, "resume ID")),
    told(scene("update", RUNNING, UPDATE)),
    reading(scene("stats", RUNNING, "stats --format json ID")),
    reading(scene("ps", RUNNING, "ps ID")),
    reading(scene("net", RUNNING, "net ID")),
    reading(scene("list", RUNNING, "list")),
    reading(scene("state", RUNNING, "state ID")),
    reading(scene("events", RUNNING, "events --stats ID")),
    ending(scene("events-to-the-end", SHORT, "events ID")),
    scene("delete", RUNNING, "delete --force ID"),
    scene("delete-created", CREATED, "delete --force ID"),
    reading(scene("explain", &[], "explain BUNDLE")),
    reading(scene("config", &[], "config BUNDLE")),
    reading(scene("check", &[], "check")),
    beginning(library("library", &[], "ID BUNDLE")),
    of(Bundle::Many, beginning(library("template", HOLDER, "ID BUNDLE template"))),
    beginning(scene("try", &[], "try -- true")),
    of(Bundle::Terminal, beginning(scene("run+tty", &[], RUN))),
    of(Bundle::Terminal, beginning(scene("exec+tty", RUNNING_TTY, "exec --tty ID true"))),
    of(Bundle::User, beginning(scene("run+user", &[], RUN))),
    of(Bundle::User, scene("create+user", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::User, beginning(scene("start+user", CREATED, "start ID"))),
    of(Bundle::User, beginning(scene("exec+user", RUNNING, "exec ID true"))),
    of(Bundle::User, ending(scene("kill+user", RUNNING, "kill ID KILL"))),
    of(Bundle::User, reading(scene("list+user", RUNNING, "list"))),
    of(Bundle::User, reading(scene("state+user", RUNNING, "state ID"))),
    of(Bundle::User, scene("delete+user", RUNNING, "delete --force ID")),
    of(Bundle::Ids, beginning(scene("run+ids", &[], RUN))),
    of(Bundle::Ids, beginning(scene("exec+ids", RUNNING, "exec ID true"))),
    of(Bundle::Ids, scene("delete+ids", RUNNING, "delete --force ID")),
    of(Bundle::Odd, beginning(scene("run+odd", &[], RUN))),
    of(Bundle::Odd, scene("create+odd", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Odd, beginning(scene("start+odd", CREATED, "start ID"))),
    of(Bundle::Odd, beginning(scene("exec+odd", RUNNING, "exec --user 5:6 --cwd /tmp --env A=B ID true"))),
    of(Bundle::Odd, told(scene("update+odd", RUNNING, UPDATE_ODD))),
    of(Bundle::Odd, scene("delete+odd", RUNNING, "delete --force ID")),
    of(Bundle::Mapped, beginning(scene("run+mapped", &[], RUN))),
    of(Bundle::Mapped, beginning(scene("exec+mapped", RUNNING, "exec ID true"))),
    of(Bundle::Mapped, scene("delete+mapped", RUNNING, "delete --force ID")),
    of(Bundle::Joined, beginning(scene("run+joined", &[], RUN))),
    of(Bundle::Joined, beginning(scene("exec+joined", RUNNING, "exec ID true"))),
    of(Bundle::Joined, scene("delete+joined", RUNNING, "delete --force ID")),
    of(Bundle::Listened, beginning(scene("run+listened", &[], RUN))),
    of(Bundle::Listened, scene("create+listened", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Listened, beginning(scene("start+listened", CREATED, "start ID"))),
    of(Bundle::Listened, beginning(scene("exec+listened", RUNNING, "exec ID true"))),
    of(Bundle::Listened, beginning(library("library+listened", &[], "ID BUNDLE"))),
    of(Bundle::Guarded, beginning(scene("run+guarded", &[], RUN))),
    of(Bundle::Guarded, scene("create+guarded", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Guarded, beginning(scene("start+guarded", CREATED, "start ID"))),
    of(Bundle::Guarded, beginning(scene("exec+guarded", RUNNING, "exec ID true"))),
    of(Bundle::Guarded, beginning(library("library+guarded", &[], "ID BUNDLE"))),
    beginning(Scene { watches: true, ..scene("record", &[], "seccomp record --output OUT -- true") }),
    beginning(scene("exec-detached", RUNNING, "exec --detach --user root ID sleep 1000")),
    scene("delete-ended", ENDED, "delete ID"),
    reading(scene("state-ended", ENDED, "state ID")),
    reading(scene("stats-table", RUNNING, "stats ID")),
    reading(scene("ps-json", RUNNING, "ps --format json ID")),
    reading(scene("net-json", RUNNING, "net --format json ID")),
    reading(scene("mounts-list", RUNNING, "mounts list ID")),
    scene("mounts-add", RUNNING, "mounts add --options ro,nosuid ID BUNDLE /mnt/added"),
    scene("mounts-add-tmpfs", RUNNING, "mounts add --type tmpfs --options size=1m ID none /mnt/added"),
    scene("mounts-remove", WITH_MOUNT, "mounts remove ID /mnt/added"),
    scene("delete-mounts", WITH_MOUNT, "delete --force ID"),
    reading(scene(VALIDATE, &[], "validate BUNDLE")),
    reading(scene("list-json", RUNNING, "list --format json")),
    beginning(scene("try-net", &[], "try --net -- true")),
    beginning(scene("try-warm", &[], "try --warm -- true")),
    of(Bundle::Systemd, beginning(scene("run+systemd", &[], RUN))),
    of(Bundle::Systemd, scene("create+systemd", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Systemd, beginning(scene("exec+systemd", RUNNING, "exec ID true"))),
    of(Bundle::Systemd, told(scene("pause+systemd", RUNNING, "pause ID"))),
    of(Bundle::Systemd, told(scene("update+systemd", RUNNING, UPDATE))),
    of(Bundle::Systemd, scene("delete+systemd", RUNNING, "delete --force ID")),
    of(Bundle::Hooked, beginning(scene("run+hooks", &[], RUN))),
    of(Bundle::Hooked, scene("create+hooks", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Hooked, beginning(scene("start+hooks", CREATED, "start ID"))),
    of(Bundle::Hooked, scene("delete+hooks", RUNNING, "delete --force ID")),
    of(Bundle::Notified, beginning(scene("run+notify", &[], "run --detach --bundle BUNDLE ID sleep 1000"))),
    of(Bundle::Notified, beginning(scene("run-foreground+notify", &[], RUN))),
    of(Bundle::Notified, scene("create+notify", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Notified, beginning(scene("start+notify", CREATED, "start ID"))),
    of(Bundle::Notified, scene("delete+notify", CREATED, "delete --force ID")),
    of(Bundle::Classed, beginning(library("library+class", &[], "ID BUNDLE class CLASSES"))),
    of(Bundle::Contained, beginning(Scene { tool: Tool::Shim, ..scene(SHIM, &[], "") })),
    of(Bundle::Inside, beginning(scene("run+inside", &[], RUN))),
    of(Bundle::Inside, scene("create+inside", &[], "create --bundle BUNDLE ID sleep 1000")),
    of(Bundle::Inside, beginning(scene("start+inside", CREATED, "start ID"))),
    of(Bundle::Inside, beginning(scene("exec+inside", RUNNING, "exec ID true"))),
    of(Bundle::Inside, scene("delete+inside", RUNNING, "delete --force ID")),
    of(Bundle::Saved, whole(scene("checkpoint", RUNNING, SAVE))),
    of(Bundle::Saved, whole(scene("checkpoint-running", RUNNING, SAVE_RUNNING))),
    of(Bundle::Saved, whole(scene("checkpoint-paused", PAUSED, SAVE_RUNNING))),
    of(Bundle::Saved, scene("restore", SAVED, RESTORE)),
    of(Bundle::Saved, scene("delete-restored", RESTORED, "delete --force ID")),
    of(Bundle::Frozen, whole(scene("checkpoint+criu", RUNNING, FREEZE))),
    of(Bundle::Frozen, whole(scene("checkpoint-running+criu", RUNNING, FREEZE_RUNNING))),
    of(Bundle::Frozen, scene("restore+criu", FROZEN, THAW)),
    of(Bundle::Frozen, scene("restore-foreground+criu", FROZEN_SHORTLY, THAW_HERE)),
];

const SAVE: &str = "checkpoint --criu STANDIN --image-path IMAGES ID";
const SAVE_RUNNING: &str = "checkpoint --criu STANDIN --image-path IMAGES --leave-running ID";
const SAVED: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000", SAVE];
const RESTORE: &str = "restore --criu STANDIN --image-path IMAGES --detach --bundle BUNDLE ID";
const RESTORED: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000", SAVE, RESTORE];
const FREEZE: &str = "checkpoint --criu CRIU --image-path IMAGES ID";
const FREEZE_RUNNING: &str = "checkpoint --criu CRIU --image-path IMAGES --leave-running ID";
const FROZEN: &[&str] = &["run --detach --bundle BUNDLE ID sleep 1000", FREEZE];
const FROZEN_SHORTLY: &[&str] = &["run --detach --bundle BUNDLE ID sleep 4", FREEZE];
const THAW: &str = "restore --criu CRIU --image-path IMAGES --detach --bundle BUNDLE ID";
const THAW_HERE: &str = "restore --criu CRIU --image-path IMAGES --bundle BUNDLE ID";

/// A container of the full config: one with a terminal can't be left alone.
const RUNNING_TTY: &[&str] = &["run --detach --bundle FULL ID sleep 1000"];

/// The scene of a name.
pub(crate) fn by_name(name: &str) -> Option<&'static Scene> {
    SCENES.iter().find(|scene| scene.name == name)
}
