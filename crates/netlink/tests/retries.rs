//! Lists that must be asked for again: a receive buffer that overflows, and a list that changes under the dump. Both on the kernel.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod place;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use libcontainer_netlink::{Batch, Error, Index, LinkChange, Name, Netlink, NewLink, Result, Verb};
use nix::sys::socket::{MsgFlags, send, setsockopt, sockopt};
use place::in_namespace;

/// Both ends of these pairs, and `lo`: too many for one datagram.
const PAIRS: usize = 100;
const ALL: usize = 2 * PAIRS + 1;
/// As the crate has it.
const ATTEMPTS: usize = 5;

fn fill(netlink: &mut Netlink) {
    let name = |text: String| -> Name { text.parse().unwrap() };
    let mut batch = Batch::new();
    for number in 0..PAIRS {
        let pair = NewLink::veth(name(format!("a{number}")), name(format!("b{number}")));
        batch.push(Verb::Add, &pair).unwrap();
    }
    netlink.run(&mut batch).unwrap().into_iter().for_each(|result| result.unwrap());
}

fn gave_up(result: Result<()>) {
    let Err(Error::Interrupted { attempts, .. }) = &result else { panic!("{result:?}") };
    assert_eq!(*attempts, u32::try_from(ATTEMPTS).unwrap());
    assert!(result.unwrap_err().to_string().contains("gave up after 5 attempts"));
}

/// Lets acknowledgements overflow the receive buffer: the next recv(2) says ENOBUFS.
fn overflow(socket: &OwnedFd) {
    let noop: [u8; 16] = [16, 0, 0, 0, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let many = noop.repeat(1000);
    send(socket.as_raw_fd(), &many, MsgFlags::empty()).unwrap();
}

#[test]
fn a_list_is_asked_for_again_after_lost_messages() {
    in_namespace("a_list_is_asked_for_again_after_lost_messages", |netlink| {
        fill(netlink);
        let socket = netlink.as_fd().try_clone_to_owned().unwrap();
        setsockopt(&socket, sockopt::RcvBuf, &0).unwrap();
        for failing in [0, 1, ATTEMPTS - 1, ATTEMPTS] {
            let (attempts, found) = (Cell::new(0), Cell::new(0));
            let begin = || {
                found.set(0);
                attempts.set(attempts.get() + 1);
            };
            let result = netlink.links_with(begin, |_| {
                found.set(found.get() + 1);
                if found.get() == 1 && attempts.get() <= failing {
                    overflow(&socket);
                }
            });
            if failing == ATTEMPTS {
                gave_up(result);
                assert_eq!(attempts.get(), ATTEMPTS);
            } else {
                result.unwrap();
                assert_eq!((attempts.get(), found.get()), (failing + 1, ALL));
            }
        }
        // Neither is anything left over for the next request.
        assert_eq!(netlink.links().unwrap().len(), ALL);
        netlink.set(&LinkChange::new(Index::LOOPBACK).up()).unwrap();
    });
}

#[test]
fn a_list_that_changes_is_asked_for_again() {
    in_namespace("a_list_that_changes_is_asked_for_again", |netlink| {
        fill(netlink);
        let mut other = Netlink::open().unwrap();
        for failing in [0, 1, ATTEMPTS - 1, ATTEMPTS] {
            let (attempts, mut found) = (Cell::new(0), BTreeSet::new());
            let clear = Cell::new(false);
            let begin = || {
                attempts.set(attempts.get() + 1);
                clear.set(true);
            };
            let result = netlink.links_with(begin, |link| {
                if clear.replace(false) {
                    found.clear();
                    if attempts.get() <= failing {
                        // Made and deleted while most of the list is still to come.
                        let pair = NewLink::veth("passing0".parse().unwrap(), "passing1".parse().unwrap());
                        other.add(&pair).unwrap();
                        let index = other.index("passing0").unwrap();
                        other.delete(&index).unwrap();
                    }
                }
                assert!(found.insert(link.index), "{} twice", link.name);
            });
            if failing == ATTEMPTS {
                gave_up(result);
                assert_eq!(attempts.get(), ATTEMPTS);
            } else {
                result.unwrap();
                assert_eq!((attempts.get(), found.len()), (failing + 1, ALL));
            }
        }
        assert_eq!(netlink.links().unwrap().len(), ALL);
    });
}
