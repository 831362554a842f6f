//! Bytes on the wire: known ones, round trips, garbage.

use libcontainer_cgroups::systemd::wire::{Kind, LARGEST, Message};
use libcontainer_cgroups::systemd::{Array, Value};
use proptest::prelude::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn body(arguments: &[Value]) -> Vec<u8> {
    let mut message = Message::call("a.b", "/", "a.b", "C").with(arguments).unwrap();
    message.serial = 1;
    let length = {
        let bytes = message.encode().unwrap();
        u32::from_le_bytes(bytes[4..8].try_into().unwrap())
    };
    let bytes = message.encode().unwrap();
    bytes[bytes.len() - usize::try_from(length).unwrap()..].to_vec()
}

fn back(arguments: &[Value]) -> Vec<Value> {
    let mut message = Message::call("a.b", "/", "a.b", "C").with(arguments).unwrap();
    message.serial = 1;
    let bytes = message.encode().unwrap();
    let (read, length) = Message::decode(&bytes).unwrap().unwrap();
    assert_eq!((length, &read), (bytes.len(), &message));
    read.arguments().unwrap()
}

#[test]
fn hello_byte_by_byte() {
    let mut hello =
        Message::call("org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello");
    hello.serial = 1;
    let mut bytes = b"l\x01\x00\x01\x00\x00\x00\x00\x01\x00\x00\x00\x6d\x00\x00\x00".to_vec();
    bytes.extend(b"\x01\x01o\x00\x15\x00\x00\x00/org/freedesktop/DBus\x00\x00\x00");
    bytes.extend(b"\x02\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00");
    bytes.extend(b"\x03\x01s\x00\x05\x00\x00\x00Hello\x00\x00\x00");
    bytes.extend(b"\x06\x01s\x00\x14\x00\x00\x00org.freedesktop.DBus\x00\x00\x00\x00");
    assert_eq!(hello.encode().unwrap(), bytes);
    assert_eq!(Message::decode(&bytes).unwrap().unwrap(), (hello, bytes.len()));
}

#[test]
fn values_byte_by_byte() {
    let pair = |name: &str, value| Value::Struct(vec![text(name), Value::variant(value)]);
    let table: &[(&[Value], &[u8])] = &[
        (&[Value::Byte(7), Value::Bool(true)], b"\x07\0\0\0\x01\0\0\0"),
        (&[Value::Byte(7), Value::I16(-2), Value::Byte(1), Value::U16(3)], b"\x07\0\xfe\xff\x01\0\x03\0"),
        (&[Value::I32(-1), Value::U32(5)], b"\xff\xff\xff\xff\x05\0\0\0"),
        (&[Value::Byte(1), Value::U64(9)], b"\x01\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0"),
        (&[Value::I64(-1)], &[0xff; 8]),
        (&[Value::Double(1.0)], b"\0\0\0\0\0\0\xf0\x3f"),
        (&[text("foo"), text("+"), text("bar")], b"\x03\0\0\0foo\0\x01\0\0\0+\0\0\0\x03\0\0\0bar\0"),
        (&[Value::Path("/a".into())], b"\x02\0\0\0/a\0"),
        (&[Value::Signature("a(sv)".into())], b"\x05a(sv)\0"),
        (&[Value::numbers(&[7])], b"\x04\0\0\0\x07\0\0\0"),
        (&[Value::bytes(b"ab")], b"\x02\0\0\0ab"),
        // The padding of an empty array's items is there all the same, and isn't counted.
        (&[Value::Array(Array::new("t", vec![]).unwrap())], b"\0\0\0\0\0\0\0\0"),
        (&[Value::variant(Value::U32(1))], b"\x01u\0\0\x01\0\0\0"),
        (
            &[Value::Array(
                Array::new("(sv)", vec![pair("A", Value::Bool(true)), pair("B", text("x"))]).unwrap(),
            )],
            b"\x22\0\0\0\0\0\0\0\x01\0\0\0A\0\x01b\0\0\0\0\x01\0\0\0\x01\0\0\0B\0\x01s\0\0\0\0\x01\0\0\0x\0",
        ),
    ];
    for (arguments, bytes) in table {
        assert_eq!(body(arguments), *bytes, "{arguments:?}");
        assert_eq!(back(arguments), *arguments);
    }
}

#[test]
fn a_list_of_properties_byte_by_byte() {
    let pair = Value::Struct(vec![text("TasksMax"), Value::variant(Value::U64(64))]);
    let list = Value::Array(Array::new("(sv)", vec![pair]).unwrap());
    let mut bytes = b"\x18\0\0\0\0\0\0\0".to_vec();
    bytes.extend(b"\x08\0\0\0TasksMax\0\x01t\0");
    bytes.extend(b"\x40\0\0\0\0\0\0\0");
    assert_eq!(body(&[list]), bytes);
}

#[test]
fn what_can_not_be_sent() {
    let deep = (0..70).fold(Value::Byte(0), |value, _| Value::variant(value));
    let nested = (0..33).fold(Value::Byte(0), |value, _| Value::Struct(vec![value]));
    for value in [
        text("a\0b"),
        Value::Path("no".into()),
        Value::Path("/a//b".into()),
        Value::Signature("a".into()),
        Value::Signature("()".into()),
        Value::Struct(vec![]),
        deep,
        nested.clone(),
        Value::variant(nested),
        text(&"x".repeat(LARGEST)),
    ] {
        let error = Message::call("a.b", "/", "a.b", "C").with(std::slice::from_ref(&value)).unwrap_err();
        assert!(error.to_string().starts_with("systemd: D-Bus message: "), "{error}");
    }
    assert!(Array::new("u", vec![Value::Byte(0)]).is_err());
    assert!(Array::new("uu", vec![]).is_err());
    assert!(Array::new("h", vec![]).is_err());
}

#[test]
fn what_is_no_message() {
    let mut hello = Message::call("a.b", "/", "a.b", "C").with(&[Value::Bool(true)]).unwrap();
    hello.serial = 1;
    let good = hello.encode().unwrap();
    for end in 0..good.len() {
        assert_eq!(Message::decode(&good[..end]).unwrap(), None, "{end} bytes");
    }
    for (at, byte, words) in [
        (0, b'B', "no message"),
        (1, 0, "no message"),
        (3, 2, "no message"),
        (8, 0, "no message"),
        (7, 0x10, "a message of "),
        (15, 0x10, "bytes of header"),
        (17, 0, "its only NUL"),
        (17, 200, "bytes are missing"),
        (18, b'h', "not supported"),
    ] {
        let mut bad = good.clone();
        bad[at] = byte;
        let error = Message::decode(&bad).unwrap_err().to_string();
        assert!(error.contains(words), "byte {at}: {error}");
    }
    let mut bad = good.clone();
    let last = bad.len() - 4;
    bad[last] = 2;
    let error = Message::decode(&bad).unwrap().unwrap().0.arguments().unwrap_err().to_string();
    assert!(error.contains("2 for a boolean"), "{error}");
}

#[test]
fn a_kind_of_the_future_is_read() {
    let message = Message { kind: Kind::Other(9), serial: 3, ..Message::default() };
    let bytes = message.encode().unwrap();
    assert_eq!(Message::decode(&bytes).unwrap().unwrap().0.kind, Kind::Other(9));
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        any::<u8>().prop_map(Value::Byte),
        any::<bool>().prop_map(Value::Bool),
        any::<i16>().prop_map(Value::I16),
        any::<u16>().prop_map(Value::U16),
        any::<i32>().prop_map(Value::I32),
        any::<u32>().prop_map(Value::U32),
        any::<i64>().prop_map(Value::I64),
        any::<u64>().prop_map(Value::U64),
        prop::num::f64::NORMAL.prop_map(Value::Double),
        "[^\0]{0,9}".prop_map(Value::Text),
        "(/[a-z_0-9]{1,4}){1,3}".prop_map(Value::Path),
        "[ybnqiuxtdsogv]{0,4}".prop_map(Value::Signature),
        prop::collection::vec(any::<u32>(), 0..4).prop_map(|numbers| Value::numbers(&numbers)),
    ];
    leaf.prop_recursive(5, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Value::Struct),
            inner.clone().prop_map(Value::variant),
            // An array needs items of one type: one item, some times.
            (inner, 0_usize..3).prop_map(|(item, count)| {
                let element = item.signature();
                Value::Array(Array::new(&element, vec![item; count]).unwrap())
            }),
        ]
    })
}

fn message() -> impl Strategy<Value = Message> {
    (prop::collection::vec(value(), 0..4), 1..5_u8, 1..u32::MAX, any::<Option<u32>>()).prop_map(
        |(arguments, kind, serial, reply_to)| {
            let kind = [Kind::Call, Kind::Return, Kind::Error, Kind::Signal][usize::from(kind - 1)];
            let sender = Some(":1.7".to_owned());
            let call = Message::call("a.b", "/a/b", "a.c", "D").with(&arguments).unwrap();
            Message { kind, serial, reply_to, sender, ..call }
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn values_come_back(arguments in prop::collection::vec(value(), 0..5)) {
        prop_assert_eq!(back(&arguments), arguments);
    }

    #[test]
    fn mutated_messages_never_panic(
        message in message(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<Option<prop::sample::Index>>(),
    ) {
        let mut bytes = message.encode().unwrap();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(Some((read, length))) = Message::decode(&bytes) {
            prop_assert!(length <= bytes.len());
            // What was read can be written again, and means the same.
            if let Ok(arguments) = read.arguments() {
                let again = read.clone().with(&arguments).unwrap();
                prop_assert_eq!(again.arguments().unwrap().len(), arguments.len());
            }
        }
    }

    #[test]
    fn noise_never_panics(mut bytes in prop::collection::vec(any::<u8>(), 0..200), start in any::<bool>()) {
        if start && bytes.len() > 16 {
            bytes[..4].copy_from_slice(b"l\x02\x00\x01");
            bytes[4..8].copy_from_slice(&[16, 0, 0, 0]);
            bytes[12..16].copy_from_slice(&[40, 0, 0, 0]);
        }
        if let Ok(Some((message, _))) = Message::decode(&bytes) {
            let _ = message.arguments();
        }
    }
}
