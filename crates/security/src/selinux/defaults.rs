//! The contexts that the policy has for containers.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use super::context::Context;
use super::error::SelinuxError;

/// Files that name them, in the order in which they are looked for: that of container-selinux, and that of the policy, by `SELINUXTYPE` in
/// `/etc/selinux/config`.
const OWN: &str = "/usr/share/containers/selinux/contexts";
const CONFIG: &str = "/etc/selinux/config";
const OF_POLICY: [&str; 2] = ["container_contexts", "lxc_contexts"];

/// What a policy has for containers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Defaults {
    /// Of processes: `process`.
    pub process: Option<Context>,
    /// Of files: `file`.
    pub file: Option<Context>,
    /// Of files that are only read: `ro_file`.
    pub read_only_file: Option<Context>,
    /// Of processes of an init that is a whole system: `init`.
    pub init: Option<Context>,
    /// Of processes in a virtual machine: `kvm`.
    pub kvm: Option<Context>,
}

impl Defaults {
    /// Those of this host; none where there is no such file.
    ///
    /// # Errors
    /// A file that can't be read, or holds no contexts.
    pub fn current() -> Result<Self, SelinuxError> {
        Self::below(Path::new("/"))
    }

    /// Those of the system at `root`.
    pub(super) fn below(root: &Path) -> Result<Self, SelinuxError> {
        let at = |path: &str| root.join(path.trim_start_matches('/'));
        if let Some(text) = read(&at(OWN))? {
            return Self::parse(&text, &at(OWN));
        }
        let Some(config) = read(&at(CONFIG))? else { return Ok(Self::default()) };
        let Some(policy) = value(&config, "SELINUXTYPE") else { return Ok(Self::default()) };
        if policy.contains('/') || policy.starts_with('.') {
            return Err(SelinuxError::malformed(&at(CONFIG), format!("SELINUXTYPE={policy}: not a name")));
        }
        for name in OF_POLICY {
            let path: PathBuf = at("etc/selinux").join(policy).join("contexts").join(name);
            if let Some(text) = read(&path)? {
                return Self::parse(&text, &path);
            }
        }
        Ok(Self::default())
    }

    /// Reads `lxc_contexts`: lines `process = "user:role:type:range"`.
    ///
    /// # Errors
    /// A value that is no context, with `path`.
    pub fn parse(text: &str, path: &Path) -> Result<Self, SelinuxError> {
        let context = |key: &str| -> Result<Option<Context>, SelinuxError> {
            let read = |text: &str| {
                let wrong = |error| SelinuxError::malformed(path, format!("{key}: {error}"));
                text.parse::<Context>().map_err(wrong)
            };
            value(text, key).map(read).transpose()
        };
        Ok(Self {
            process: context("process")?,
            file: context("file")?,
            read_only_file: context("ro_file")?,
            init: context("init")?,
            kvm: context("kvm")?,
        })
    }
}

/// The value of a key; the last line counts, and comments begin with `#` or `;`.
fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut found = None;
    for line in text.lines().map(str::trim).filter(|line| !line.starts_with(['#', ';'])) {
        let Some((name, value)) = line.split_once('=') else { continue };
        if name.trim() == key {
            found = Some(value.trim().trim_matches('"'));
        }
    }
    found.filter(|value| !value.is_empty())
}

fn read(path: &Path) -> Result<Option<String>, SelinuxError> {
    match fs::read(path) {
        Err(error) if missing(&error) => Ok(None),
        Err(error) => Err(SelinuxError::call(format!("read {}", path.display()), &error)),
        Ok(bytes) => {
            String::from_utf8(bytes).map(Some).map_err(|_| SelinuxError::malformed(path, "not UTF-8"))
        }
    }
}

fn missing(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# comment\nprocess = \"system_u:system_r:container_t:s0\"\n\
        file=\"system_u:object_r:container_file_t:s0\"\nro_file = system_u:object_r:container_ro_file_t:s0\n\
        sandbox_kvm_process = \"x\"\n";

    #[test]
    fn keys_are_read() {
        let found = Defaults::parse(TEXT, Path::new("f")).unwrap();
        let text = |context: Option<Context>| context.map(|context| context.to_string()).unwrap_or_default();
        assert_eq!(text(found.process), "system_u:system_r:container_t:s0");
        assert_eq!(text(found.file), "system_u:object_r:container_file_t:s0");
        assert_eq!(text(found.read_only_file), "system_u:object_r:container_ro_file_t:s0");
        assert_eq!((found.init, found.kvm), (None, None));
        let error = Defaults::parse("file = x\n", Path::new("/f")).unwrap_err().to_string();
        assert_eq!(error, "/f: file: SELinux context \"x\": not user:role:type or user:role:type:range");
        assert_eq!(Defaults::parse("process =\n", Path::new("f")), Ok(Defaults::default()));
    }

    #[test]
    fn files_are_found_by_the_type_of_the_policy() {
        let root = std::env::temp_dir().join(format!("selinux-defaults-{}", std::process::id()));
        let put = |path: &str, text: &str| {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(Defaults::below(&root), Ok(Defaults::default()));
        put("etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
        assert_eq!(Defaults::below(&root), Ok(Defaults::default()));
        put("etc/selinux/targeted/contexts/lxc_contexts", "process = u:r:lxc:s0\nfile = u:r:f:s0\n");
        let kind = || Defaults::below(&root).unwrap().process.unwrap().kind().to_owned();
        assert_eq!(kind(), "lxc");
        put("etc/selinux/targeted/contexts/container_contexts", "process = u:r:container:s0\n");
        assert_eq!(kind(), "container");
        put("usr/share/containers/selinux/contexts", "process = u:r:own:s0\n");
        assert_eq!(kind(), "own");
        fs::remove_file(root.join("usr/share/containers/selinux/contexts")).unwrap();
        put("etc/selinux/config", "SELINUXTYPE=../x\n");
        assert!(Defaults::below(&root).is_err());
        fs::remove_dir_all(root).unwrap();
    }
}
