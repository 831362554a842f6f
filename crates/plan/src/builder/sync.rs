//! Where the two lanes meet.

use super::Builder;
use super::process::NEW_LISTENER;
use crate::host::{FdSource, HostOp};
use crate::slot::{Kind, Ns, Slot, SlotId, Sock};
use crate::step::{Arg, Memory, Point};
use crate::syscalls as sys;
use crate::wire;
use crate::wire::unsigned;

/// The name under which a host finds what [`Builder::listen_and_send`] has sent.
pub const LISTENER: &str = "seccomp listener";

const MSG_NOSIGNAL: u32 = 0x4000;
const MSG_CMSG_CLOEXEC: u32 = 0x4000_0000;

impl Builder {
    /// The socket to the host: slot of every message. Made at first use.
    pub fn control(&mut self) -> Slot<Sock> {
        let slot = match self.control {
            Some(slot) => slot,
            None => self.preset::<Sock>("control socket").id(),
        };
        self.control = Some(slot);
        Slot::new(slot)
    }

    /// From here on the control socket is in this slot (after a `dup`).
    pub fn control_is(&mut self, slot: Slot<Sock>) {
        self.control = Some(slot.id());
    }

    fn point(&mut self, name: &str) -> Point {
        self.points.push(name.to_owned());
        Point(u8::try_from(self.points.len()).unwrap_or(0))
    }

    /// The init tells the host that it has come here; the host waits for it. Stands in both lanes.
    pub fn notify_host(&mut self, name: &str) -> Point {
        let point = self.point(name);
        let control = self.control();
        let byte = Arg::Memory(self.arena.bytes(&[point.0]), Memory::Bytes(1));
        self.step(&sys::WRITE, [control.into(), byte, 1_u32.into()]);
        self.host.push(HostOp::Await(point));
        point
    }

    /// From the next step on the init, if its host is gone when it waits for that, does not leave, but closes all descriptors and stays for whoever ends it: with it
    /// something would be lost. One that stands by leaves all the same.
    pub fn outlive_host(&mut self) -> &mut Self {
        let before = self.ground.as_ref().map_or(0, |ground| ground.end()) + self.steps.len();
        self.stays = u32::try_from(before + 1).unwrap_or(u32::MAX);
        self
    }

    /// The init waits until the host has come here. Stands in both lanes. If the host is gone, the init leaves, but for [`Builder::outlive_host`].
    pub fn await_host(&mut self, name: &str) -> Point {
        let point = self.point(name);
        let control = self.control();
        let buffer = Arg::Memory(self.arena.room(8), Memory::Opaque("byte"));
        let step = self.step_of(wire::Kind::Await, &sys::READ, [control.into(), buffer, 1_u32.into()]);
        step.aux = u32::from(point.0);
        self.host.push(HostOp::Notify(point));
        point
    }

    /// The init waits for one byte from `pipe`, whoever writes it.
    pub fn await_byte(&mut self, pipe: Slot<Sock>) -> &mut Self {
        let buffer = Arg::Memory(self.arena.room(8), Memory::Opaque("byte"));
        self.step_of(wire::Kind::AwaitAny, &sys::READ, [pipe.into(), buffer, 1_u32.into()]);
        self
    }

    /// The init passes a descriptor to the host, where it is found under `name` after the launch.
    pub fn send_fd<K: Kind>(&mut self, slot: Slot<K>, name: &str) -> Point {
        let point = self.point(name);
        let control = self.control();
        let (header, place) = self.arena.message(point.0);
        let header = Arg::Memory(header, Memory::Opaque("descriptor"));
        let args = [control.into(), header, MSG_NOSIGNAL.into(), slot.into()];
        self.step_of(wire::Kind::SendFd, &sys::SENDMSG, args).aux = place;
        self.host.push(HostOp::Receive(point));
        point
    }

    /// As [`Builder::listen`], for an init whose descriptors are closed to its host: it passes the listener itself, which a step of the host's finds under
    /// [`LISTENER`]. A composite of `seccomp` and `sendmsg`: three arguments of the latter mean nothing to the kernel, and are [`KNOCK`](crate::KNOCK) and
    /// the words here, by which the filter has to let it through.
    pub fn listen_and_send(&mut self, program: &[u8], flags: u32, words: [u64; 2]) -> &mut Self {
        let point = self.point(LISTENER);
        let control = self.control();
        let filter = self.filter(program);
        let (header, place) = self.arena.message(point.0);
        let header = Arg::Memory(header, Memory::Opaque("listener"));
        let secret = Arg::Memory(self.arena.words(&words.map(Ok)), Memory::Opaque("secret"));
        let flags = flags | NEW_LISTENER;
        let args = [1_u32.into(), flags.into(), filter, control.into(), header, secret];
        self.step_of(wire::Kind::SendFd, &sys::SECCOMP, args).aux = place;
        self.host.push(HostOp::Receive(point));
        self.knock(words)
    }

    /// The host passes a descriptor that exists only once the init runs, such as an idmapped mount.
    pub fn receive_fd<K: Kind>(&mut self, name: &str, source: FdSource) -> Slot<K> {
        let point = self.point(name);
        let control = self.control();
        let slot = self.receive_from(control, name);
        self.host.push(HostOp::Send(point, source));
        slot
    }

    /// The next of the descriptors that wait in `queue`, as [`crate::queue`] fills it and the launch gives it: so
    /// none of them counts among the open ones, neither here nor there, before its turn.
    pub fn take_fd<K: Kind>(&mut self, queue: Slot<Sock>, name: &str) -> Slot<K> {
        self.receive_from(queue, name)
    }

    fn receive_from<K: Kind>(&mut self, socket: Slot<Sock>, name: &str) -> Slot<K> {
        let (header, place) = self.arena.message(0);
        let header = Arg::Memory(header, Memory::Opaque("descriptor"));
        let slot: SlotId = self.new_slot(name.to_owned());
        let args = [socket.into(), header, MSG_CMSG_CLOEXEC.into()];
        let step = self.step_of(wire::Kind::RecvFd, &sys::RECVMSG, args);
        step.aux = place;
        step.out = Some(slot);
        Slot::new(slot)
    }

    /// The init goes on in a child of the same parent (`clone3(CLONE_PARENT | CLONE_PIDFD | CLONE_PARENT_SETTID)`), which is inside
    /// the pid namespace that was set for children; the host adopts the child and reaps the first process.
    pub fn respawn(&mut self) {
        const CLONE_PIDFD: u64 = 0x1000;
        const CLONE_PARENT: u64 = 0x8000;
        const CLONE_PARENT_SETTID: u64 = 0x10_0000;
        let point = self.point("respawn");
        let control = self.control();
        let pidfd = self.arena.room(8);
        let mut words = [Ok(0); 11];
        words[0] = Ok(CLONE_PIDFD | CLONE_PARENT | CLONE_PARENT_SETTID);
        words[1] = Err(pidfd);
        let clone = Arg::Memory(self.arena.words(&words), Memory::Opaque("CLONE_PARENT|CLONE_PIDFD"));
        let (header, place) = self.arena.message(point.0);
        let pidfd = Arg::Memory(pidfd, Memory::Opaque("pidfd"));
        let header = Arg::Memory(header, Memory::Opaque("pidfd"));
        let args = [clone, 88_u32.into(), pidfd, control.into(), header];
        self.step_of(wire::Kind::Respawn, &sys::CLONE3, args).aux = place;
        self.host.push(HostOp::Respawn(point));
        // RACE: the child could speak before its parent has passed on the pidfd, and be killed before the host knows it. It does
        // nothing until the host has it.
        self.await_host("adopted");
    }

    /// `setns` into what the pidfd in `target` lives in, and a respawn if a pid namespace is among it.
    pub fn join(&mut self, target: Slot<Ns>, flags: u32) {
        self.setns(target, flags);
        self.close(target);
        if flags & unsigned(libc::CLONE_NEWPID) != 0 {
            self.respawn();
        }
    }
}
