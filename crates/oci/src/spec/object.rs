//! Objects of the specification: structs that read `null` as absent, as Go does, and know their keys.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// The keys of a JSON value, as far as they are known.
#[derive(Debug)]
pub(crate) enum Shape {
    /// Anything: a text, a number, or what is not ours to look into.
    Any,
    /// Letters of what may be done with a device.
    Access,
    /// An object with these keys.
    Object(&'static [(&'static str, Shape)]),
    /// A list of such values.
    List(&'static Shape),
    /// An object with keys of the user's, and such values.
    Map(&'static Shape),
}

/// What knows its keys.
pub(crate) trait Shaped {
    const SHAPE: Shape = Shape::Any;
}

impl Shaped for bool {}
impl Shaped for i32 {}
impl Shaped for i64 {}
impl Shaped for u32 {}
impl Shaped for u64 {}
impl Shaped for String {}
impl Shaped for std::path::PathBuf {}
impl Shaped for serde_json::Value {}

impl<T: Shaped> Shaped for Option<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl<T: Shaped> Shaped for Box<T> {
    const SHAPE: Shape = T::SHAPE;
}

impl<T: Shaped> Shaped for Vec<T> {
    const SHAPE: Shape = Shape::List(&T::SHAPE);
}

impl<T: Shaped> Shaped for BTreeMap<String, T> {
    const SHAPE: Shape = Shape::Map(&T::SHAPE);
}

/// JSON's null is what Go writes for a list or an object that is not there.
pub(crate) fn null_is_absent<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// A key as a part of a JSON pointer: RFC 6901.
pub(crate) fn escaped(key: &str) -> String {
    key.replace('~', "~0").replace('/', "~1")
}

/// Whether a field has the value that it has when it is absent.
pub(crate) fn unset<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// A struct of the specification, by its keys. Fields that are unset are left out of the JSON but those marked `always`; those marked `beside`
/// are no part of it.
macro_rules! object {
    ($(#[$doc:meta])* $name:ident { $($body:tt)* }) => {
        object!(@ [$(#[$doc])*] $name [] [] $($body)*);
    };
    (@ [$($doc:tt)*] $name:ident [$($fields:tt)*] [$($keys:tt)*]) => {
        $($doc)*
        #[derive(Clone, Debug, Default, PartialEq, serde::Serialize, serde::Deserialize)]
        #[serde(default)]
        pub struct $name {
            $($fields)*
        }

        impl $crate::spec::object::Shaped for $name {
            const SHAPE: $crate::spec::object::Shape = $crate::spec::object::Shape::Object(&[$($keys)*]);
        }
    };
    (@ [$($doc:tt)*] $name:ident [$($fields:tt)*] [$($keys:tt)*]
        $(#[$about:meta])* beside $field:ident: $type:ty, $($rest:tt)*) => {
        object!(@ [$($doc)*] $name [$($fields)* $(#[$about])* #[serde(skip)] pub $field: $type,] [$($keys)*] $($rest)*);
    };
    (@ [$($doc:tt)*] $name:ident [$($fields:tt)*] [$($keys:tt)*]
        $(#[$about:meta])* always $field:ident: $type:ty = $key:literal, $($rest:tt)*) => {
        object!(@ [$($doc)*] $name [
            $($fields)*
            $(#[$about])*
            #[serde(rename = $key, deserialize_with = "crate::spec::object::null_is_absent")]
            pub $field: $type,
        ] [$($keys)* ($key, <$type as $crate::spec::object::Shaped>::SHAPE),] $($rest)*);
    };
    (@ [$($doc:tt)*] $name:ident [$($fields:tt)*] [$($keys:tt)*]
        $(#[$about:meta])* $field:ident: $type:ty = $key:literal, $($rest:tt)*) => {
        object!(@ [$($doc)*] $name [
            $($fields)*
            $(#[$about])*
            #[serde(
                rename = $key,
                deserialize_with = "crate::spec::object::null_is_absent",
                skip_serializing_if = "crate::spec::object::unset"
            )]
            pub $field: $type,
        ] [$($keys)* ($key, <$type as $crate::spec::object::Shaped>::SHAPE),] $($rest)*);
    };
}

pub(crate) use object;
