//! Calls on a socket that fail before or after the kernel has acted: the error says that it may be done, looking tells, and the same
//! socket goes on.
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
use std::rc::Rc;

use libcontainer_netlink::faults::{Call, Fault, Injected, inject};
use libcontainer_netlink::nft::{Nft, Table, Transaction};
use libcontainer_netlink::{
    Address, Batch, Bridge, Error, Index, LinkChange, Name, Netlink, NewLink, Result, Verb,
};
use place::in_namespace;

/// Lets the call with this number, counted from 0, fail, but none that opens a socket.
fn fail(number: usize, fault: Fault) -> Injected {
    let count = Cell::new(0);
    inject(move |call| {
        let here = if *call == Call::Open { usize::MAX } else { count.replace(count.get() + 1) };
        (here == number).then_some(fault)
    })
}

/// How many calls `work` makes.
fn calls(work: impl FnOnce()) -> usize {
    let count = Rc::new(Cell::new(0));
    let seen = Rc::clone(&count);
    let injected = inject(move |call| {
        count.set(count.get() + usize::from(*call != Call::Open));
        None
    });
    work();
    drop(injected);
    seen.get()
}

fn name(text: &str) -> Name {
    text.parse().unwrap()
}

fn bridge() -> NewLink<'static> {
    NewLink::bridge(name("br9"), Bridge::default())
}

/// Ways in which one request ends, and whether the bridge is there then.
const WAYS: [(usize, Fault, bool); 6] = [
    (0, Fault::Refused(libc::EIO), false),
    (0, Fault::Lost(libc::EIO), true),
    (1, Fault::Refused(libc::EIO), true),
    (1, Fault::Lost(libc::ENOMEM), true),
    (1, Fault::Lost(libc::ENOBUFS), true),
    (1, Fault::Lost(libc::EAGAIN), true),
];

#[test]
fn a_request_without_an_answer_may_be_done() {
    in_namespace("a_request_without_an_answer_may_be_done", |netlink| {
        for (number, fault, done) in WAYS {
            let injected = fail(number, fault);
            let error = netlink.add(&bridge()).unwrap_err();
            drop(injected);
            assert!(error.is_uncertain(), "{fault:?}: {error}");
            assert!(!error.is_not_found() && !error.is_exists(), "{error}");
            let text = error.to_string();
            assert!(text.contains("send(netlink)") || text.contains("add link \"br9\" (bridge): "), "{text}");
            // The next request is answered by its own answer.
            assert_eq!(netlink.index(&name("br9")).is_ok(), done, "{fault:?}");
            let again = netlink.add(&bridge());
            assert_eq!(again.is_err_and(|error| error.is_exists() && !error.is_uncertain()), done);
            let index = netlink.index(&name("br9")).unwrap();
            netlink.delete(&index).unwrap();
        }
    });
}

#[test]
fn what_a_call_on_the_socket_says_is_no_answer() {
    in_namespace("what_a_call_on_the_socket_says_is_no_answer", |netlink| {
        for errno in [libc::ENODEV, libc::ENOENT, libc::EEXIST] {
            let injected = fail(1, Fault::Lost(errno));
            let error = netlink.add(&bridge()).unwrap_err();
            drop(injected);
            assert!(!error.is_not_found() && !error.is_exists() && error.is_uncertain(), "{error}");
            assert!(!error.is_refusal(errno) && error.errno() == Some(errno), "{error}");
            let index = netlink.index(&name("br9")).unwrap();
            netlink.delete(&index).unwrap();
        }
    });
}

#[test]
fn looking_asks_again() {
    in_namespace("looking_asks_again", |netlink| {
        for number in 0..40 {
            netlink.add(&NewLink::veth(name(&format!("a{number}")), name(&format!("b{number}")))).unwrap();
        }
        let mut other = Netlink::open().unwrap();
        let count = calls(|| assert_eq!(other.links().unwrap().len(), 81));
        assert!(count > 3, "{count} calls: the list is in one datagram");
        for number in 0..count {
            for fault in [Fault::Refused(libc::EIO), Fault::Lost(libc::EIO), Fault::Lost(libc::ENOMEM)] {
                let injected = fail(number, fault);
                assert_eq!(netlink.links().unwrap().len(), 81, "{number} {fault:?}");
                assert_eq!(netlink.index(&name("b7")).unwrap(), other.index(&name("b7")).unwrap());
                drop(injected);
            }
        }
        // That nothing is known is an error in the end, and no empty list.
        let injected = inject(|call| (*call == Call::Receive).then_some(Fault::Refused(libc::EIO)));
        let error = netlink.links().unwrap_err();
        assert!(netlink.index(&name("nobody")).is_err_and(|error| !error.is_not_found()));
        drop(injected);
        assert_eq!(error.errno(), Some(libc::EIO), "{error}");
        assert_eq!(netlink.links().unwrap().len(), 81);
    });
}

/// Takes away all addresses, the first of a network last: the others would go with it.
fn empty(netlink: &mut Netlink) {
    for address in netlink.addresses(Some(Index::LOOPBACK)).unwrap().iter().rev() {
        netlink.delete(address).unwrap();
    }
}

#[test]
fn a_batch_without_answers_may_be_done() {
    in_namespace("a_batch_without_answers_may_be_done", |netlink| {
        let mut batch = Batch::new();
        for number in 1..4 {
            let address = format!("10.0.0.{number}/24").parse().unwrap();
            batch.push(Verb::Add, &Address::new(Index::LOOPBACK, address)).unwrap();
        }
        for (number, fault, done) in WAYS {
            let injected = fail(number, fault);
            let error: Error = netlink.run(&mut batch).unwrap_err();
            drop(injected);
            assert!(error.is_uncertain(), "{fault:?}: {error}");
            let found = netlink.addresses(Some(Index::LOOPBACK)).unwrap();
            assert_eq!(found.len(), if done { 3 } else { 0 }, "{fault:?}");
            empty(netlink);
            let results: Result<Vec<()>> = netlink.run(&mut batch).unwrap().into_iter().collect();
            results.unwrap();
            empty(netlink);
        }
    });
}

#[test]
fn a_transaction_without_an_answer_may_be_done() {
    in_namespace("a_transaction_without_an_answer_may_be_done", |_| {
        let mut nft = Nft::open().unwrap();
        let table = Table::inet("lost");
        let mut add = Transaction::new();
        add.add_table_with(&table, Some("whose it is")).unwrap();
        for (number, fault, done) in WAYS {
            // Also reads what is left of the refusal before.
            nft.generation().unwrap();
            let injected = fail(number, fault);
            let error = nft.commit(&add).unwrap_err();
            drop(injected);
            assert!(error.is_uncertain() && !Nft::is_stale(&error), "{fault:?}: {error}");
            let tables = nft.tables(None).unwrap();
            let comments: Vec<_> = tables.iter().map(|table| table.comment.as_deref()).collect();
            assert_eq!(comments, if done { vec![Some("whose it is")] } else { vec![] }, "{fault:?}");
            assert_eq!(nft.remove_table(&table).unwrap(), done);
            assert!(!nft.remove_table(&table).unwrap());
        }
    });
}

#[test]
fn a_link_is_changed_by_its_name() {
    in_namespace("a_link_is_changed_by_its_name", |netlink| {
        netlink.add(&bridge()).unwrap();
        netlink.set(&LinkChange::named(name("br9")).alias("mine").up()).unwrap();
        let link = netlink.link(&name("br9")).unwrap();
        assert!(link.is_up() && link.alias.as_deref() == Some("mine".as_ref()), "{link:?}");
        let error = netlink.set(&LinkChange::named(name("br8")).alias("mine")).unwrap_err();
        assert!(error.is_not_found() && error.to_string().contains("br8"), "{error}");
        let error = netlink.set(&LinkChange::named(name("br9")).name(name("br8"))).unwrap_err();
        assert!(matches!(error, Error::Invalid { .. }), "{error}");
    });
}
