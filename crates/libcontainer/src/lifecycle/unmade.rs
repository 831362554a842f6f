//! Why a step of a new container failed, in words of who wrote its config: what a call and its error number mean there.
//!
//! Only to explain an error that is told anyway.

use nix::errno::Errno;

/// What the text of a failed step and its error number say together.
pub(super) fn why(text: &str, errno: i32) -> Option<&'static str> {
    let is_place = text.contains(": bind ");
    Some(match Errno::from_raw(errno) {
        Errno::ENODEV if text.contains(": fsopen(") => {
            "this kernel has no filesystem of that name (/proc/filesystems has those that it knows)"
        }
        Errno::ENOENT if text.contains(": set ") => "this kernel has no such setting (see below /proc/sys)",
        Errno::EINVAL if text.contains(": set ") => "the kernel takes no such value for it",
        Errno::EISDIR if is_place && text.contains("S_IFREG") => "a file can't be bound on a directory",
        Errno::ENOTDIR if is_place && text.contains("S_IFDIR") => "a directory can't be bound on a file",
        Errno::ENOTDIR if text.contains(": make the working directory") => {
            "something that is no directory lies there, or on the way"
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_told_by_their_texts() {
        let filesystem =
            "create \"c\": step 175/482: mount nfs9 on /data: fsopen(\"nfs9\", CLOEXEC) = s6: ENODEV";
        assert!(why(filesystem, libc::ENODEV).is_some_and(|why| why.contains("/proc/filesystems")));
        assert_eq!(why(filesystem, libc::EPERM), None);
        let setting = "create \"c\": step 181/483: set net.ipv4.x: openat2(s5, \"net/ipv4/x\") = s8: ENOENT";
        assert!(why(setting, libc::ENOENT).is_some_and(|why| why.contains("no such setting")));
        let bind =
            "create \"c\": step 179/481: bind /usr on /x: openat2(s3) made if missing: S_IFDIR|0755: ENOTDIR";
        assert_eq!(why(bind, libc::ENOTDIR), Some("a directory can't be bound on a file"));
        let cwd =
            "create \"c\": step 175/478: make the working directory if it is missing: openat2(s3): ENOTDIR";
        assert!(why(cwd, libc::ENOTDIR).is_some_and(|why| why.contains("no directory")));
        assert_eq!(why("create \"c\": step 1/2: run sleep: execve(\"/bin/sleep\")", libc::ENOENT), None);
    }
}
