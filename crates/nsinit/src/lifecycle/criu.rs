//! checkpoint and restore.

use std::env;
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use libcontainer::plan::inherited;
use libcontainer::{CheckpointOptions, CriuOptions, ManageCgroups, ProcessConfig, RestoreOptions};

use super::make::{Made, destroy, handed_over, not_made, terminal};
use super::{factory, load};
use crate::arguments::{CheckpointArgs, CreateArgs, CriuArgs, ProcessArgs, RestoreArgs};
use crate::bundle::{self, Bundle};
use crate::console::Sockets;
use crate::failure::{Failure, Named, Outcome, both};
use crate::foreground;
use crate::log::{Level, tell};
use crate::pid_file::PidFile;
use crate::root::State;

#[inline(never)]
pub(crate) fn checkpoint(root: &State, args: CheckpointArgs) -> Outcome {
    let container = load(root, &args.id)?;
    let goes_on = args.leave_running || args.pre_dump;
    container.checkpoint(asked(args)?)?;
    if !goes_on {
        // As runc has it: what is left is in the images. That it can't be taken away does not make them worse.
        if let Err(Failure::Told { text, .. }) = destroy(&container) {
            tell(Level::Warning, &text);
        }
    }
    Ok(0)
}

fn asked(args: CheckpointArgs) -> Result<CheckpointOptions, Failure> {
    let status = args.status_fd.filter(|number| *number >= 0).map(|number| {
        inherited(number.unsigned_abs()).named(format_args!("descriptor {number} of --status-fd: fcntl"))
    });
    Ok(CheckpointOptions {
        page_server: args.page_server.as_deref().map(page_server).transpose()?,
        status: status.transpose()?,
        criu: made(common(args.criu)?)?,
        leave_running: args.leave_running,
        tcp_skip_in_flight: args.tcp_skip_in_flight,
        link_remap: args.link_remap,
        pre_dump: args.pre_dump,
        parent: args.parent_path,
    })
}

/// With the directory of the images, which is made with all above it.
fn made(options: CriuOptions) -> Result<CriuOptions, Failure> {
    let images = options.images.display();
    let made = DirBuilder::new().mode(0o700).recursive(true).create(&options.images);
    made.named(format_args!("directory of images {images} (--image-path names another): mkdir"))?;
    Ok(options)
}

fn common(args: CriuArgs) -> Result<CriuOptions, Failure> {
    Ok(CriuOptions {
        images: images(args.image_path)?,
        work: args.work_path,
        program: args.criu,
        silence: args.criu_timeout.map(Duration::from_secs),
        tcp_established: args.tcp_established,
        external_unix_sockets: args.ext_unix_sk,
        shell_job: args.shell_job,
        file_locks: args.file_locks,
        manage_cgroups: ManageCgroups::from_name(&args.manage_cgroups_mode).unwrap_or_default(),
        auto_dedup: args.auto_dedup,
        lazy_pages: args.lazy_pages,
    })
}

fn images(told: Option<PathBuf>) -> Result<PathBuf, Failure> {
    match told {
        Some(path) => Ok(path),
        None => Ok(env::current_dir()
            .named("the working directory, for --image-path: getcwd")?
            .join("checkpoint")),
    }
}

/// `ADDRESS:PORT`; an address of IPv6 is in brackets.
fn page_server(text: &str) -> Result<(String, u16), Failure> {
    let wrong =
        || Failure::usage(format!("--page-server {text:?}: ADDRESS:PORT is wanted, as in 10.0.0.1:27000"));
    let (address, port) = text.rsplit_once(':').ok_or_else(wrong)?;
    let address = address.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(address);
    match port.parse() {
        Ok(port) if port != 0 && !address.is_empty() => Ok((address.to_owned(), port)),
        _ => Err(wrong()),
    }
}

#[inline(never)]
pub(crate) fn restore(root: &State, args: RestoreArgs) -> Outcome {
    let signals = foreground::Signals::take()?;
    let detach = args.detach;
    let Made { container, mut process, .. } = make(root, args)?;
    if detach {
        return Ok(0);
    }
    let outcome = foreground::wait(&signals, &mut process);
    both(outcome, destroy(&container))
}

fn make(root: &State, args: RestoreArgs) -> Result<Made, Failure> {
    let path = root.container(&args.id)?;
    let RestoreArgs { criu, detach, tcp_close, lsm_profile, lsm_mount_context, .. } = args;
    let create = CreateArgs {
        bundle: args.bundle,
        process: ProcessArgs {
            pid_file: args.pid_file,
            console_socket: args.console_socket,
            pidfd_socket: None,
            preserve_fds: 0,
            no_subreaper: args.no_subreaper,
        },
        no_pivot: args.no_pivot,
        no_new_keyring: false,
        config: None,
        strict: false,
        id: args.id,
        args: Vec::new(),
    };
    let Bundle { config, words, .. } = bundle::load(root, &create)?;
    terminal(&config, detach, create.process.console_socket.is_some())?;
    let sockets = Sockets::connect(&create.process)?;
    let pid_file = create.process.pid_file.as_deref().map(PidFile::prepare).transpose()?;
    root.ready()?;
    let options = RestoreOptions { criu: common(criu)?, lsm_profile, lsm_mount_context, tcp_close };
    let process = if config.tty { ProcessConfig::default() } else { ProcessConfig::default().inherited() };
    let made = factory()?.restore(&path, &config, process, &options);
    let (container, process) = made.map_err(|error| not_made(&path, &create.id, error, words.as_ref()))?;
    handed_over(Made { container, process, proxy: None }, &sockets, pid_file)
}

#[cfg(test)]
mod tests {
    use super::page_server;

    #[test]
    fn page_servers() {
        assert_eq!(page_server("10.0.0.1:9").ok(), Some(("10.0.0.1".to_owned(), 9)));
        assert_eq!(page_server("[::1]:9").ok(), Some(("::1".to_owned(), 9)));
        for wrong in ["", "a", "a:", ":9", "a:0", "a:99999", "a:b"] {
            assert!(page_server(wrong).is_err(), "{wrong}");
        }
    }
}
