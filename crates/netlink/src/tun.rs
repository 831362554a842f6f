//! Tun and tap links, which netlink can't make: `/dev/net/tun` and ioctl(2).
#![allow(unsafe_code, reason = "ioctl(TUNSETIFF) and ioctl(TUNSETPERSIST) have no safe wrapper")]

use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;

use crate::{Error, Name, Result, TunKind};

/// A tun or tap link, held by its queue. It goes away when the descriptor is closed, unless made persistent.
///
/// Linux: Documentation/networking/tuntap.rst.
#[derive(Debug)]
pub struct Tun {
    fd: OwnedFd,
    name: Name,
}

impl Tun {
    /// Makes a link in the network namespace of the calling thread, or attaches to a persistent one.
    /// Packets come without a header of their own (`IFF_NO_PI`).
    ///
    /// # Errors
    /// [`Error::Socket`]: `ENOENT` if `/dev/net/tun` is missing (kernel module tun), `EPERM` without `CAP_NET_ADMIN`,
    /// `EBUSY` if the name is taken.
    pub fn open(name: Name, kind: TunKind) -> Result<Self> {
        let file =
            OpenOptions::new().read(true).write(true).custom_flags(libc::O_CLOEXEC).open("/dev/net/tun");
        let file = file.map_err(|source| Error::Socket { call: "open /dev/net/tun", source })?;
        let flags = match kind {
            TunKind::Tun => libc::IFF_TUN,
            TunKind::Tap => libc::IFF_TAP,
        } | libc::IFF_NO_PI;
        let flags = i16::try_from(flags).map_err(|_| Error::invalid("flags", "too large"))?;
        let mut request = request(name, flags);
        // SAFETY: TUNSETIFF reads and writes one `struct ifreq`, which `request` is, and which outlives the call.
        let result = unsafe { libc::ioctl(file.as_raw_fd(), libc::TUNSETIFF, &raw mut request) };
        if result < 0 {
            return Err(Error::Socket { call: "ioctl(TUNSETIFF)", source: io::Error::last_os_error() });
        }
        Ok(Self { fd: file.into(), name })
    }

    /// Whether the link stays when the descriptor is closed.
    ///
    /// # Errors
    /// [`Error::Socket`]: that of ioctl(2).
    pub fn set_persistent(&self, persistent: bool) -> Result<()> {
        let value = libc::c_ulong::from(persistent);
        // SAFETY: TUNSETPERSIST takes an integer, not a pointer.
        let result = unsafe { libc::ioctl(self.fd.as_raw_fd(), libc::TUNSETPERSIST, value) };
        if result < 0 {
            return Err(Error::Socket { call: "ioctl(TUNSETPERSIST)", source: io::Error::last_os_error() });
        }
        Ok(())
    }

    /// The link's name.
    #[must_use]
    pub const fn name(&self) -> Name {
        self.name
    }
}

impl AsFd for Tun {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl From<Tun> for OwnedFd {
    fn from(tun: Tun) -> Self {
        tun.fd
    }
}

fn request(name: Name, flags: i16) -> libc::ifreq {
    let mut field = [0; libc::IFNAMSIZ];
    for (to, from) in field.iter_mut().zip(name.as_bytes()) {
        *to = libc::c_char::from_ne_bytes([*from]);
    }
    libc::ifreq { ifr_name: field, ifr_ifru: libc::__c_anonymous_ifr_ifru { ifru_flags: flags } }
}
