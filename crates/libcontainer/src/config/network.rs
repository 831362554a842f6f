//! `networks` and `routes`.

use serde::{Deserialize, Serialize};

use super::unset;

/// A network interface of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `loopback`, `veth` or `netns`.
    #[serde(rename = "type", skip_serializing_if = "unset")]
    pub kind: String,
    /// Path of a network namespace, for `netns`.
    #[serde(skip_serializing_if = "unset")]
    pub ns_path: String,
    /// Bridge, for `veth`.
    #[serde(skip_serializing_if = "unset")]
    pub bridge: String,
    /// Prefix of the interface names, for `veth`.
    #[serde(skip_serializing_if = "unset")]
    pub veth_prefix: String,
    /// Address with prefix length. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub address: String,
    /// Gateway. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub gateway: String,
    /// Largest packet in bytes. Ignored for `loopback`.
    #[serde(skip_serializing_if = "unset")]
    pub mtu: i64,
}

/// A route.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Route {
    /// Destination with prefix length.
    #[serde(skip_serializing_if = "unset")]
    pub destination: String,
    /// Source selector with prefix length.
    #[serde(skip_serializing_if = "unset")]
    pub source: String,
    /// Gateway.
    #[serde(skip_serializing_if = "unset")]
    pub gateway: String,
    /// Device.
    #[serde(skip_serializing_if = "unset")]
    pub interface_name: String,
}
