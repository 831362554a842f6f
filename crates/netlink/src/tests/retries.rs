//! What the kernel can't be made to say, from a process that plays it: the socket's protocol is the one for messages between users.
use std::thread::JoinHandle;

use netlink_sys::protocols::NETLINK_USERSOCK;
use netlink_sys::{Socket, SocketAddr};

use super::{ATTEMPTS, Netlink};
use crate::frame::{NLM_F_DUMP_INTR, NLMSG_DONE, NLMSG_ERROR, NLMSG_OVERRUN};
use crate::message::{Message, NLM_F_DUMP, NLM_F_REQUEST};
use crate::{Error, Result};

const LISTED: u16 = 77;

/// One message of an answer: type, flags, payload.
type Part = (u16, u16, Vec<u8>);

fn message(part: &Part, sequence: &[u8], port: u32) -> Vec<u8> {
    let length = u32::try_from(16 + part.2.len()).unwrap();
    let mut bytes = length.to_ne_bytes().to_vec();
    bytes.extend_from_slice(&part.0.to_ne_bytes());
    bytes.extend_from_slice(&part.1.to_ne_bytes());
    bytes.extend_from_slice(sequence);
    bytes.extend_from_slice(&port.to_ne_bytes());
    bytes.extend_from_slice(&part.2);
    bytes
}

/// A socket whose kernel is a thread that gives each request the next answer, and says how many it was asked for. Its own socket
/// stays open until then: else the port would be given to another test's, which would get our last message.
fn played(answers: Vec<Vec<Part>>) -> (Netlink, JoinHandle<(usize, Socket)>) {
    let mut kernel = Socket::new(NETLINK_USERSOCK).unwrap();
    let own = kernel.bind_auto().unwrap().port_number();
    let netlink = Netlink::open_protocol(NETLINK_USERSOCK, "socket").unwrap();
    netlink.channel.connect_to(own);
    let port = netlink.channel.port();
    let thread = std::thread::spawn(move || {
        let mut asked = 0;
        for answer in answers {
            let (request, _) = kernel.recv_from_full().unwrap();
            if request.len() < 17 {
                break;
            }
            asked += 1;
            for part in &answer {
                let bytes = message(part, &request[8..12], port);
                kernel.send_to(&bytes, &SocketAddr::new(port, 0), 0).unwrap();
            }
        }
        (asked, kernel)
    });
    (netlink, thread)
}

/// Lists what the played kernel has: the numbers of the last attempt, and how often it was asked.
fn list(answers: Vec<Vec<Part>>) -> (Result<Vec<u8>>, usize) {
    let (mut netlink, kernel) = played(answers);
    let found = std::cell::RefCell::new(Vec::new());
    let write = |message: &mut Message| {
        message.start(78, NLM_F_REQUEST | NLM_F_DUMP, &[0; 4]);
        Ok(())
    };
    let begin = &mut || found.borrow_mut().clear();
    let result = netlink.query(&|| "list".to_owned(), &write, begin, &mut |frame| {
        found.borrow_mut().extend(frame.payload.first());
        Ok(())
    });
    // Ends the thread if it still waits.
    let _ = netlink.channel.send(&[16, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
    let (asked, _socket) = kernel.join().unwrap();
    (result.map(|()| found.take()), asked)
}

fn listed(number: u8, flags: u16) -> Part {
    (LISTED, flags, vec![number, 0, 0, 0])
}

fn done(flags: u16, code: i32) -> Part {
    (NLMSG_DONE, flags, code.to_ne_bytes().to_vec())
}

fn good() -> Vec<Part> {
    vec![listed(1, 2), listed(2, 2), done(2, 0)]
}

/// Ways in which an attempt is lost; the rest of the answer comes late, and must not count for the next one.
fn lost() -> Vec<(&'static str, Vec<Part>)> {
    vec![
        ("flag at an object", vec![listed(7, 2), listed(8, 2 | NLM_F_DUMP_INTR), done(2, 0)]),
        ("flag at the end only", vec![listed(7, 2), done(2 | NLM_F_DUMP_INTR, 0)]),
        ("EINTR at the end", vec![listed(7, 2), done(2, -libc::EINTR)]),
        ("EINTR as an error", vec![(NLMSG_ERROR, 0, [&(-libc::EINTR).to_ne_bytes()[..], &[0; 16]].concat())]),
        ("overrun", vec![listed(7, 2), (NLMSG_OVERRUN, 0, vec![0; 4]), listed(8, 2), done(2, 0)]),
        ("too long for the buffer", vec![(LISTED, 2, vec![7; 100 * 1024]), listed(8, 2), done(2, 0)]),
    ]
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn a_lost_attempt_is_followed_by_another() {
    for (what, answer) in lost() {
        let (result, asked) = list(vec![answer, good()]);
        assert_eq!((result.expect(what), asked), (vec![1, 2], 2), "{what}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn attempts_end() {
    for (what, answer) in lost() {
        let limit = usize::try_from(ATTEMPTS).unwrap();
        let (result, asked) = list(vec![answer.clone(); limit + 2]);
        if what == "too long for the buffer" {
            // The buffer has grown: the second attempt fits.
            assert_eq!((result.expect(what), asked), (vec![7, 8], 2), "{what}");
            continue;
        }
        assert!(matches!(result, Err(Error::Interrupted { attempts: ATTEMPTS, .. })), "{what}: {result:?}");
        assert_eq!(asked, limit, "{what}");
    }
}

#[test]
#[cfg_attr(miri, ignore = "asks the kernel")]
fn other_errors_are_told_at_once() {
    let (result, asked) = list(vec![vec![listed(7, 2), done(2, -libc::EIO)], good()]);
    assert_eq!((result.unwrap_err().errno(), asked), (Some(libc::EIO), 1));
    let (result, asked) = list(vec![good()]);
    assert_eq!((result.unwrap(), asked), (vec![1, 2], 1));
}
