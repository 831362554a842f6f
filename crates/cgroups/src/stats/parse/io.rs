//! `io` and `blkio`.

use crate::stats::io::{Io, IoDevice, IoEntry, Op};
use crate::stats::scan::{Malformed, Parsed, leading_number, lines, number, split, words};

/// `io.stat` of version 2: `8:0 rbytes=1 wbytes=2 rios=3 wios=4 dbytes=5 dios=6`.
///
/// KERNEL(5.14): earlier ones could print a device without values and go on with the next one on the same line.
pub(in crate::stats) fn stat(text: &[u8], io: &mut Io) -> Parsed {
    io.devices.clear();
    for line in lines(text) {
        let mut current = None;
        for word in words(line) {
            if let Some((key, value)) = split(word, b'=') {
                // Values of devices without number (`(unknown)`, a disk that went away) belong to nobody.
                let Some((major, minor)) = current else { continue };
                if let Some(device) = io.device(major, minor) {
                    put(device, key, value)?;
                }
            } else if word.contains(&b':') {
                current = Some(numbers(word)?);
            }
        }
    }
    Ok(())
}

/// Keys that we don't know may have values that are no numbers (`cost.vrate=100.00`, `depth=max`): passed over.
fn put(device: &mut IoDevice, key: &[u8], value: &[u8]) -> Parsed {
    let field = match key {
        b"rbytes" => &mut device.read_bytes,
        b"wbytes" => &mut device.write_bytes,
        b"dbytes" => &mut device.discard_bytes,
        b"rios" => &mut device.reads,
        b"wios" => &mut device.writes,
        b"dios" => &mut device.discards,
        b"cost.usage" => &mut device.cost_usage,
        b"cost.wait" => &mut device.cost_wait,
        b"cost.indebt" => &mut device.cost_indebt,
        b"cost.indelay" => &mut device.cost_indelay,
        _ => return Ok(()),
    };
    *field = Some(number(value)?);
    Ok(())
}

fn numbers(word: &[u8]) -> Result<(u32, u32), Malformed> {
    let parsed = || {
        let (major, rest) = leading_number(word)?;
        let (minor, rest) = leading_number(rest.strip_prefix(b":")?)?;
        let numbers = (u32::try_from(major).ok()?, u32::try_from(minor).ok()?);
        rest.is_empty().then_some(numbers)
    };
    parsed().ok_or_else(|| Malformed::new("a device such as `8:0`", word))
}

/// A version 1 list: `8:0 Read 4096` or `8:0 4096`, and a line `Total 4096` over all devices, which is passed over.
pub(in crate::stats) fn entries(text: &[u8], list: &mut Vec<IoEntry>) -> Parsed {
    list.clear();
    for line in lines(text) {
        let mut words = words(line);
        let (device, op, value) = match (words.next(), words.next(), words.next(), words.next()) {
            (Some(device), Some(value), None, None) => (device, None, value),
            (Some(device), Some(op), Some(value), None) => (device, Some(Op::of(op)), value),
            _ => return Err(Malformed::new("`device operation number`", line)),
        };
        if device != b"Total" {
            let (major, minor) = numbers(device)?;
            list.push(IoEntry { major, minor, op, value: number(value)? });
        }
    }
    Ok(())
}

/// Fills `devices` from the lists of version 1.
pub(in crate::stats) fn devices_of_lists(io: &mut Io) {
    let (bytes, requests) = (std::mem::take(&mut io.service_bytes), std::mem::take(&mut io.serviced));
    for (list, counts) in [(&bytes, false), (&requests, true)] {
        for entry in list {
            let Some(device) = io.device(entry.major, entry.minor) else { continue };
            let field = match (entry.op, counts) {
                (Some(Op::Read), false) => &mut device.read_bytes,
                (Some(Op::Write), false) => &mut device.write_bytes,
                (Some(Op::Discard), false) => &mut device.discard_bytes,
                (Some(Op::Read), true) => &mut device.reads,
                (Some(Op::Write), true) => &mut device.writes,
                (Some(Op::Discard), true) => &mut device.discards,
                _ => continue,
            };
            *field = Some(entry.value);
        }
    }
    (io.service_bytes, io.serviced) = (bytes, requests);
}
