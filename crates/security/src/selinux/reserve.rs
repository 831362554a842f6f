//! Pairs of categories that no two containers have at once.
//!
//! A level that is in use has a file of its name in a directory that all programs share, with a shared lock of each who uses it: flock(2). The
//! kernel lets go of a lock when the last descriptor of whoever holds it is closed, however he ended, so nothing has to be cleaned up after a
//! kill. What outlives its maker, a container that was created, is a *keeper*: a path in the file, such as the container's directory. A level is free if
//! nobody has a lock on its file and no keeper that it names is there; a keeper of which that can't be found out counts as there.

use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io::{self, Read, Seek, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::io::Errno;
use rustix::thread::{Timespec, nanosleep};

use super::error::SelinuxError;
use super::level::{CATEGORIES, Level};

/// Tries at random before all pairs are gone through.
const RANDOM: u32 = 1000;
/// The directory's own lock is held for some system calls: so often it is asked for, at first a millisecond apart, later ten, so that many who wait
/// leave room to who has it.
const TRIES: u32 = 6000;
const SOON: u32 = 5;
/// Longest list of keepers that is believed, and longest path of one.
const LONGEST: (u64, usize) = (1 << 20, 4096);

/// Where levels are reserved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Levels {
    dir: PathBuf,
    categories: u16,
}

/// A level that is in use: until this is dropped, or for as long as a keeper is there.
#[derive(Debug)]
pub struct Reservation {
    levels: Levels,
    file: File,
    level: Level,
    kept: bool,
}

impl Levels {
    /// In this directory, which is made (mode 0700) if it is missing. It belongs on a filesystem that is empty after a boot, or its keepers do.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into(), categories: CATEGORIES }
    }

    /// With less than 1024 categories.
    #[must_use]
    pub fn categories(self, categories: u16) -> Self {
        Self { categories: categories.min(CATEGORIES), ..self }
    }

    /// Where all programs of this user find them: `/run/libcontainer/mcs` of root, else below `XDG_RUNTIME_DIR`. Root and ordinary users don't see
    /// each other's.
    ///
    /// # Errors
    /// An ordinary user without `XDG_RUNTIME_DIR`.
    pub fn shared() -> Result<Self, SelinuxError> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self::new("/run/libcontainer/mcs"));
        }
        let base = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|base| base.is_absolute());
        let unset = || SelinuxError::malformed(Path::new("XDG_RUNTIME_DIR"), "not set to an absolute path");
        Ok(Self::new(base.ok_or_else(unset)?.join("libcontainer/mcs")))
    }

    /// A pair of categories that nobody uses: at random, and if that fails by going through all, 523,776 of 1024 categories.
    ///
    /// # Errors
    /// [`SelinuxError::Full`]; `ETIMEDOUT` if the directory stayed locked; or a failed call.
    pub fn reserve(&self) -> Result<Reservation, SelinuxError> {
        let _lock = self.lock()?;
        for _ in 0..RANDOM {
            let pair = Level::pair(random(self.categories)?, random(self.categories)?);
            if let Some(found) = self.take_if_free(pair)? {
                return Ok(found);
            }
        }
        let pairs = (0..self.categories).flat_map(|one| (0..one).map(move |other| Level::pair(one, other)));
        for pair in pairs {
            if let Some(found) = self.take_if_free(pair)? {
                return Ok(found);
            }
        }
        Err(SelinuxError::Full { dir: self.dir.clone() })
    }

    /// A level that was chosen, and may be used by others too: nobody gets it from [`Levels::reserve`] meanwhile.
    ///
    /// # Errors
    /// `ETIMEDOUT` if the directory stayed locked; or a failed call.
    pub fn share(&self, level: Level) -> Result<Reservation, SelinuxError> {
        let _lock = self.lock()?;
        let path = self.path(level);
        let shared = || -> io::Result<File> {
            let file = open_file(&path)?;
            flock(&file, FlockOperation::NonBlockingLockShared)?;
            Ok(file)
        };
        Ok(self.reservation(shared().map_err(|error| failed("reserve", &path, &error))?, level))
    }

    fn reservation(&self, file: File, level: Level) -> Reservation {
        Reservation { levels: self.clone(), file, level, kept: false }
    }

    fn path(&self, level: Level) -> PathBuf {
        self.dir.join(level.to_string())
    }

    fn take_if_free(&self, pair: Option<Level>) -> Result<Option<Reservation>, SelinuxError> {
        let Some(level) = pair else { return Ok(None) };
        let path = self.path(level);
        let taken = take(&path).map_err(|error| failed("reserve", &path, &error))?;
        Ok(taken.map(|file| self.reservation(file, level)))
    }

    /// The directory's own lock: under it levels are taken and files removed, so that a file that was opened is still that of its name.
    fn lock(&self) -> Result<File, SelinuxError> {
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&self.dir);
        made.map_err(|error| failed("mkdir", &self.dir, &error))?;
        let path = self.dir.join("lock");
        let file = open_file(&path).map_err(|error| failed("open", &path, &error))?;
        for tried in 0..TRIES {
            match flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Err(Errno::WOULDBLOCK | Errno::INTR) => {
                    // Whether it slept as long as it should does not matter.
                    let tv_nsec = if tried < SOON { 1_000_000 } else { 10_000_000 };
                    let _ = nanosleep(&Timespec { tv_sec: 0, tv_nsec });
                }
                Err(errno) => return Err(failed("lock", &path, &errno.into())),
                Ok(()) => return Ok(file),
            }
        }
        Err(failed("lock", &path, &Errno::TIMEDOUT.into()))
    }
}

fn failed(call: &str, path: &Path, error: &io::Error) -> SelinuxError {
    SelinuxError::call(format!("{call} {}", path.display()), error)
}

/// A number below `limit`.
fn random(limit: u16) -> Result<u16, SelinuxError> {
    let mut bytes = [0; 4];
    let filled = rustix::rand::getrandom(&mut bytes, rustix::rand::GetRandomFlags::empty());
    match filled {
        Ok(4) => {}
        Ok(_) => return Err(SelinuxError::call("getrandom", &Errno::IO.into())),
        Err(errno) => return Err(SelinuxError::call("getrandom", &errno.into())),
    }
    let number = u32::from_ne_bytes(bytes).checked_rem(u32::from(limit)).unwrap_or(0);
    Ok(u16::try_from(number).unwrap_or(0))
}

fn open_file(path: &Path) -> io::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::APPEND | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    // What is no regular file is not waited for.
    Ok(open(path, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o600))?.into())
}

/// The file of a level that nobody used, locked as used.
fn take(path: &Path) -> io::Result<Option<File>> {
    let mut file = open_file(path)?;
    if !is_unlocked(&file)? || is_kept(&mut file)? {
        return Ok(None);
    }
    // ORDER: under the directory's lock, as the kernel does not promise that one lock becomes the other without a gap.
    flock(&file, FlockOperation::NonBlockingLockShared)?;
    Ok(Some(file))
}

/// Whether nobody else has a lock; it is locked by us then.
fn is_unlocked(file: &File) -> io::Result<bool> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Err(Errno::WOULDBLOCK) => Ok(false),
        locked => locked.map(|()| true).map_err(io::Error::from),
    }
}

/// Whether there is a keeper; those that have gone are forgotten if all have.
fn is_kept(file: &mut File) -> io::Result<bool> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.take(LONGEST.0).read_to_end(&mut bytes)?;
    for keeper in bytes.split(|byte| *byte == 0).filter(|keeper| !keeper.is_empty()) {
        match fs::symlink_metadata(PathBuf::from(OsString::from_vec(keeper.to_vec()))) {
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {}
            // It is there; or that is not known.
            _ => return Ok(true),
        }
    }
    if !bytes.is_empty() {
        file.set_len(0)?;
    }
    Ok(false)
}

impl Reservation {
    /// The level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level
    }

    /// Keeps it as long as there is something at `keeper`, an absolute path such as the directory of a container: beyond the end of this
    /// program.
    ///
    /// # Errors
    /// A path that is not absolute or longer than 4096 bytes; write(2). The reservation ends then.
    pub fn keep_for(mut self, keeper: &Path) -> Result<(), SelinuxError> {
        let bytes = keeper.as_os_str().as_bytes();
        if !keeper.is_absolute() || bytes.len() > LONGEST.1 {
            return Err(SelinuxError::malformed(keeper, "no absolute path of at most 4096 bytes"));
        }
        let line = [bytes, b"\0"].concat();
        let written = self.file.write(&line).and_then(|count| {
            if count == line.len() { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::EIO)) }
        });
        // ORDER: behind the write: until then dropping it gives the level back.
        self.kept = written.is_ok();
        written.map_err(|error| failed("write", &self.levels.path(self.level), &error))
    }

    /// Gives the level back, and removes its file unless it is used by others.
    ///
    /// # Errors
    /// A failed call. The level is given back all the same: without a lock and a keeper the file says nothing.
    pub fn release(mut self) -> Result<(), SelinuxError> {
        self.kept = true;
        let _lock = self.levels.lock()?;
        let path = self.levels.path(self.level);
        let removed = is_unlocked(&self.file)
            .and_then(|last| if last && !is_kept(&mut self.file)? { fs::remove_file(&path) } else { Ok(()) });
        removed.map_err(|error| failed("release", &path, &error))
    }

    fn remove_now(&mut self) -> io::Result<()> {
        let lock = open_file(&self.levels.dir.join("lock"))?;
        flock(&lock, FlockOperation::NonBlockingLockExclusive)?;
        if is_unlocked(&self.file)? && !is_kept(&mut self.file)? {
            fs::remove_file(self.levels.path(self.level))?;
        }
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if !self.kept {
            // A file that stays says nothing, and is used again by the next who gets this level.
            let _ = self.remove_now();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Place(Levels);

    impl Place {
        fn new(name: &str) -> Self {
            Self(Levels::new(std::env::temp_dir().join(format!("mcs-{name}-{}", std::process::id()))))
        }

        fn files(&self) -> usize {
            fs::read_dir(&self.0.dir)
                .unwrap()
                .filter(|entry| entry.as_ref().unwrap().file_name() != "lock")
                .count()
        }
    }

    impl Drop for Place {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0.dir);
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn no_pair_is_given_twice_and_all_are_given() {
        let place = Place::new("all");
        let levels = place.0.clone().categories(6);
        let all: Vec<_> = (0..15).map(|_| levels.reserve().unwrap()).collect();
        let different: std::collections::HashSet<_> = all.iter().map(Reservation::level).collect();
        assert_eq!(different.len(), 15);
        assert_eq!(levels.reserve().unwrap_err(), SelinuxError::Full { dir: levels.dir.clone() });
        drop(all);
        assert_eq!(place.files(), 0);
        assert!(levels.reserve().is_ok());
        for categories in [0, 1] {
            assert!(matches!(
                levels.clone().categories(categories).reserve(),
                Err(SelinuxError::Full { .. })
            ));
        }
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_level_is_kept_as_long_as_its_container_is_there() {
        let place = Place::new("kept");
        let levels = place.0.clone().categories(2);
        let container = levels.dir.join("container");
        levels.lock().unwrap();
        fs::create_dir(&container).unwrap();
        levels.reserve().unwrap().keep_for(&container).unwrap();
        assert!(matches!(levels.reserve(), Err(SelinuxError::Full { .. })));
        fs::remove_dir(&container).unwrap();
        levels.reserve().unwrap().release().unwrap();
        assert_eq!(place.files(), 0);
        assert!(levels.reserve().unwrap().keep_for(Path::new("relative")).is_err());
        assert!(levels.reserve().is_ok(), "given back by the error");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn what_can_not_be_known_of_a_keeper_keeps() {
        let place = Place::new("unknown");
        let levels = place.0.clone().categories(2);
        let name = "x".repeat(300);
        levels.reserve().unwrap().keep_for(&Path::new("/").join(name)).unwrap();
        assert!(matches!(levels.reserve(), Err(SelinuxError::Full { .. })), "ENAMETOOLONG is not ENOENT");
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_chosen_level_is_shared_and_not_given_out() {
        let place = Place::new("shared");
        let levels = place.0.clone().categories(2);
        let level = Level::pair(0, 1).unwrap();
        let (one, two) = (levels.share(level).unwrap(), levels.share(level).unwrap());
        one.release().unwrap();
        assert!(matches!(levels.reserve(), Err(SelinuxError::Full { .. })), "the other one is left");
        drop(two);
        let unique = levels.reserve().unwrap();
        let guest = levels.share(level).unwrap();
        drop(unique);
        assert!(matches!(levels.reserve(), Err(SelinuxError::Full { .. })));
        drop(guest);
        assert!(levels.reserve().is_ok());
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn a_name_that_is_no_file_is_an_error() {
        let place = Place::new("odd");
        let levels = place.0.clone().categories(2);
        levels.lock().unwrap();
        fs::create_dir(levels.dir.join("s0:c0,c1")).unwrap();
        assert_eq!(levels.reserve().unwrap_err().errno(), Some(libc::EISDIR));
        fs::remove_dir(levels.dir.join("s0:c0,c1")).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", levels.dir.join("s0:c0,c1")).unwrap();
        assert_eq!(levels.reserve().unwrap_err().errno(), Some(libc::ELOOP));
    }
}
