//! What containerd's configuration says of the runtime: the options of the shim for runc, as far as they mean something here.

mod lines;

use std::path::Path;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::well_known_types::empty::Empty;
use containerd_shim_protos::protobuf::{Message, UnknownValueRef};
use containerd_shim_protos::shim::oci;

use crate::place;
use crate::trouble::Trouble;

const NAME: &str = "containerd.runc.v1.Options";
/// What containerd's CRI service sends of a runtime that it does not know: where a file with options is, or its text.
const FOREIGN: &str = "runtimeoptions.v1.Options";
/// What clients send for a shim that is not named after runc, with the owner of its pipes: they go to the program's user here anyway.
const OLD: &str = "containerd.linux.runc.CreateOptions";

/// The options, as their defaults if none are given.
///
/// # Errors
/// Options of another kind: somebody wants what would not be done.
pub(crate) fn read(any: Option<&Any>) -> Result<oci::Options, Trouble> {
    let Some(any) = any.filter(|any| !any.type_url.is_empty()) else { return Ok(oci::Options::new()) };
    let name = type_name(any);
    let options = match name {
        FOREIGN => return foreign(&any.value),
        NAME => oci::Options::parse_from_bytes(&any.value),
        OLD => Empty::parse_from_bytes(&any.value).map(|message| old(&message)),
        _ => {
            let text =
                format!("options of the type {:?}: this shim takes {NAME} and {FOREIGN}", any.type_url);
            return Err(Trouble::invalid(text));
        }
    };
    options.map_err(|error| Trouble::invalid(format!("{name}: {error}")))
}

/// Field 2 is a path, field 3 a text.
fn foreign(value: &[u8]) -> Result<oci::Options, Trouble> {
    let message =
        Empty::parse_from_bytes(value).map_err(|error| Trouble::invalid(format!("{FOREIGN}: {error}")))?;
    let fields = message.special_fields.unknown_fields();
    let bytes = |number| match fields.get(number) {
        Some(UnknownValueRef::LengthDelimited(bytes)) => {
            Some(bytes.to_vec()).filter(|bytes| !bytes.is_empty())
        }
        _ => None,
    };
    let (name, text) = match bytes(2) {
        Some(path) => {
            let name = String::from_utf8_lossy(&path).into_owned();
            let text = place::read(Path::new(&name))?;
            let text = text.ok_or_else(|| Trouble::invalid(format!("options {name}: no such file")))?;
            (name, text)
        }
        None => (FOREIGN.to_owned(), bytes(3).unwrap_or_default()),
    };
    let wrong = |error: String| Trouble::invalid(format!("options {name}: {error}"));
    let text = String::from_utf8(text).map_err(|error| wrong(error.to_string()))?;
    lines::read(&text).map_err(wrong)
}

/// By the numbers of its fields. The others are of checkpoints.
fn old(message: &Empty) -> oci::Options {
    let fields = message.special_fields.unknown_fields();
    let is_set = |number| matches!(fields.get(number), Some(UnknownValueRef::Varint(value)) if value != 0);
    oci::Options { no_pivot_root: is_set(1), no_new_keyring: is_set(8), ..oci::Options::default() }
}

/// containerd writes the bare name, others a host before it.
pub(crate) fn type_name(any: &Any) -> &str {
    any.type_url.rsplit_once('/').map_or(any.type_url.as_str(), |(_, name)| name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn any(name: &str, value: Vec<u8>) -> Any {
        Any { type_url: name.to_owned(), value, ..Any::default() }
    }

    #[test]
    fn options_of_others_are_refused() {
        let mut wanted = oci::Options::new();
        wanted.systemd_cgroup = true;
        let bytes = wanted.write_to_bytes().unwrap_or_default();
        for name in [NAME, "type.googleapis.com/containerd.runc.v1.Options"] {
            assert!(read(Some(&any(name, bytes.clone()))).is_ok_and(|read| read.systemd_cgroup), "{name}");
        }
        let old =
            |bytes| read(Some(&any(OLD, bytes))).map(|read| (read.no_pivot_root, read.no_new_keyring)).ok();
        // Field 1 is true, and field 10 is a user's number.
        assert_eq!(old(vec![0x08, 1, 0x50, 0xe0, 0xa7, 0x12]), Some((true, false)));
        assert_eq!(old(vec![0x40, 1]), Some((false, true)));
        let foreign =
            |bytes: &[u8]| read(Some(&any(FOREIGN, bytes.to_vec()))).map(|read| read.systemd_cgroup).ok();
        assert_eq!(foreign(b""), Some(false));
        assert_eq!(foreign(b"\x1a\x14SystemdCgroup = true"), Some(true));
        assert_eq!(foreign(b"\x12\x05/none"), None, "a file that is not there");
        assert!(read(None).is_ok_and(|read| !read.systemd_cgroup));
        assert!(read(Some(&any("io.example.Options", Vec::new()))).is_err());
        assert!(read(Some(&any(NAME, vec![0xff]))).is_err());
    }
}
