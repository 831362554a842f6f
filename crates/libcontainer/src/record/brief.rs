//! The few keys of a record that a list shows: the config is most of it, and is not built.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;

use super::bytes::{self, StateError};
use super::state::{Intent, State, Status};
use crate::config::Config;

#[derive(Default, Deserialize)]
#[serde(default)]
struct Brief {
    init_pid: i32,
    init_start_time: String,
    version: u32,
    id: String,
    status: Status,
    boot_id: String,
    created: u64,
    intent: Vec<Intent>,
    config: Shown,
    checksum: String,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Shown {
    rootfs: PathBuf,
    bundle: PathBuf,
    labels: BTreeMap<String, String>,
}

/// As [`bytes::decode`], with no more of the config than `rootfs`, `bundle` and `labels`: nothing may be done by it.
pub(super) fn decode(bytes: &[u8]) -> Result<State, StateError> {
    let brief: Brief = bytes::parse(bytes)?;
    bytes::check(bytes, brief.version, &brief.checksum)?;
    let Shown { rootfs, bundle, labels } = brief.config;
    Ok(State {
        init_pid: brief.init_pid,
        init_start_time: brief.init_start_time,
        version: brief.version,
        id: brief.id,
        status: brief.status,
        boot_id: brief.boot_id,
        created: brief.created,
        intent: brief.intent,
        config: Config { rootfs, bundle, labels, ..Config::default() },
        ..State::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_says_of_a_record_what_the_whole_says() {
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let config = Config {
            rootfs: "/r".into(),
            bundle: "/b".into(),
            labels,
            hostname: "h".into(),
            ..Config::default()
        };
        let state = State {
            id: "web".into(),
            init_pid: 7,
            init_start_time: "9".into(),
            boot_id: "x".into(),
            status: Status::Running,
            created: 5,
            intent: vec![Intent::Process],
            config,
            ..State::default()
        };
        let bytes = bytes::encode(&state).unwrap();
        let whole = bytes::decode(&bytes).unwrap();
        let config = Config { hostname: String::new(), ..whole.config.clone() };
        assert_eq!(decode(&bytes).unwrap(), State { config, ..whole });
    }

    #[test]
    fn damage_is_seen() {
        let bytes = bytes::encode(&State { id: "web".into(), ..State::default() }).unwrap();
        for end in 0..bytes.len() - 1 {
            assert!(decode(&bytes[..end]).is_err(), "cut at {end}");
        }
        let text = String::from_utf8(bytes).unwrap();
        let changed = text.replace("\"created\":0", "\"created\":1");
        assert!(matches!(decode(changed.as_bytes()), Err(StateError::Checksum)));
        let newer = br#"{"intent":{"new":"form"},"version":99}"#;
        assert!(matches!(decode(newer), Err(StateError::Newer(99))));
    }
}
