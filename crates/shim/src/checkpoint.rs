//! Checkpoints of a task, and what a task is restored from.

use std::path::{Path, PathBuf};

use containerd_shim_protos::api::CheckpointTaskRequest;
use containerd_shim_protos::protobuf::Message;
use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::shim::oci;
use libcontainer::{CheckpointOptions, CriuOptions, ManageCgroups, RestoreOptions};

use crate::detached::blocking;
use crate::options::type_name;
use crate::task::Task;
use crate::trouble::Trouble;

const NAME: &str = "containerd.runc.v1.CheckpointOptions";
/// The directory of criu's log in a bundle.
const WORK: &str = "work";

/// Writes the task to the directory that the request names; it goes on unless its end is asked for.
pub(crate) async fn checkpoint(task: &Task, request: &CheckpointTaskRequest) -> Result<(), Trouble> {
    let asked = asked(&request.path, request.options.as_ref(), &task.bundle)?;
    let container = task.container.clone();
    blocking(move || Ok(container.checkpoint(asked)?)).await
}

fn asked(path: &str, options: Option<&Any>, bundle: &Path) -> Result<CheckpointOptions, Trouble> {
    let given = match options.filter(|any| !any.type_url.is_empty()) {
        None => oci::CheckpointOptions::new(),
        Some(any) if type_name(any) == NAME => oci::CheckpointOptions::parse_from_bytes(&any.value)
            .map_err(|error| Trouble::invalid(format!("{NAME}: {error}")))?,
        Some(any) => {
            let text = format!("options of the type {:?}: a checkpoint takes {NAME}", any.type_url);
            return Err(Trouble::invalid(text));
        }
    };
    let manage_cgroups = ManageCgroups::from_name(&given.cgroups_mode).ok_or_else(|| {
        let text = format!("cgroups_mode {:?}: soft, full, strict or ignore is wanted", given.cgroups_mode);
        Trouble::invalid(text)
    })?;
    let named = |text: &str| Some(text).filter(|text| !text.is_empty()).map(PathBuf::from);
    let criu = CriuOptions {
        images: named(&given.image_path).unwrap_or_else(|| path.into()),
        work: Some(named(&given.work_path).unwrap_or_else(|| bundle.join(WORK))),
        tcp_established: given.open_tcp,
        external_unix_sockets: given.external_unix_sockets,
        shell_job: given.terminal,
        file_locks: given.file_locks,
        manage_cgroups,
        ..CriuOptions::default()
    };
    Ok(CheckpointOptions { criu, leave_running: !given.exit, ..CheckpointOptions::default() })
}

/// How a task is made of the images in `path`.
pub(crate) fn restored(path: &str, bundle: &Path, given: &oci::Options) -> RestoreOptions {
    let named = |text: &str| Some(text).filter(|text| !text.is_empty()).map(PathBuf::from);
    let criu = CriuOptions {
        images: path.into(),
        work: Some(named(&given.criu_work_path).unwrap_or_else(|| bundle.join(WORK))),
        ..CriuOptions::default()
    };
    RestoreOptions { criu, ..RestoreOptions::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_containerds() {
        let mut given = oci::CheckpointOptions::new();
        (given.exit, given.open_tcp, given.terminal) = (true, true, true);
        given.cgroups_mode = "full".to_owned();
        let value = given.write_to_bytes().unwrap_or_default();
        let any = Any { type_url: NAME.to_owned(), value, ..Any::default() };
        let asked = asked("/images", Some(&any), Path::new("/b"));
        assert!(asked.is_ok_and(|asked| {
            let criu = asked.criu;
            let dirs = (criu.images.as_path(), criu.work.as_deref());
            assert_eq!(dirs, (Path::new("/images"), Some(Path::new("/b/work"))));
            assert_eq!(criu.manage_cgroups, ManageCgroups::Full);
            !asked.leave_running && criu.tcp_established && criu.shell_job && !criu.file_locks
        }));
        let plain = super::asked("/images", None, Path::new("/b"));
        assert!(plain.is_ok_and(|plain| plain.leave_running));
        let other = Any { type_url: "x.Other".to_owned(), ..Any::default() };
        assert!(super::asked("/images", Some(&other), Path::new("/b")).is_err());
    }
}
