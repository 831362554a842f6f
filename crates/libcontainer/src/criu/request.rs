//! What criu is told: the options of a request, `criu_opts` of its rpc.proto.

use std::os::fd::{AsRawFd, BorrowedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::message::Kind;
use super::options::{CheckpointOptions, CriuOptions, ManageCgroups, RestoreOptions};
use super::protobuf::Message;
use crate::config::Config;

/// How much its log says.
const LOG_LEVEL: i32 = 4;
/// Name of runc's file of settings, which count more than what is asked for here.
const SETTINGS: &str = "/etc/criu/runc.conf";
/// The annotation that names another one, or by an empty text none.
const SETTINGS_LABEL: &str = "org.criu.config";
const NEWNET: u64 = 0x4000_0000;

/// The open directories of a request. criu opens them by our numbers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Dirs<'a> {
    pub(crate) images: BorrowedFd<'a>,
    pub(crate) work: Option<BorrowedFd<'a>>,
}

/// A mount from outside: `place` is where it lies, by which or by its name it is found again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct External {
    pub(crate) key: PathBuf,
    pub(crate) value: PathBuf,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) kind: RequestKind,
    pub(super) options: Message,
}

/// What it asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RequestKind {
    Dump,
    PreDump,
    Restore,
}

impl RequestKind {
    pub(super) fn number(self) -> Kind {
        match self {
            Self::Dump => Kind::Dump,
            Self::PreDump => Kind::PreDump,
            Self::Restore => Kind::Restore,
        }
    }

    /// Name of its log.
    pub(crate) fn log(self) -> &'static str {
        match self {
            Self::Dump | Self::PreDump => "dump.log",
            Self::Restore => "restore.log",
        }
    }
}

impl Request {
    fn new(kind: RequestKind, common: &CriuOptions, dirs: Dirs<'_>, config: &Config) -> Self {
        let mut options = Message::default();
        options.signed(1, dirs.images.as_raw_fd());
        options.flag(4, common.external_unix_sockets).flag(5, common.tcp_established);
        options.flag(7, common.shell_job).flag(8, common.file_locks);
        options.signed(9, LOG_LEVEL).text(10, kind.log());
        // Each step is announced.
        options.flag(12, true);
        options.flag(16, common.auto_dedup);
        if let Some(work) = dirs.work {
            options.signed(17, work.as_raw_fd());
        }
        options.flag(24, true).number(34, common.manage_cgroups.number());
        // What is in a network namespace is made anew by who made it: the library, or hooks.
        options.number(38, NEWNET);
        options.flag(48, common.lazy_pages).flag(50, true);
        if let Some(settings) = settings(config) {
            options.text(51, settings);
        }
        Self { kind, options }
    }

    /// A checkpoint of the processes below `pid`.
    pub(crate) fn checkpoint(asked: &CheckpointOptions, pid: i32, dirs: Dirs<'_>, config: &Config) -> Self {
        let kind = if asked.pre_dump { RequestKind::PreDump } else { RequestKind::Dump };
        let mut this = Self::new(kind, &asked.criu, dirs, config);
        let options = &mut this.options;
        options.signed(2, pid).flag(3, asked.leave_running);
        options.text(13, config.rootfs.as_os_str().as_bytes());
        options.flag(18, asked.link_remap).flag(46, asked.tcp_skip_in_flight);
        if let Some(parent) = &asked.parent {
            options.text(14, parent.as_os_str().as_bytes());
        }
        // Pages are tracked from a first part on, or there is no second.
        options.flag(15, asked.pre_dump || asked.parent.is_some());
        if let Some((address, port)) = &asked.page_server {
            let mut server = Message::default();
            server.text(1, address).number(2, u64::from(*port));
            options.message(11, &server);
        }
        this
    }

    /// A restore below `root`, which is a mount, or in the caller's own tree.
    pub(crate) fn restore(
        asked: &RestoreOptions,
        root: Option<&Path>,
        dirs: Dirs<'_>,
        config: &Config,
    ) -> Self {
        let mut this = Self::new(RequestKind::Restore, &asked.criu, dirs, config);
        let options = &mut this.options;
        // Devices may have other numbers by now; the first process becomes our child.
        options.flag(6, true).flag(26, true);
        if let Some(root) = root {
            options.text(13, root.as_os_str().as_bytes());
        }
        options.flag(52, asked.tcp_close);
        if let Some(profile) = &asked.lsm_profile {
            options.text(53, profile);
        }
        if let Some(context) = &asked.lsm_mount_context {
            options.text(63, context);
        }
        this
    }

    /// Whatever is asked for, groups are left alone: there is none of the container's own.
    pub(crate) fn leave_groups(&mut self) {
        // Of a field that is there twice the last counts.
        self.options.number(34, ManageCgroups::Ignore.number());
    }

    /// The directory of the freezer.
    pub(crate) fn freeze(&mut self, group: &Path) {
        self.options.text(44, group.as_os_str().as_bytes());
    }

    /// A mount that is not the container's own.
    pub(crate) fn mount(&mut self, External { key, value }: &External) {
        let mut mount = Message::default();
        mount.text(1, key.as_os_str().as_bytes()).text(2, value.as_os_str().as_bytes());
        self.options.message(23, &mount);
    }

    /// An object that is not the container's own, as criu writes it, such as `net[4026531840]:NAME`.
    pub(crate) fn external(&mut self, text: &str) {
        self.options.text(37, text);
    }

    /// A descriptor of criu's that takes the place of such an object.
    pub(crate) fn inherit(&mut self, key: &str, number: i32) {
        let mut inherited = Message::default();
        inherited.text(1, key).signed(2, number);
        self.options.message(27, &inherited);
    }

    /// A namespace that is joined.
    pub(crate) fn join(&mut self, kind: &str, file: &Path) {
        let mut joined = Message::default();
        joined.text(1, kind).text(2, file.as_os_str().as_bytes());
        self.options.message(39, &joined);
    }

    /// The control group in a hierarchy, below which all groups of the images come to be.
    pub(crate) fn group(&mut self, controllers: &str, path: &str) {
        let mut root = Message::default();
        root.text(1, controllers).text(2, path);
        self.options.message(25, &root);
    }
}

/// The file of settings: that of the annotation, none if that is empty, runc's if there is no annotation. One that is not there is no error for criu.
fn settings(config: &Config) -> Option<&str> {
    match config.labels.get(SETTINGS_LABEL) {
        None => Some(SETTINGS),
        Some(path) if path.is_empty() => None,
        Some(path) => Some(path),
    }
}

#[cfg(test)]
mod tests {
    use super::super::protobuf::{Fields, Value};
    use super::*;

    fn field(request: &Request, wanted: u32) -> Option<Vec<u8>> {
        Fields::of(request.options.as_bytes()).map(Result::unwrap).find(|(number, _)| *number == wanted).map(
            |(_, value)| match value {
                Value::Bytes(bytes) => bytes.to_vec(),
                Value::Number(number) => number.to_le_bytes().to_vec(),
            },
        )
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn each_option_has_its_field() {
        let file = std::fs::File::open("/").unwrap();
        let dirs = Dirs { images: std::os::fd::AsFd::as_fd(&file), work: None };
        let config = Config { rootfs: "/srv/web".into(), ..Config::default() };
        let plain = Request::checkpoint(&CheckpointOptions::default(), 7, dirs, &config);
        for absent in [3, 4, 5, 7, 8, 11, 14, 15, 16, 17, 18, 46, 48] {
            assert_eq!(field(&plain, absent), None, "{absent}");
        }
        assert_eq!(field(&plain, 13).unwrap(), b"/srv/web");
        assert_eq!(field(&plain, 51).unwrap(), SETTINGS.as_bytes());
        let criu = CriuOptions {
            tcp_established: true,
            external_unix_sockets: true,
            shell_job: true,
            file_locks: true,
            auto_dedup: true,
            lazy_pages: true,
            manage_cgroups: ManageCgroups::Full,
            ..CriuOptions::default()
        };
        let asked = CheckpointOptions {
            criu,
            leave_running: true,
            tcp_skip_in_flight: true,
            link_remap: true,
            parent: Some("../first".into()),
            page_server: Some(("10.0.0.1".into(), 9000)),
            ..CheckpointOptions::default()
        };
        let full = Request::checkpoint(&asked, 7, dirs, &config);
        for present in [3, 4, 5, 7, 8, 11, 14, 15, 16, 18, 46, 48] {
            assert!(field(&full, present).is_some(), "{present}");
        }
        assert_eq!(field(&full, 34).unwrap()[0], 4);
    }

    #[test]
    fn an_annotation_names_the_settings() {
        let with = |text: &str| Config {
            labels: [(SETTINGS_LABEL.to_owned(), text.to_owned())].into(),
            ..Config::default()
        };
        assert_eq!(settings(&Config::default()), Some(SETTINGS));
        assert_eq!(settings(&with("/etc/other.conf")), Some("/etc/other.conf"));
        assert_eq!(settings(&with("")), None);
    }
}
