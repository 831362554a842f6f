//! A property of a unit, and what its value depends on besides the limit.

use super::value::{Array, Value};
use crate::stats::Version;

/// `infinity` in systemd's numbers, and "no limit" in [`crate::systemd::UnitLimits`].
pub const INFINITY: u64 = u64::MAX;

/// A property of a unit.
#[derive(Debug, Clone, PartialEq)]
pub struct Property {
    /// Its name over D-Bus (`CPUQuotaPerSecUSec`), which differs here and there from the one in unit files.
    pub name: String,
    /// Its value.
    pub value: Value,
}

impl Property {
    /// A property by its name and value.
    #[must_use]
    pub fn new(name: &str, value: Value) -> Self {
        Self { name: name.to_owned(), value }
    }

    /// As it goes over the bus: `(sv)`.
    #[must_use]
    pub fn to_value(&self) -> Value {
        Value::Struct(vec![Value::Text(self.name.clone()), Value::variant(self.value.clone())])
    }

    /// All of them as `a(sv)`.
    #[must_use]
    pub fn list(all: &[Self]) -> Value {
        Value::Array(Array::known("(sv)", all.iter().map(Self::to_value).collect()))
    }
}

/// What the manager and the machine are, as far as properties depend on it.
#[derive(Debug, Clone)]
pub struct Target {
    /// The version of the hierarchy that has the controllers.
    pub hierarchy: Version,
    /// systemd's version, of [`Manager::version`](super::Manager::version).
    pub systemd: u32,
    /// The text of `/proc/devices`: systemd names major numbers by their drivers.
    pub drivers: String,
}

/// The properties in the making: each name once, the last value wins, in the order of the first.
#[derive(Debug, Default)]
pub(super) struct List(pub(super) Vec<Property>);

impl List {
    pub(super) fn set(&mut self, name: &str, value: Value) {
        match self.0.iter_mut().find(|property| property.name == name) {
            Some(old) => old.value = value,
            None => self.0.push(Property::new(name, value)),
        }
    }

    pub(super) fn set_number(&mut self, name: &str, value: Option<u64>) {
        if let Some(value) = value {
            self.set(name, Value::U64(value));
        }
    }
}
