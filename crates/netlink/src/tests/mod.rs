//! Codecs against messages captured from `ip` and from the kernel, byte for byte; and what mangled messages do.
mod fields;
mod kinds;
mod mangled;
mod options;
mod oracle;
mod replies;
mod requests;

/// A captured message by name, netlink header included.
fn capture(name: &str) -> Vec<u8> {
    let line =
        include_str!("captures.txt").lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let hex = line.unwrap_or_else(|| panic!("no capture {name}"));
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect("hexadecimal"))
        .collect()
}
