//! What the program says of itself.

use std::io::Write;

use containerd_shim_protos::protobuf::well_known_types::any::Any;
use containerd_shim_protos::protobuf::{Message, MessageField};
use containerd_shim_protos::types::introspection::{RuntimeInfo, RuntimeVersion};
use libcontainer::Probe;

use crate::trouble::{Trouble, named};

const FEATURES: &str = "types.containerd.io/opencontainers/runtime-spec/1/features/Features";

/// `-v`.
pub(crate) fn version() -> Result<(), Trouble> {
    let text = format!("containerd-shim-nsinit-v2:\n  Version: {}\n", env!("CARGO_PKG_VERSION"));
    print(text.as_bytes())
}

/// `-info`, of containerd since version 2: a message with the features of the specification.
pub(crate) fn info() -> Result<(), Trouble> {
    let probe = named(Probe::current(), "look at the kernel")?;
    let features = serde_json::to_vec(&libcontainer_oci::features(&probe));
    let features = features.map_err(|error| Trouble::failed(format!("the features as JSON: {error}")))?;
    let version =
        RuntimeVersion { version: env!("CARGO_PKG_VERSION").to_owned(), ..RuntimeVersion::default() };
    let info = RuntimeInfo {
        name: "io.containerd.nsinit.v2".to_owned(),
        version: MessageField::some(version),
        features: MessageField::some(Any {
            type_url: FEATURES.to_owned(),
            value: features,
            ..Any::default()
        }),
        ..RuntimeInfo::default()
    };
    let bytes =
        info.write_to_bytes().map_err(|error| Trouble::failed(format!("encode the info: {error}")))?;
    print(&bytes)
}

fn print(bytes: &[u8]) -> Result<(), Trouble> {
    named(std::io::stdout().write_all(bytes), "write to standard output")
}
