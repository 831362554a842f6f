//! What we send against what `nft` sends for the same, byte for byte; and what mangled answers do.
use super::{
    Chain, Comparison, ConnectionKey, Expression, Header, Hook, MetaKey, Register, Rule, Table, Transaction,
    Verdict, listing,
};
use Register::{One, Two};

/// A captured message by name, netlink header included.
fn capture(name: &str) -> Vec<u8> {
    let mut lines = include_str!("captures.txt").lines();
    let hex = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')).expect(name);
    (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).expect(name)).collect()
}

fn table() -> Table {
    Table::inet("lc_01234567")
}

fn family(number: u8) -> Vec<Expression> {
    vec![Expression::Meta(MetaKey::Family, One), Expression::equal(One, &[number])]
}

fn bytes(header: Header, offset: u32, value: &[u8]) -> Vec<Expression> {
    let length = u32::try_from(value.len()).unwrap();
    vec![Expression::Payload { header, offset, length, to: One }, Expression::equal(One, value)]
}

fn translate(protocol: u8, port: u16, to: &str, inside: u16) -> Vec<Expression> {
    let address: std::net::IpAddr = to.parse().unwrap();
    let v6 = address.is_ipv6();
    let mut all = family(if v6 { 10 } else { 2 });
    all.extend([Expression::Meta(MetaKey::Transport, One), Expression::equal(One, &[protocol])]);
    all.extend(bytes(Header::Transport, 2, &port.to_be_bytes()));
    all.push(Expression::address(One, address));
    all.push(Expression::Value(Two, inside.to_be_bytes().to_vec()));
    all.push(Expression::Destination { v6, address: One, port: Some(Two) });
    all
}

fn local_jump() -> Vec<Expression> {
    vec![
        Expression::DestinationType(One),
        Expression::equal(One, &Expression::LOCAL.to_ne_bytes()),
        Expression::Verdict(Verdict::Jump("ports".to_owned())),
    ]
}

fn connection(key: ConnectionKey, bits: u32) -> Vec<Expression> {
    vec![
        Expression::Connection(key, One),
        Expression::Mask(One, bits.to_ne_bytes().to_vec()),
        Expression::Compare(One, Comparison::NotEqual, vec![0; 4]),
    ]
}

/// The rules of captures.txt, rule.0 first.
fn rules() -> Vec<Rule> {
    let of = |chain: &str, parts: Vec<Vec<Expression>>| Rule::new(chain, parts.concat());
    let end = |verdict| vec![Expression::Verdict(verdict)];
    let loopback = std::net::Ipv6Addr::LOCALHOST.octets();
    let elsewhere = vec![
        Expression::Meta(MetaKey::OutName, One),
        Expression::name(One, Comparison::NotEqual, &"docker0".parse().unwrap()),
    ];
    let masquerade = vec![Expression::Masquerade];
    vec![
        of("ports", vec![family(2), bytes(Header::Network, 16, &[127]), end(Verdict::Return)]),
        of("ports", vec![family(10), bytes(Header::Network, 24, &loopback), end(Verdict::Return)]),
        of("ports", vec![translate(6, 8080, "10.0.0.2", 80)]).comment("tcp 8080"),
        of("ports", vec![translate(17, 53, "fd00::2", 5353)]),
        of("prerouting", vec![local_jump()]),
        of("output", vec![local_jump()]),
        of(
            "postrouting",
            vec![family(2), bytes(Header::Network, 12, &[10, 0, 0, 2]), elsewhere, masquerade.clone()],
        ),
        of(
            "postrouting",
            vec![
                family(2),
                bytes(Header::Network, 12, &[10, 0, 0]),
                bytes(Header::Network, 16, &[10, 0, 0, 2]),
                connection(ConnectionKey::Status, ConnectionKey::DESTINATION_CHANGED),
                masquerade,
            ],
        ),
        of("postrouting", vec![connection(ConnectionKey::State, 2 | 4), end(Verdict::Accept)]),
    ]
}

fn everything() -> Transaction {
    let mut all = Transaction::new();
    all.add_table(&table()).unwrap();
    all.add_chain(&table(), &Chain::plain("ports")).unwrap();
    for (name, hook) in
        [("prerouting", Hook::PreRouting), ("output", Hook::Output), ("postrouting", Hook::PostRouting)]
    {
        all.add_chain(&table(), &Chain::nat(name, hook)).unwrap();
    }
    rules().iter().for_each(|rule| all.add_rule(&table(), rule).unwrap());
    all
}

/// Compares but for `NLM_F_CREATE`, `NLM_F_EXCL` and `NLM_F_ACK`, sequence and port.
fn same(name: &str, ours: &[u8]) {
    let expected = capture(name);
    let flags = |bytes: &[u8]| u16::from_ne_bytes([bytes[6], bytes[7]]) & !0x604;
    assert_eq!(ours[..6], expected[..6], "{name}: length and type");
    assert_eq!(flags(ours), flags(&expected), "{name}: flags");
    assert_eq!(ours[16..], expected[16..], "{name}: header and attributes");
}

#[test]
fn a_transaction_is_what_nft_sends() {
    let all = everything();
    let names = ["table.0", "chain.0", "chain.1", "chain.2", "chain.3"].map(str::to_owned);
    let names = names.into_iter().chain((0..9).map(|number| format!("rule.{number}")));
    let mut count = 0;
    for (name, request) in names.zip(all.requests()) {
        same(&name, &request.bytes);
        count += 1;
    }
    assert_eq!(count, all.len());
    let sealed = all.sealed(7, 9, None).unwrap();
    same("begin.0", &sealed[..20]);
    same("end.0", &sealed[sealed.len() - 20..]);
    let mut delete = Transaction::new();
    delete.delete_table(&table()).unwrap();
    same("deltable.0", &delete.requests()[0].bytes);
    let begin = all.sealed(7, 9, Some(0x0102_0304)).unwrap();
    assert_eq!(begin[20..28], [8, 0, 1, 0, 1, 2, 3, 4]);
}

#[test]
fn the_comment_of_a_table_is_as_nft_keeps_it() {
    let mut all = Transaction::new();
    all.add_table_with(&Table::inet("t"), Some("ab")).unwrap();
    let bytes = &all.requests()[0].bytes;
    assert_eq!(bytes[bytes.len() - 12..], [9, 0, 6, 0, 0, 3, b'a', b'b', 0, 0, 0, 0]);
    assert_eq!(listing::table(&bytes[16..]).unwrap().comment.as_deref(), Some("ab"));
}

#[test]
fn what_cannot_be_is_refused() {
    let mut all = Transaction::new();
    let long = "x".repeat(129);
    assert!(all.add_table_with(&Table::inet("t"), Some(&long)).is_err());
    for name in [String::new(), "a\0b".to_owned(), "x".repeat(256)] {
        assert!(all.add_table(&Table::inet(name.clone())).is_err(), "{name:?}");
        assert!(all.delete_table(&Table::inet(name.clone())).is_err(), "{name:?}");
        assert!(all.add_chain(&table(), &Chain::plain(name.clone())).is_err(), "{name:?}");
        assert!(all.add_rule(&table(), &Rule::new(name.clone(), Vec::new())).is_err(), "{name:?}");
        let jump = vec![Expression::Verdict(Verdict::Jump(name.clone()))];
        assert!(all.add_rule(&table(), &Rule::new("a", jump)).is_err(), "{name:?}");
    }
    for expression in [
        Expression::Value(One, Vec::new()),
        Expression::Value(One, vec![0; 65]),
        Expression::Mask(One, vec![0; 65]),
        Expression::equal(One, &[]),
    ] {
        assert!(all.add_rule(&table(), &Rule::new("a", vec![expression.clone()])).is_err(), "{expression:?}");
    }
    for comment in ["x".repeat(129), "a\0".to_owned()] {
        assert!(all.add_rule(&table(), &Rule::new("a", Vec::new()).comment(comment)).is_err());
    }
    assert!(all.is_empty());
}

#[test]
fn what_was_sent_can_be_read() {
    let request = capture("rule.2");
    // A request has no handle; an answer has it in front of the expressions.
    let mut answer = request[16..].to_vec();
    answer.extend_from_slice(&[12, 0, 3, 0, 0, 0, 0, 0, 0, 0, 1, 7]);
    let rule = listing::rule(&answer).unwrap();
    assert_eq!((rule.table.as_str(), rule.chain.as_str(), rule.handle), ("lc_01234567", "ports", 263));
    assert_eq!(rule.comment.as_deref(), Some("tcp 8080"));
    assert_eq!(listing::table(&capture("table.0")[16..]).unwrap().name, "lc_01234567");
    for length in (0..answer.len()).step_by(if cfg!(miri) { 16 } else { 1 }) {
        listing::rule(&answer[..length]);
        listing::chain(&answer[..length]);
        listing::table(&answer[..length]);
        for byte in [0, 1, 0xff] {
            let mut mangled = answer.clone();
            mangled[length] = byte;
            listing::rule(&mangled);
            listing::chain(&mangled);
        }
    }
}

#[test]
fn what_the_kernel_lists() {
    let payload = |name: &str| capture(name)[16..].to_vec();
    let inet = super::TableFamily::Inet;
    let table = listing::table(&payload("kernel_newtable.0")).unwrap();
    assert_eq!(table, listing::ListedTable { family: inet, name: "one".to_owned(), uses: 3, comment: None });
    for (number, name, handle, base) in
        [(0, "ports", 1, false), (1, "leaving", 2, true), (2, "entering", 3, true)]
    {
        let chain = listing::chain(&payload(&format!("kernel_newchain.{number}"))).unwrap();
        assert_eq!((chain.family, chain.table.as_str(), chain.name.as_str()), (inet, "one", name));
        assert_eq!((chain.handle, chain.base), (handle, base));
    }
    for (number, chain, handle, comment) in [(0, "leaving", 5, None), (1, "entering", 4, Some("first"))] {
        let rule = listing::rule(&payload(&format!("kernel_newrule.{number}"))).unwrap();
        assert_eq!((rule.family, rule.table.as_str(), rule.chain.as_str()), (inet, "one", chain));
        assert_eq!((rule.handle, rule.comment.as_deref()), (handle, comment));
    }
}

#[test]
fn an_unknown_expression_is_traced_to_its_module() {
    let request = capture("rule.2");
    let nat = request.windows(4).position(|window| window == b"nat\0").unwrap();
    // The element begins 8 bytes before the name: its own header and that of the name.
    let at = |offset: usize| super::transaction::expression_at(&request, u32::try_from(offset).unwrap());
    assert_eq!(at(nat - 8), Some(&b"nat"[..]));
    (0..request.len() + 9).for_each(|offset| {
        at(offset);
    });
}
