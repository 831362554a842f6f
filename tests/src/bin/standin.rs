//! Stands in for criu: speaks its protocol by descriptor 3, and misbehaves as `STANDIN` says.
#![forbid(unsafe_code)]

use std::process::ExitCode;
use std::thread::sleep;
use std::time::Duration;

use nix::sys::socket::{MsgFlags, recv, send};

const CONNECTION: i32 = 3;
/// What a criu 4.1 says when it is asked which version it is, and one of 3.10.
const NEW: &[u8] = b"\x08\x0a\x10\x01\x52\x04\x08\x04\x10\x01";
const OLD: &[u8] = b"\x08\x0a\x10\x01\x52\x04\x08\x03\x10\x0a";
/// That it can't do what it is asked, for want of rights: of a checkpoint, and of a restore.
const REFUSED: [&[u8]; 2] =
    [b"\x08\x01\x10\x00\x38\x0d\x4a\x06no way", b"\x08\x02\x10\x00\x38\x0d\x4a\x06no way"];
/// That the restore is done, of which no process was told.
const DONE: &[u8] = b"\x08\x02\x10\x01";

fn main() -> ExitCode {
    let mode = std::env::var("STANDIN").unwrap_or_default();
    if std::env::args().nth(1).as_deref() == Some("check") {
        return ExitCode::SUCCESS;
    }
    let mut request = vec![0; 65536];
    let mut hear = || recv(CONNECTION, &mut request, MsgFlags::empty()).unwrap_or(0);
    let say = |bytes: &[u8]| send(CONNECTION, bytes, MsgFlags::MSG_NOSIGNAL).is_ok();
    hear();
    let is_restore = mode.ends_with("restore");
    match mode.trim_end_matches("-restore") {
        "hang" => stay(),
        "die" => return ExitCode::from(3),
        "rubbish" => drop(say(b"HTTP/1.1 400 Bad Request")),
        "old" => drop(say(OLD)),
        "stall" => {
            say(NEW);
            hear();
            stay();
        }
        "vanish" => {
            say(NEW);
            hear();
            return ExitCode::from(9);
        }
        "refuse" => {
            say(NEW);
            hear();
            say(if is_restore { REFUSED[1] } else { REFUSED[0] });
        }
        "lie" => {
            say(NEW);
            hear();
            say(DONE);
        }
        _ => return ExitCode::from(99),
    }
    ExitCode::SUCCESS
}

fn stay() {
    loop {
        sleep(Duration::from_secs(60));
    }
}
