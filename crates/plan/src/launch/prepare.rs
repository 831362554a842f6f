//! The start itself: memory for board and plan, the descriptors that the init inherits, `clone3`.

use std::ffi::CString;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::FileExt;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};

use super::run::Run;
use super::{clone, control, image};
use crate::board::Board;
use crate::slot::SlotId;
use crate::wire::board;

const PAGE: usize = 4096;

impl Run {
    pub(super) fn start(&mut self) -> io::Result<()> {
        let init = image::sealed()?;
        let (control, theirs) = control::pair()?;
        let mut inherited = self.inherited(theirs)?;
        let presets: Vec<_> = inherited.iter().map(|(slot, fd)| (*slot, fd.as_raw_fd())).collect();
        let launch = &mut self.launch;
        let encoded = launch.plan.encode(&presets, launch.fault, launch.trace);
        let room = board::bytes(launch.plan.steps.len(), launch.trace, page_size());
        let file = match launch.board.take() {
            Some(make) => write(make()?, room, &encoded)?,
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
        let (pid, pidfd) = clone::start(&start)?;
        inherited.clear();
        self.state.context.pid = Some(pid);
        self.state.context.pidfd = Some(pidfd);
        self.state.control = Some(control);
        self.state.board = Some(Board::new(file));
        Ok(())
    }

    /// The descriptors for the preset slots, all above the numbers that the init gives to the program's.
    fn inherited(&mut self, control: OwnedFd) -> io::Result<Vec<(SlotId, OwnedFd)>> {
        if let Some(slot) =
            self.launch.plan.presets.iter().find(|slot| self.launch.plan.slot_name(**slot) == CONTROL)
        {
            self.launch.given.insert(*slot, super::Gift::Fd(control));
        }
        let mut all = Vec::new();
        for slot in self.launch.plan.presets.clone() {
            let Some(gift) = self.launch.given.remove(&slot) else {
                let name = self.launch.plan.slot_name(slot);
                return Err(io::Error::new(
                    io::ErrorKind::NotFound,
                    format!("no descriptor was given for {name}"),
                ));
            };
            let fd = gift.open()?;
            let low = i32::try_from(self.launch.plan.low).unwrap_or(i32::MAX);
            let fd = if fd.as_raw_fd() <= low { image::duplicate(fd.as_fd(), low + 1)? } else { fd };
            all.push((slot, fd));
        }
        Ok(all)
    }
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
fn sealed_memory(room: usize, encoded: &[u8]) -> io::Result<OwnedFd> {
    let fd = write(image::memory(c"libcontainer-plan")?, room, encoded)?;
    fcntl(
        &fd,
        FcntlArg::F_ADD_SEALS(SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL),
    )?;
    Ok(fd)
}

fn write(fd: OwnedFd, room: usize, encoded: &[u8]) -> io::Result<OwnedFd> {
    let file = File::from(fd);
    file.write_all_at(encoded, room as u64)?;
    Ok(file.into())
}
