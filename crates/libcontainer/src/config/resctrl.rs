//! Caches and memory bandwidth: `resctrl`.

use serde::{Deserialize, Serialize};

use super::unset::unset;

/// A class of the resctrl filesystem (`Documentation/filesystems/resctrl.rst` of the kernel), of all processes of the container.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Resctrl {
    /// Name of the class; that of the container, and then it must be new, if empty. `/` is the class of who has no other. One that is there must agree
    /// with `schemata`, and stays when the container goes; without `schemata` it has to be there.
    #[serde(skip_serializing_if = "unset")]
    pub class: String,
    /// Lines of its file `schemata`, such as `L3:0=f;1=f`.
    #[serde(skip_serializing_if = "unset")]
    pub schemata: Vec<String>,
    /// A group that measures the container is made in the class, named after the container.
    #[serde(skip_serializing_if = "unset")]
    pub monitoring: bool,
}
