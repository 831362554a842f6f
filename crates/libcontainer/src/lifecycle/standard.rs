//! Standard input, output and error of a first process that is dumped: `descriptors.json` in the images, as runc has it.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use libcontainer_mount::parse_mountinfo;
use libcontainer_plan::Pid;

use crate::error::named;

const FILE: &str = "descriptors.json";
const NULL: &str = "/dev/null";
/// Bytes that it may have.
const LIMIT: u64 = 64 * 1024;

/// What the three are: `pipe:[N]` and its like, `file[MOUNT:INODE]:PATH` for what lies outside of the container, else a path.
pub(super) fn of(pid: Pid) -> io::Result<Vec<String>> {
    let mounts = mounts(pid)?;
    (0..3).map(|number| described(pid, number, &mounts)).collect()
}

fn described(pid: Pid, number: u32, mounts: &Mounts) -> io::Result<String> {
    let path = format!("/proc/{pid}/fd/{number}");
    let target = match fs::read_link(&path) {
        // It has closed it.
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(String::new()),
        target => target.map_err(|error| named(format!("readlink {path}"), error))?,
    };
    let shown = target.to_string_lossy().into_owned();
    if !target.is_absolute() {
        return Ok(shown);
    }
    let found = fs::metadata(&path).map_err(|error| named(format!("stat {path}"), error))?;
    // Its own one need not be reached by a mount that it sees.
    if is_terminal(&found) && !mounts.devices.contains(&found.dev()) {
        let text = format!(
            "descriptor {number} is {shown}, a terminal of the host, which criu can't restore in a container: run it with a terminal of its own, or with other descriptors"
        );
        return Err(io::Error::new(io::ErrorKind::Unsupported, text));
    }
    let info = format!("/proc/{pid}/fdinfo/{number}");
    let text = fs::read_to_string(&info).map_err(|error| named(format!("read {info}"), error))?;
    // Unknown, it is neither inside nor outside.
    let mount = mount_of(&text).ok_or_else(|| io::Error::other(format!("{info}: no mnt_id")))?;
    if mounts.ids.contains(&mount) {
        return Ok(shown);
    }
    let shown = if is_null(&found) { NULL } else { &shown };
    Ok(format!("file[{mount:x}:{:x}]:{shown}", found.ino()))
}

fn is_null(found: &fs::Metadata) -> bool {
    found.file_type().is_char_device() && found.rdev() == libc::makedev(1, 3)
}

/// By its number: of a pseudo terminal, of a console, or of what stands for one.
fn is_terminal(found: &fs::Metadata) -> bool {
    found.file_type().is_char_device() && matches!(libc::major(found.rdev()), 4 | 5 | 136..=143)
}

/// The number of the mount in the text of a file in `fdinfo`.
fn mount_of(text: &str) -> Option<u32> {
    text.lines().find_map(|line| line.strip_prefix("mnt_id:")).and_then(|number| number.trim().parse().ok())
}

/// The mounts that a process sees: their numbers, and the devices of their filesystems.
#[derive(Debug, Default)]
struct Mounts {
    ids: Vec<u32>,
    devices: Vec<u64>,
}

fn mounts(pid: Pid) -> io::Result<Mounts> {
    let path = format!("/proc/{pid}/mountinfo");
    let text = fs::read(&path).map_err(|error| named(format!("read {path}"), error))?;
    let mut found = Mounts::default();
    for entry in parse_mountinfo(&text) {
        let entry = entry.map_err(io::Error::other)?;
        found.ids.push(entry.id);
        found.devices.push(libc::makedev(entry.device.0, entry.device.1));
    }
    Ok(found)
}

/// The name that criu has for what lies outside, and its path.
fn file_of(text: &str) -> Option<(&str, &str)> {
    let (name, path) = text.strip_prefix("file[").and_then(|rest| rest.split_once("]:"))?;
    Some((text.get(..name.len() + 6)?, path))
}

/// Those that criu is to leave out, by their names for it.
pub(super) fn outside(all: &[String]) -> impl Iterator<Item = &str> {
    let mut seen: Vec<&str> = Vec::new();
    all.iter().filter_map(|text| Some(file_of(text)?.0)).filter(move |text| {
        let is_new = !seen.contains(text);
        seen.push(text);
        is_new
    })
}

/// Those in whose place are ours, by their names for criu, and our numbers.
pub(super) fn inherited(all: &[String]) -> impl Iterator<Item = (&str, i32)> {
    all.iter().zip(0..3).filter_map(|(text, number)| Some((key(text)?, number)))
}

fn key(text: &str) -> Option<&str> {
    if text.starts_with("pipe:") { Some(text) } else { file_of(text).map(|(name, _)| name) }
}

/// The null device for those that were it: what the caller has in their place may be a pipe, which criu can't take for it.
pub(super) fn keep_null(all: &[String], ours: &mut [OwnedFd]) -> io::Result<()> {
    for (text, ours) in all.iter().zip(ours) {
        if file_of(text).is_some_and(|(_, path)| path == NULL) {
            let null = fs::File::options().read(true).write(true).open(NULL);
            *ours = null.map_err(|error| named(format!("open {NULL}"), error))?.into();
        }
    }
    Ok(())
}

pub(super) fn write(images: &Path, all: &[String]) -> io::Result<()> {
    let path = images.join(FILE);
    let text = serde_json::to_vec(all).map_err(io::Error::other)?;
    fs::write(&path, text).map_err(|error| named(format!("write {}", path.display()), error))
}

pub(super) fn read(images: &Path) -> io::Result<Vec<String>> {
    let path = images.join(FILE);
    let failed = |error| named(format!("read {} (a checkpoint has it)", path.display()), error);
    let file = fs::File::open(&path).map_err(failed)?;
    let mut text = Vec::new();
    io::Read::read_to_end(&mut io::Read::take(file, LIMIT), &mut text).map_err(failed)?;
    serde_json::from_slice(&text).map_err(|error| failed(io::Error::other(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pipes_and_files_of_the_host_are_ours() {
        let all = ["/dev/null", "pipe:[7]", "file[1a:2b]:/x/log"].map(str::to_owned);
        assert_eq!(inherited(&all).collect::<Vec<_>>(), [("pipe:[7]", 1), ("file[1a:2b]", 2)]);
        // What a path says makes no pipe of it.
        let all = ["/var/pipe:log", "file[1a:2b]:/var/pipe:log"].map(str::to_owned);
        assert_eq!(inherited(&all).collect::<Vec<_>>(), [("file[1a:2b]", 1)]);
        let all = ["file[1:2]:/dev/null", "file[1:2]:/dev/null", "pipe:[3]"].map(str::to_owned);
        assert_eq!(outside(&all).collect::<Vec<_>>(), ["file[1:2]"]);
        assert_eq!(mount_of("pos:\t0\nflags:\t0100000\nmnt_id:\t29\nino:\t4\n"), Some(29));
        assert_eq!(mount_of("pos:\t0\n"), None);
    }
}
