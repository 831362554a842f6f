//! Contexts: `user:role:type:range`.

use std::fmt;
use std::str::{self, FromStr};

use super::level::{Level, Range};
use super::malformed::ContextError;

/// Longest context that a write to an attribute file takes: a page with its NUL, proc_pid_attr(5).
const LONGEST: usize = 4095;

/// A context of SELinux: what a process, a file, a key or a socket is labelled with. Written as the kernel writes it, so that two contexts are
/// the same if and only if their texts are. Whether a policy has such a user, role and type is for the kernel to say:
/// [`check`](super::check).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Context {
    user: String,
    role: String,
    kind: String,
    range: Option<Range>,
}

impl Context {
    /// The user, such as `system_u`.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The role, such as `system_r`; files have `object_r`.
    #[must_use]
    pub fn role(&self) -> &str {
        &self.role
    }

    /// The type, such as `container_t`: the domain of a process.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The range; none in a policy without MLS and MCS.
    #[must_use]
    pub fn range(&self) -> Option<Range> {
        self.range
    }

    /// With another user.
    ///
    /// # Errors
    /// That is no name.
    pub fn with_user(self, user: &str) -> Result<Self, ContextError> {
        Ok(Self { user: name("user", user)?, ..self })
    }

    /// With another role.
    ///
    /// # Errors
    /// That is no name.
    pub fn with_role(self, role: &str) -> Result<Self, ContextError> {
        Ok(Self { role: name("role", role)?, ..self })
    }

    /// With another type.
    ///
    /// # Errors
    /// That is no name.
    pub fn with_kind(self, kind: &str) -> Result<Self, ContextError> {
        Ok(Self { kind: name("type", kind)?, ..self })
    }

    /// With another range.
    #[must_use]
    pub fn with_range(self, range: impl Into<Range>) -> Self {
        Self { range: Some(range.into()), ..self }
    }

    /// At the lowest level, `s0`, which all containers dominate: for what they share. Without a range it stays without one.
    #[must_use]
    pub fn shared(self) -> Self {
        let range = self.range.map(|_| Level::default().into());
        Self { range, ..self }
    }

    /// Reads what the kernel says: a context with a NUL at its end, or without.
    ///
    /// # Errors
    /// As for a text.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ContextError> {
        let bytes = bytes.strip_suffix(b"\0").unwrap_or(bytes);
        let text = str::from_utf8(bytes);
        text.map_err(|_| ContextError::new("context", &bytes.escape_ascii().to_string(), "not ASCII"))?
            .parse()
    }
}

impl FromStr for Context {
    type Err = ContextError;

    fn from_str(text: &str) -> Result<Self, ContextError> {
        if text.len() > LONGEST {
            return Err(ContextError::new("context", text, "longer than 4095 bytes"));
        }
        let mut parts = text.splitn(4, ':');
        let mut next = |part| {
            let missing = || ContextError::new("context", text, "not user:role:type or user:role:type:range");
            name(part, parts.next().ok_or_else(missing)?)
        };
        let (user, role, kind) = (next("user")?, next("role")?, next("type")?);
        let range = parts.next().map(str::parse).transpose()?;
        Ok(Self { user, role, kind, range })
    }
}

/// A name of the policy.
fn name(part: &'static str, text: &str) -> Result<String, ContextError> {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte);
    if text.is_empty() {
        return Err(ContextError::new(part, text, "empty"));
    }
    if !text.bytes().all(fits) {
        return Err(ContextError::new(part, text, "other characters than A-Z a-z 0-9 _ . -"));
    }
    Ok(text.to_owned())
}

impl fmt::Display for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.user, self.role, self.kind)?;
        match self.range {
            Some(range) => write!(f, ":{range}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn contexts_are_read_and_written() {
        for (text, wanted) in [
            (
                "system_u:system_r:svirt_lxc_net_t:s0:c164,c475",
                "system_u:system_r:svirt_lxc_net_t:s0:c164,c475",
            ),
            ("u:r:t:s0:c9,c1-s0:c0.c1023", "u:r:t:s0:c1,c9-s0:c0.c1023"),
            ("u:r:t", "u:r:t"),
            ("staff_u:object_r:a.b-c_t:s0", "staff_u:object_r:a.b-c_t:s0"),
        ] {
            assert_eq!(text.parse::<Context>().map(|context| context.to_string()), Ok(wanted.to_owned()));
        }
    }

    #[test]
    fn what_is_no_context_is_refused() {
        let long = format!("u:r:{}:s0", "t".repeat(4096));
        for (text, wanted) in [
            ("", "user \"\": empty"),
            ("x", "not user:role:type"),
            ("u:r", "not user:role:type"),
            (":r:t:s0", "user \"\": empty"),
            ("u::t:s0", "role \"\": empty"),
            ("u:r::s0", "type \"\": empty"),
            ("u:r:t:", "sensitivity \"\""),
            ("u:r:t:0", "sensitivity \"0\""),
            ("u:r:t:s", "sensitivity \"s\""),
            ("u:r:t:s00", "sensitivity \"s00\""),
            ("u:r:t:s99999", "sensitivity \"s99999\""),
            ("u:r:t:s+1", "sensitivity \"s+1\""),
            ("u:r:t:s0:", "category \"\""),
            ("u:r:t:s0:c1,", "category \"\""),
            ("u:r:t:s0:c1024", "category \"c1024\""),
            ("u:r:t:s0:c01", "category \"c01\""),
            ("u:r:t:s0:1", "category \"1\""),
            ("u:r:t:s0:c5.c2", "goes backward"),
            ("u:r:t:s0:c5.c5", "goes backward"),
            ("u:r:t:s0:c1.c2.c3", "category \"c2.c3\""),
            ("u:r:t:s0:c1:c2", "category \"c1:c2\""),
            ("u:r:t:s1-s0", "does not dominate"),
            ("u:r:t:s0:c1-s0:c2", "does not dominate"),
            ("u:r:t:s0-", "sensitivity \"\""),
            ("u:r:t:s0-s1-s2", "sensitivity \"s1-s2\""),
            ("u:r:t,x:s0", "type \"t,x\": other characters"),
            ("u r:r:t:s0", "other characters"),
            ("u:r:t\n:s0", "other characters"),
            ("u:r:t:s0\n", "sensitivity \"s0\\n\""),
            ("u:r:t\0:s0", "other characters"),
            ("\"u\":r:t:s0", "other characters"),
            ("ü:r:t:s0", "other characters"),
            (long.as_str(), "longer than 4095 bytes"),
        ] {
            let error = text.parse::<Context>().map_err(|error| error.to_string()).unwrap_err();
            assert!(error.contains(wanted), "{text:?}: {error}");
        }
        assert!(Context::from_bytes(b"u:r:t:s0\xff").is_err());
        assert!(Context::from_bytes(b"u:r:t:s0\0\0").is_err());
    }

    #[test]
    fn parts_are_replaced_one_by_one() {
        let context: Context = "u:r:t:s0:c1,c2".parse().unwrap();
        let other = context.clone().with_user("a").and_then(|context| context.with_role("b"));
        let other = other.and_then(|context| context.with_kind("d")).unwrap();
        assert_eq!(other.to_string(), "a:b:d:s0:c1,c2");
        assert_eq!(context.clone().shared().to_string(), "u:r:t:s0");
        assert!(context.clone().with_kind("a:b").is_err());
        let level = Level::pair(3, 4).unwrap();
        assert_eq!(context.with_range(level).to_string(), "u:r:t:s0:c3,c4");
        assert_eq!(Context::from_bytes(b"u:r:t\0").unwrap().shared().to_string(), "u:r:t");
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 4 } else { 256 }, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_is_written_is_read_as_the_same(text in "[a-z]{1,4}:[a-z]{1,4}:[a-z_]{1,8}:s[0-9]:c[0-9]{1,3}(,c[0-9]{1,4}){0,4}") {
            if let Ok(context) = text.parse::<Context>() {
                let written = context.to_string();
                prop_assert_eq!(written.parse::<Context>(), Ok(context.clone()));
                prop_assert_eq!(Context::from_bytes(format!("{written}\0").as_bytes()), Ok(context));
            }
        }

        #[test]
        fn nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Context::from_bytes(&bytes);
        }
    }
}
