//! nf_tables of the running kernel, in a fresh network namespace per test, compared with what `nft` says where it is installed.
#![forbid(unsafe_code)]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]
mod place;

use std::process::Command;

use libcontainer_netlink::nft::{Chain, Expression, Hook, Nft, Register, Rule, Table, Transaction, Verdict};
use place::{in_namespace, skip};

/// A socket, if the kernel has nf_tables.
fn with_nft(name: &'static str, test: impl FnOnce(&mut Nft) + Send + 'static) {
    in_namespace(name, move |_| match Nft::open().and_then(|mut nft| nft.generation().map(|_| nft)) {
        Ok(mut nft) => test(&mut nft),
        Err(error) => skip(name, &error.to_string()),
    });
}

fn jump(to: &str) -> Vec<Expression> {
    vec![
        Expression::DestinationType(Register::One),
        Expression::equal(Register::One, &Expression::LOCAL.to_ne_bytes()),
        Expression::Verdict(Verdict::Jump(to.to_owned())),
    ]
}

fn small(table: &Table) -> Transaction {
    let mut all = Transaction::new();
    all.add_table(table).unwrap();
    all.add_chain(table, &Chain::plain("ports")).unwrap();
    all.add_chain(table, &Chain::nat("leaving", Hook::PostRouting)).unwrap();
    all.add_chain(table, &Chain::nat("entering", Hook::PreRouting)).unwrap();
    all.add_rule(table, &Rule::new("entering", jump("ports")).comment("first")).unwrap();
    all.add_rule(table, &Rule::new("leaving", vec![Expression::Masquerade])).unwrap();
    all
}

#[test]
fn what_is_made_is_listed_and_goes() {
    with_nft("what_is_made_is_listed_and_goes", |nft| {
        let table = Table::inet("one");
        nft.commit(&small(&table)).unwrap();
        assert_eq!(nft.tables(None).unwrap()[0].name, "one");
        let chains = nft.chains(Some(table.family)).unwrap();
        let found: Vec<_> = chains.iter().map(|chain| (chain.name.as_str(), chain.base)).collect();
        assert_eq!(found, [("ports", false), ("leaving", true), ("entering", true)]);
        let rules = nft.rules(None).unwrap();
        let first = rules.iter().find(|rule| rule.comment.as_deref() == Some("first")).unwrap();
        assert_eq!((first.table.as_str(), first.chain.as_str()), ("one", "entering"));
        if let Ok(output) = Command::new("nft").args(["list", "ruleset"]).output() {
            let text = String::from_utf8_lossy(&output.stdout);
            for part in
                ["fib daddr type local jump ports comment \"first\"", "hook postrouting", "masquerade"]
            {
                assert!(text.contains(part), "{part}: {text}");
            }
        }
        let mut delete = Transaction::new();
        delete.delete_rule(&table, "entering", first.handle).unwrap();
        delete.delete_chain(&table, "ports").unwrap();
        nft.commit(&delete).unwrap();
        assert_eq!((nft.rules(None).unwrap().len(), nft.chains(None).unwrap().len()), (1, 2));
        assert!(nft.remove_table(&table).unwrap());
        assert!(!nft.remove_table(&table).unwrap());
        assert!(nft.tables(None).unwrap().is_empty());
    });
}

#[test]
fn a_transaction_that_fails_leaves_nothing() {
    with_nft("a_transaction_that_fails_leaves_nothing", |nft| {
        let table = Table::inet("one");
        let mut all = small(&table);
        all.add_rule(&table, &Rule::new("absent", Vec::new())).unwrap();
        let error = nft.commit(&all).unwrap_err();
        assert!(error.to_string().starts_with("add rule in chain absent to table inet one: "), "{error}");
        assert!(error.is_not_found());
        assert!(nft.tables(None).unwrap().is_empty());
        // The socket is as good as before.
        nft.commit(&small(&table)).unwrap();
        let error = nft.commit(&small(&table)).unwrap_err();
        assert!(error.is_exists() && error.to_string().contains("add table inet one"), "{error}");
        nft.commit(&Transaction::new()).unwrap();
    });
}

#[test]
fn a_transaction_for_rules_that_have_changed_is_refused() {
    with_nft("a_transaction_for_rules_that_have_changed_is_refused", |nft| {
        let before = nft.generation().unwrap();
        nft.commit(&small(&Table::inet("one"))).unwrap();
        let second = small(&Table::inet("two"));
        let error = nft.commit_unchanged(&second, before).unwrap_err();
        assert!(Nft::is_stale(&error), "{error}");
        let now = nft.generation().unwrap();
        nft.commit_unchanged(&second, now).unwrap();
        assert_eq!(nft.tables(None).unwrap().len(), 2);
    });
}

#[test]
fn a_transaction_of_many_rules() {
    with_nft("a_transaction_of_many_rules", |nft| {
        let table = Table::inet("many");
        let mut all = small(&table);
        for number in 0..2000 {
            all.add_rule(&table, &Rule::new("ports", jump("ports")).comment(number.to_string())).unwrap();
        }
        // A chain that jumps to itself is refused by the kernel, with all the rest.
        assert!(nft.commit(&all).is_err());
        let mut all = small(&table);
        for number in 0..2000 {
            let rule = Rule::new("ports", vec![Expression::Verdict(Verdict::Return)]);
            all.add_rule(&table, &rule.comment(number.to_string())).unwrap();
        }
        nft.commit(&all).unwrap();
        assert_eq!(nft.rules(None).unwrap().len(), 2002);
    });
}
