//! Where the memory of a process lies: set_mempolicy(2).

use serde::{Deserialize, Serialize};

use crate::numbers::NumberList;

/// Nodes that a kernel may be built for: `MAX_NUMNODES`.
const NODES: usize = 1024;

/// Mode of a memory policy. The names are those of the OCI runtime specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MemoryMode {
    /// That of the system.
    #[default]
    #[serde(rename = "MPOL_DEFAULT")]
    Default,
    /// One node first, then the others.
    #[serde(rename = "MPOL_PREFERRED")]
    Preferred,
    /// These nodes and no others.
    #[serde(rename = "MPOL_BIND")]
    Bind,
    /// In turn.
    #[serde(rename = "MPOL_INTERLEAVE")]
    Interleave,
    /// The node of the CPU that asks.
    #[serde(rename = "MPOL_LOCAL")]
    Local,
    /// These nodes first, then the others; Linux 5.15.
    #[serde(rename = "MPOL_PREFERRED_MANY")]
    PreferredMany,
    /// In turn, by weight; Linux 6.9.
    #[serde(rename = "MPOL_WEIGHTED_INTERLEAVE")]
    WeightedInterleave,
}

/// Flag of a memory policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum MemoryFlag {
    /// Nodes are numbers of the machine whatever the control group allows.
    #[serde(rename = "MPOL_F_STATIC_NODES")]
    StaticNodes,
    /// Nodes are counted among those that the control group allows.
    #[serde(rename = "MPOL_F_RELATIVE_NODES")]
    RelativeNodes,
    /// Pages may be moved by the kernel's balancing.
    #[serde(rename = "MPOL_F_NUMA_BALANCING")]
    Balancing,
}

/// Memory policy of a process: set_mempolicy(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct MemoryPolicy {
    /// Mode.
    pub mode: MemoryMode,
    /// Nodes, such as `0-1`; absent for the modes that take none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nodes: Option<NumberList>,
    /// Flags.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub flags: Vec<MemoryFlag>,
}

impl MemoryPolicy {
    /// Mode and flags as the kernel takes them.
    #[must_use]
    pub fn mode_bits(&self) -> u32 {
        let mode = match self.mode {
            MemoryMode::Default => 0,
            MemoryMode::Preferred => 1,
            MemoryMode::Bind => 2,
            MemoryMode::Interleave => 3,
            MemoryMode::Local => 4,
            MemoryMode::PreferredMany => 5,
            MemoryMode::WeightedInterleave => 6,
        };
        self.flags.iter().fold(mode, |bits, flag| {
            bits | match flag {
                MemoryFlag::StaticNodes => 1 << 15,
                MemoryFlag::RelativeNodes => 1 << 14,
                MemoryFlag::Balancing => 1 << 13,
            }
        })
    }

    /// What is wrong with it: key and reason. set_mempolicy(2) would say `EINVAL` to most, and take less than was asked for with the others.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, &'static str)> {
        let nodes = self.node_problem().map(|reason| ("nodes", reason));
        nodes.into_iter().chain(self.flag_problem().map(|reason| ("flags", reason))).collect()
    }

    fn takes_nodes(&self) -> bool {
        !matches!(self.mode, MemoryMode::Default | MemoryMode::Local)
    }

    fn node_problem(&self) -> Option<&'static str> {
        let nodes: Vec<usize> = self.nodes.iter().flat_map(NumberList::iter).collect();
        match (nodes.len(), self.takes_nodes()) {
            (0, true) => Some("this mode needs some"),
            (1.., false) => Some("this mode takes none"),
            (2.., true) if self.mode == MemoryMode::Preferred => {
                Some("MPOL_PREFERRED takes one, MPOL_PREFERRED_MANY several")
            }
            _ if nodes.iter().any(|node| *node >= NODES) => Some("nodes are below 1024"),
            _ => None,
        }
    }

    fn flag_problem(&self) -> Option<&'static str> {
        let has = |flag| self.flags.contains(&flag);
        if !self.flags.is_empty() && !self.takes_nodes() {
            Some("this mode takes none")
        } else if has(MemoryFlag::StaticNodes) && has(MemoryFlag::RelativeNodes) {
            Some("static and relative nodes exclude each other")
        } else if has(MemoryFlag::Balancing)
            && !matches!(self.mode, MemoryMode::Bind | MemoryMode::PreferredMany)
        {
            Some("MPOL_F_NUMA_BALANCING is for MPOL_BIND and MPOL_PREFERRED_MANY")
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn policies() {
        for (json, bits, wanted) in [
            (r#"{"mode":"MPOL_BIND","nodes":"0-1","flags":["MPOL_F_STATIC_NODES"]}"#, 0x8002, None),
            (r#"{"mode":"MPOL_LOCAL"}"#, 4, None),
            (r#"{"mode":"MPOL_LOCAL","nodes":"0"}"#, 4, Some("nodes")),
            (r#"{"mode":"MPOL_DEFAULT","flags":["MPOL_F_STATIC_NODES"]}"#, 0x8000, Some("flags")),
            (r#"{"mode":"MPOL_INTERLEAVE"}"#, 3, Some("nodes")),
            (r#"{"mode":"MPOL_PREFERRED","nodes":"0,1"}"#, 1, Some("nodes")),
            (r#"{"mode":"MPOL_BIND","nodes":"1024"}"#, 2, Some("nodes")),
            (
                r#"{"mode":"MPOL_INTERLEAVE","nodes":"0","flags":["MPOL_F_NUMA_BALANCING"]}"#,
                0x2003,
                Some("flags"),
            ),
            (
                r#"{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES","MPOL_F_RELATIVE_NODES"]}"#,
                0xc002,
                Some("flags"),
            ),
        ] {
            let policy: MemoryPolicy = serde_json::from_str(json).unwrap();
            assert_eq!(policy.mode_bits(), bits, "{json}");
            assert_eq!(policy.problems().first().map(|(key, _)| *key), wanted, "{json}");
        }
        assert!(serde_json::from_str::<MemoryPolicy>(r#"{"mode":"BIND"}"#).is_err());
    }
}
