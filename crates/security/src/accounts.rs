//! User strings of 2014, resolved against a container's own passwd and group files: pure functions over bytes.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

/// Who a user string names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ResolvedUser {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Supplementary groups, sorted, without doubles.
    pub groups: Vec<u32>,
    /// Home directory; `/` if unknown.
    pub home: PathBuf,
}

/// Why a user string names nobody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UserError {
    /// No such user in the container's passwd.
    #[error("user {name:?}: not in the container's /etc/passwd")]
    NoUser {
        /// The name.
        name: String,
    },
    /// No such group in the container's group file.
    #[error("group {name:?}: not in the container's /etc/group")]
    NoGroup {
        /// The name.
        name: String,
    },
    /// A number that is no id.
    #[error("{text:?}: ids are 0 to 4294967294")]
    OutOfRange {
        /// The number as given.
        text: String,
    },
}

struct User<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

struct Group<'a> {
    name: &'a [u8],
    gid: u32,
    members: &'a [u8],
}

/// The lines of a passwd file that are well-formed. A line with a bad number is nobody's: it never becomes uid 0.
fn users(passwd: &[u8]) -> impl Iterator<Item = User<'_>> {
    passwd.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (number(fields.nth(1)?)?, number(fields.next()?)?);
        // A line that ends before it: no home.
        let home = fields.nth(1).unwrap_or_default();
        Some(User { name, uid, gid, home })
    })
}

fn groups(group: &[u8]) -> impl Iterator<Item = Group<'_>> {
    group.split(|byte| *byte == b'\n').filter_map(|line| {
        let mut fields = line.split(|byte| *byte == b':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let gid = number(fields.nth(1)?)?;
        // A line that ends before them: no members.
        Some(Group { name, gid, members: fields.next().unwrap_or_default() })
    })
}

/// A decimal id. `u32::MAX` means "no change" to the kernel and is no id.
fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let value = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    (value != u32::MAX).then_some(value)
}

/// Digits, also with a sign, are always a number and never looked up as a name (CVE-2016-3697).
fn id(text: &str) -> Option<Result<u32, UserError>> {
    let unsigned = text.trim_start_matches(['-', '+']);
    let numeric = !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit());
    let wrong = || UserError::OutOfRange { text: text.to_owned() };
    numeric.then(|| number(text.as_bytes()).ok_or_else(wrong))
}

/// The name of the user with an id, by the first line of a passwd file that has it; `None` if no line has.
///
/// The file alone is asked, as a static program can't load what nsswitch.conf(5) names. [passwd(5)](https://man7.org/linux/man-pages/man5/passwd.5.html).
#[must_use]
pub fn user_name(passwd: &[u8], uid: u32) -> Option<&OsStr> {
    users(passwd).find(|entry| entry.uid == uid).map(|entry| OsStr::from_bytes(entry.name))
}

/// Resolves a user string: `""`, `user`, `uid`, `user:group`, `uid:gid`, `:group` …
///
/// A named or known user brings its group, home and supplementary groups; a group given explicitly replaces the group and takes
/// the supplementary groups away; an unknown uid has group 0 and home `/`.
///
/// # Errors
/// A name that is not in the files, or a number that is no id.
pub fn resolve(
    spec: &str,
    passwd: &[u8],
    group: &[u8],
    additional: &[String],
) -> Result<ResolvedUser, UserError> {
    let mut parts = spec.split(':');
    let (user, explicit) = (parts.next().unwrap_or_default(), parts.next().filter(|part| !part.is_empty()));
    let found = match id(user) {
        _ if user.is_empty() => users(passwd).find(|entry| entry.uid == 0),
        Some(uid) => {
            let uid = uid?;
            users(passwd).find(|entry| entry.uid == uid).or(Some(User { name: b"", uid, gid: 0, home: b"" }))
        }
        None => {
            let named = users(passwd).find(|entry| entry.name == user.as_bytes());
            Some(named.ok_or_else(|| UserError::NoUser { name: user.to_owned() })?)
        }
    };
    let found = found.unwrap_or(User { name: b"", uid: 0, gid: 0, home: b"" });
    let home = if found.home.is_empty() { b"/" } else { found.home };
    let mut resolved = ResolvedUser {
        uid: found.uid,
        gid: found.gid,
        groups: Vec::new(),
        home: OsStr::from_bytes(home).into(),
    };
    match explicit {
        Some(name) => resolved.gid = group_id(name, group)?,
        None => resolved.groups.extend(memberships(group, found.name)),
    }
    for name in additional {
        resolved.groups.push(group_id(name, group)?);
    }
    resolved.groups.sort_unstable();
    resolved.groups.dedup();
    Ok(resolved)
}

fn group_id(name: &str, group: &[u8]) -> Result<u32, UserError> {
    if let Some(gid) = id(name) {
        return gid;
    }
    let found = groups(group).find(|entry| entry.name == name.as_bytes());
    found.map(|entry| entry.gid).ok_or_else(|| UserError::NoGroup { name: name.to_owned() })
}

fn memberships<'a>(group: &'a [u8], user: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
    let has = move |entry: &Group<'_>| entry.members.split(|byte| *byte == b',').any(|member| member == user);
    groups(group).filter(move |entry| !user.is_empty() && has(entry)).map(|entry| entry.gid)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &[u8] = b"root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1::/usr/sbin:/x\ngarbage\nbad:x:zero:0::/:\n1000:x:0:0::/evil:\nu:x:1000:100::/home/u:\n\xff\xfe:x:7:7::/:\n";
    const GROUP: &[u8] = b"root:x:0:\nwheel:x:10:u,daemon\nbadgid:x:x:u\nstaff:x:50:u\n";

    fn check(spec: &str, wanted: &str) {
        let text = match resolve(spec, PASSWD, GROUP, &[]) {
            Ok(user) => format!("{}:{} {:?} {}", user.uid, user.gid, user.groups, user.home.display()),
            Err(error) => error.to_string(),
        };
        assert_eq!(text, wanted, "{spec:?}");
    }

    #[test]
    fn specs_of_2014() {
        check("", "0:0 [] /root");
        check("daemon", "1:1 [10] /usr/sbin");
        check("u", "1000:100 [10, 50] /home/u");
        check("1000", "1000:100 [10, 50] /home/u");
        check("u:wheel", "1000:10 [] /home/u");
        check("u:77", "1000:77 [] /home/u");
        check(":staff", "0:50 [] /root");
        check("4242", "4242:0 [] /");
        check("4242:4343", "4242:4343 [] /");
    }

    #[test]
    fn names_of_ids() {
        let name = |uid| user_name(PASSWD, uid).map(OsStrExt::as_bytes);
        assert_eq!(
            (name(0), name(1000), name(7)),
            (Some(&b"root"[..]), Some(&b"u"[..]), Some(&b"\xff\xfe"[..]))
        );
        assert_eq!((name(2), name(u32::MAX), user_name(b"", 0)), (None, None, None));
    }

    #[test]
    fn what_names_nobody() {
        check("bad", "user \"bad\": not in the container's /etc/passwd");
        check("u:nope", "group \"nope\": not in the container's /etc/group");
        for text in ["4294967295", "4294967296", "-1", "+5", "18446744073709551616"] {
            check(text, &format!("{text:?}: ids are 0 to 4294967294"));
        }
    }

    #[test]
    fn additional_groups_join_the_list() {
        let user = resolve("u", PASSWD, GROUP, &["wheel".into(), "7".into()]).unwrap();
        assert_eq!(user.groups, [7, 10, 50]);
        assert!(resolve("u", b"", b"", &[]).is_err());
        assert_eq!(resolve("5", b"", b"", &[]).unwrap().uid, 5);
    }
}
