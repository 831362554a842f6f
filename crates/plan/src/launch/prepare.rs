//! The start itself: memory for board and plan, the descriptors that the init inherits, `clone3`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use super::request::Gift;
use super::run::Run;
use super::{clone, control, image};
use crate::board::Board;
use crate::error::Lane;
use crate::ids::Pid;
use crate::slot::SlotId;
use crate::wire::board;

const PAGE: usize = 4096;
/// Highest number that a program's descriptors can have that is handed over later: what the init holds lies above.
pub(super) const STANDS_BY_LOW: u32 = 40;
/// Steps of the second part for which a board has room that is made before that part is known.
const REST: usize = 256;

impl Run {
    pub(super) fn start(&mut self) -> io::Result<()> {
        let init = image::sealed()?;
        let (control, theirs) = control::pair()?;
        let mut inherited = self.inherited(theirs)?;
        let presets: Vec<_> = inherited.iter().map(|(slot, fd)| (*slot, fd.as_raw_fd())).collect();
        let launch = &mut self.launch;
        let (fault, trace) = (launch.fault, launch.trace);
        let (encoded, steps) = if launch.stands_by {
            (launch.plan.encode_base(&presets, fault, trace), launch.plan.len(Lane::Child) + REST)
        } else {
            (launch.plan.encode(&presets, fault, trace), launch.plan.len(Lane::Child))
        };
        let room = board::bytes(steps, trace, page_size());
        let file = match launch.board.take() {
            Some(make) => make(&[&vec![0; room], encoded.as_slice()].concat())?,
            None => sealed_memory(room, &encoded)?,
        };
        let file = image::duplicate(file.as_fd(), 3)?;
        let mut keep = vec![file.as_raw_fd()];
        keep.extend(presets.iter().map(|(_, fd)| *fd));
        let cgroup = launch.cgroup.take().map_or(Ok(None), |open| open())?;
        let args = arguments(file.as_raw_fd(), room, encoded.len());
        let start = clone::Start {
            init: init.as_fd(),
            keep: &keep,
            args: [c"libcontainer-init", &args[0], &args[1], &args[2]],
            namespaces: launch.plan.flags & !crate::wire::CLONE_INTO_CGROUP,
            cgroup: cgroup.as_ref().map(AsFd::as_fd),
        };
        let (pid, pidfd) = started(&start)?;
        inherited.clear();
        self.state.context.pid = Some(pid);
        self.state.context.pidfd = Some(pidfd);
        self.state.control = Some(control);
        self.state.board = Some(Board::new(file));
        Ok(())
    }

    /// The descriptors for the preset slots, all above the numbers that the init gives to the program's.
    fn inherited(&mut self, control: OwnedFd) -> io::Result<Vec<(SlotId, OwnedFd)>> {
        let launch = &mut self.launch;
        let low = if launch.stands_by { STANDS_BY_LOW } else { launch.plan.low };
        let low = i32::try_from(low).unwrap_or(i32::MAX);
        let mut control = Some(Gift::Fd(control));
        let mut all = Vec::new();
        for (slot, name) in launch.plan.presets() {
            let own = if name == CONTROL { control.take() } else { None };
            let gift = own.or_else(|| launch.given.remove(&slot)).ok_or_else(|| not_given(name))?;
            let fd = gift.open()?;
            let fd = if fd.as_raw_fd() <= low { image::duplicate(fd.as_fd(), low + 1)? } else { fd };
            all.push((slot, fd));
        }
        Ok(all)
    }
}

/// Starts the init, of another image if this one is busy.
fn started(start: &clone::Start<'_>) -> io::Result<(Pid, OwnedFd)> {
    let mut result = clone::start(start);
    let mut held: Option<OwnedFd> = None;
    for _ in 0..IMAGES {
        if !result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::ETXTBSY)) {
            break;
        }
        let other = image::renewed(held.as_ref().map_or(start.init, AsFd::as_fd))?;
        result = clone::start(&clone::Start { init: other.as_fd(), ..*start });
        held = Some(other);
    }
    result
}

/// How many images are tried after one that is busy.
const IMAGES: u32 = 8;

pub(super) fn not_given(name: &str) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, format!("no descriptor was given for {name}"))
}

/// Name of the preset that the launcher fills itself.
const CONTROL: &str = "control socket";

fn page_size() -> usize {
    nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE)
        .ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(PAGE)
}

fn arguments(fd: i32, board: usize, plan: usize) -> [CString; 3] {
    let number = |number: String| CString::new(number).unwrap_or_default();
    [number(fd.to_string()), number(board.to_string()), number(plan.to_string())]
}

/// A memfd with an empty board and the plan. It can't shrink, so no process can make a reader fault.
pub(super) fn sealed_memory(room: usize, encoded: &[u8]) -> io::Result<OwnedFd> {
    let file = File::from(image::memory_file(c"libcontainer-plan")?);
    file.write_all_at(encoded, room as u64)?;
    fcntl(
        &file,
        FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL),
    )?;
    Ok(file.into())
}
