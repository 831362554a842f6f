//! A label of AppArmor, and behind a NUL the name of a profile: what is read can be written and read again, and what would be written into the text of a profile
//! can't say more than a name.
#![no_main]

use libcontainer::security::apparmor::{DefaultProfile, Label, ProfileName, Transition};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let (first, rest) = match bytes.iter().position(|byte| *byte == 0) {
        Some(end) => (&bytes[..end], &bytes[end + 1..]),
        None => (bytes, bytes),
    };
    if let Some(label) = Label::from_bytes(first) {
        assert_eq!(Label::from_bytes(label.to_string().as_bytes()), Some(label));
    }
    let Ok(text) = std::str::from_utf8(rest) else { return };
    if let Ok(transition) = text.parse::<Transition>() {
        assert_eq!(transition.to_string().parse(), Ok(transition.clone()));
        assert!(!transition.name().as_str().contains(['\n', '\0']));
    }
    if let Ok(profile) = text.parse::<ProfileName>().and_then(|name| DefaultProfile::new(&name)) {
        let lines =
            profile.text().lines().filter(|line| line.contains(text) && line.contains("profile ")).count();
        assert_eq!(lines, 1, "{text:?}");
    }
});
