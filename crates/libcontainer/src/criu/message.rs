//! criu's messages: rpc.proto of criu, as far as it is used here. The numbers are those of its fields.

use super::protobuf::{Fields, Malformed, Message, Value};

/// What is asked for: `criu_req_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Dump = 1,
    Restore = 2,
    PreDump = 4,
    Notify = 6,
    FeatureCheck = 9,
    Version = 10,
}

/// A feature of the kernel and of criu: `criu_features`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    /// Pages that were written to since are known.
    MemoryTracking = 1,
    /// Pages are fetched when they are used: userfaultfd(2).
    LazyPages = 2,
}

/// A request for which the connection stays open.
pub(super) fn question(kind: Kind) -> Message {
    let mut request = Message::default();
    request.number(1, kind as u64).flag(4, true);
    request
}

/// The question whether it has a feature.
pub(super) fn feature_check(feature: Feature) -> Message {
    let mut features = Message::default();
    features.flag(feature as u32, true);
    let mut request = question(Kind::FeatureCheck);
    request.message(5, &features);
    request
}

/// The request for the work itself.
pub(super) fn work(kind: Kind, options: &Message) -> Message {
    let mut request = Message::default();
    request.number(1, kind as u64).message(2, options);
    request
}

/// The answer to a notification.
pub(super) fn noted(success: bool) -> Message {
    let mut request = Message::default();
    request.number(1, Kind::Notify as u64).number(3, u64::from(success));
    request
}

/// What criu says: `criu_resp`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Answer {
    /// By the numbers of [`Kind`].
    pub(super) kind: u64,
    pub(super) success: bool,
    /// The error number, and what criu says of it.
    pub(super) errno: i32,
    pub(super) message: String,
    /// What it is about to do, and the process that it is about, if any.
    pub(super) script: String,
    pub(super) notified: i32,
    /// Numbers of the features that it has.
    pub(super) features: Vec<u32>,
    /// The three parts of its version.
    pub(super) version: Option<[u32; 3]>,
}

impl Answer {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut answer = Self::default();
        let mut seen = (false, false);
        for field in Fields::of(bytes) {
            let (field, value) = field?;
            match field {
                1 => (answer.kind, seen.0) = (value.number().ok_or(Malformed)?, true),
                2 => (answer.success, seen.1) = (value.number().ok_or(Malformed)? != 0, true),
                5 => answer.notify(value)?,
                7 => answer.errno = value.signed().ok_or(Malformed)?,
                8 => answer.features = features(value)?,
                9 => answer.message = text(value)?,
                10 => answer.version = Some(version(value)?),
                _ => {}
            }
        }
        // Both are required: without them it is something else.
        if seen == (true, true) { Ok(answer) } else { Err(Malformed) }
    }

    fn notify(&mut self, value: Value<'_>) -> Result<(), Malformed> {
        for field in Fields::of(value.bytes().ok_or(Malformed)?) {
            match field? {
                (1, value) => self.script = text(value)?,
                (2, value) => self.notified = value.signed().ok_or(Malformed)?,
                _ => {}
            }
        }
        Ok(())
    }
}

fn text(value: Value<'_>) -> Result<String, Malformed> {
    value.bytes().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).ok_or(Malformed)
}

fn features(value: Value<'_>) -> Result<Vec<u32>, Malformed> {
    let mut found = Vec::new();
    for field in Fields::of(value.bytes().ok_or(Malformed)?) {
        let (number, value) = field?;
        found.extend(value.number().filter(|has| *has != 0).map(|_| number));
    }
    Ok(found)
}

/// `criu_version`: major and minor number, and the one behind, if it has one.
fn version(value: Value<'_>) -> Result<[u32; 3], Malformed> {
    let (mut major, mut minor, mut sublevel) = (None, None, 0);
    for field in Fields::of(value.bytes().ok_or(Malformed)?) {
        let number = |value: Value<'_>| value.number().and_then(|number| u32::try_from(number).ok());
        match field? {
            (1, value) => major = number(value),
            (2, value) => minor = number(value),
            (4, value) => sublevel = number(value).ok_or(Malformed)?,
            _ => {}
        }
    }
    Ok([major.ok_or(Malformed)?, minor.ok_or(Malformed)?, sublevel])
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As criu 4.1.1 has answered, byte for byte, but for the id of its sources.
    #[test]
    fn a_version_is_read() {
        let answer = Answer::read(b"\x08\x0a\x10\x01\x52\x08\x08\x04\x10\x01\x1a\x00\x20\x01").unwrap();
        assert_eq!((answer.kind, answer.success, answer.version), (10, true, Some([4, 1, 1])));
    }

    #[test]
    fn a_notification_is_read() {
        let mut notify = Message::default();
        notify.text(1, "post-restore").signed(2, 77);
        let mut message = Message::default();
        message.number(1, 6).number(2, 1).message(5, &notify);
        let answer = Answer::read(message.as_bytes()).unwrap();
        assert_eq!((answer.script.as_str(), answer.notified), ("post-restore", 77));
    }

    #[test]
    fn a_failure_is_read() {
        let mut message = Message::default();
        message.number(1, 1).number(2, 0).signed(7, -17).text(9, b"no \xff way");
        let answer = Answer::read(message.as_bytes()).unwrap();
        assert_eq!((answer.success, answer.errno), (false, -17));
        assert!(answer.message.starts_with("no "));
    }

    #[test]
    fn what_lacks_a_required_field_is_no_answer() {
        for bytes in [&b""[..], b"\x08\x01", b"\x10\x01", b"\x08\x01\x10\x01\x2a\x01\x08", b"HTTP/1.1 200 OK"]
        {
            assert_eq!(Answer::read(bytes), Err(Malformed), "{bytes:?}");
        }
    }
}
