//! What is its own of a container.

use crate::lifecycle::Changes;

/// What may differ between the containers of a template, besides name and program. What is not set is as the config says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Details {
    /// The host name inside, at most 64 bytes.
    pub hostname: Option<String>,
    /// The addresses, with prefix lengths, of the networks that are no loopback, in the order of the config.
    pub addresses: Vec<String>,
}

impl Details {
    /// Nothing of its own.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// With this host name.
    #[must_use]
    pub fn hostname(self, name: impl Into<String>) -> Self {
        Self { hostname: Some(name.into()), ..self }
    }

    /// With this address of the next network.
    #[must_use]
    pub fn address(mut self, address: impl Into<String>) -> Self {
        self.addresses.push(address.into());
        self
    }
}

impl From<Details> for Changes {
    fn from(details: Details) -> Self {
        Self { hostname: details.hostname, addresses: details.addresses }
    }
}
