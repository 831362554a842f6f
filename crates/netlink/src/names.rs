//! Names of attributes, for the errors that point at one.
use crate::attribute::located;
use crate::message::HEADER;

/// Names of a message group: length of the fixed header, and the attributes by number.
struct Group {
    fixed: usize,
    names: &'static [&'static str],
}

const LINK: Group = Group {
    fixed: 16,
    names: &[
        "IFLA_UNSPEC",
        "IFLA_ADDRESS",
        "IFLA_BROADCAST",
        "IFLA_IFNAME",
        "IFLA_MTU",
        "IFLA_LINK",
        "IFLA_QDISC",
        "IFLA_STATS",
        "IFLA_COST",
        "IFLA_PRIORITY",
        "IFLA_MASTER",
        "IFLA_WIRELESS",
        "IFLA_PROTINFO",
        "IFLA_TXQLEN",
        "IFLA_MAP",
        "IFLA_WEIGHT",
        "IFLA_OPERSTATE",
        "IFLA_LINKMODE",
        "IFLA_LINKINFO",
        "IFLA_NET_NS_PID",
        "IFLA_IFALIAS",
        "IFLA_NUM_VF",
        "IFLA_VFINFO_LIST",
        "IFLA_STATS64",
        "IFLA_VF_PORTS",
        "IFLA_PORT_SELF",
        "IFLA_AF_SPEC",
        "IFLA_GROUP",
        "IFLA_NET_NS_FD",
        "IFLA_EXT_MASK",
        "IFLA_PROMISCUITY",
    ],
};
const ADDRESS: Group = Group {
    fixed: 8,
    names: &[
        "IFA_UNSPEC",
        "IFA_ADDRESS",
        "IFA_LOCAL",
        "IFA_LABEL",
        "IFA_BROADCAST",
        "IFA_ANYCAST",
        "IFA_CACHEINFO",
        "IFA_MULTICAST",
        "IFA_FLAGS",
        "IFA_RT_PRIORITY",
        "IFA_TARGET_NETNSID",
        "IFA_PROTO",
    ],
};
const ROUTE: Group = Group {
    fixed: 12,
    names: &[
        "RTA_UNSPEC",
        "RTA_DST",
        "RTA_SRC",
        "RTA_IIF",
        "RTA_OIF",
        "RTA_GATEWAY",
        "RTA_PRIORITY",
        "RTA_PREFSRC",
        "RTA_METRICS",
        "RTA_MULTIPATH",
        "RTA_PROTOINFO",
        "RTA_FLOW",
        "RTA_CACHEINFO",
        "RTA_SESSION",
        "RTA_MP_ALGO",
        "RTA_TABLE",
        "RTA_MARK",
        "RTA_MFC_STATS",
        "RTA_VIA",
        "RTA_NEWDST",
        "RTA_PREF",
    ],
};
const NEIGHBOUR: Group = Group {
    fixed: 12,
    names: &[
        "NDA_UNSPEC",
        "NDA_DST",
        "NDA_LLADDR",
        "NDA_CACHEINFO",
        "NDA_PROBES",
        "NDA_VLAN",
        "NDA_PORT",
        "NDA_VNI",
        "NDA_IFINDEX",
        "NDA_MASTER",
    ],
};
const RULE: Group = Group {
    fixed: 12,
    names: &[
        "FRA_UNSPEC",
        "FRA_DST",
        "FRA_SRC",
        "FRA_IIFNAME",
        "FRA_GOTO",
        "FRA_UNUSED2",
        "FRA_PRIORITY",
        "FRA_UNUSED3",
        "FRA_UNUSED4",
        "FRA_UNUSED5",
        "FRA_FWMARK",
        "FRA_FLOW",
        "FRA_TUN_ID",
        "FRA_SUPPRESS_IFGROUP",
        "FRA_SUPPRESS_PREFIXLEN",
        "FRA_TABLE",
        "FRA_FWMASK",
        "FRA_OIFNAME",
    ],
};
const NSID: Group = Group {
    fixed: 4,
    names: &["NETNSA_NONE", "NETNSA_NSID", "NETNSA_PID", "NETNSA_FD", "NETNSA_TARGET_NSID"],
};
const NFT_TABLE: Group = Group {
    fixed: 4,
    names: &[
        "NFTA_TABLE_UNSPEC",
        "NFTA_TABLE_NAME",
        "NFTA_TABLE_FLAGS",
        "NFTA_TABLE_USE",
        "NFTA_TABLE_HANDLE",
    ],
};
const NFT_CHAIN: Group = Group {
    fixed: 4,
    names: &[
        "NFTA_CHAIN_UNSPEC",
        "NFTA_CHAIN_TABLE",
        "NFTA_CHAIN_HANDLE",
        "NFTA_CHAIN_NAME",
        "NFTA_CHAIN_HOOK",
        "NFTA_CHAIN_POLICY",
        "NFTA_CHAIN_USE",
        "NFTA_CHAIN_TYPE",
    ],
};
const NFT_RULE: Group = Group {
    fixed: 4,
    names: &[
        "NFTA_RULE_UNSPEC",
        "NFTA_RULE_TABLE",
        "NFTA_RULE_CHAIN",
        "NFTA_RULE_HANDLE",
        "NFTA_RULE_EXPRESSIONS",
        "NFTA_RULE_COMPAT",
        "NFTA_RULE_POSITION",
        "NFTA_RULE_USERDATA",
    ],
};
const LINKINFO: &[&str] = &[
    "IFLA_INFO_UNSPEC",
    "IFLA_INFO_KIND",
    "IFLA_INFO_DATA",
    "IFLA_INFO_XSTATS",
    "IFLA_INFO_SLAVE_KIND",
    "IFLA_INFO_SLAVE_DATA",
];

/// The group of a request, by its type: four types to a group.
fn group(request: &[u8]) -> Option<&'static Group> {
    let kind = request.get(4..6)?.first_chunk::<2>()?;
    match u16::from_ne_bytes(*kind) {
        16..=19 | 108 | 109 => Some(&LINK),
        20..=22 => Some(&ADDRESS),
        24..=26 => Some(&ROUTE),
        28..=30 => Some(&NEIGHBOUR),
        32..=34 => Some(&RULE),
        88..=90 => Some(&NSID),
        0xa00..=0xa02 => Some(&NFT_TABLE),
        0xa03..=0xa05 => Some(&NFT_CHAIN),
        0xa06..=0xa08 => Some(&NFT_RULE),
        _ => None,
    }
}

/// The name of the attribute that a request lacks.
pub(crate) fn missing(request: &[u8], kind: u32) -> String {
    let name = group(request).and_then(|group| group.names.get(usize::try_from(kind).ok()?));
    name.map_or_else(|| format!("attribute {kind}"), |name| (*name).to_owned())
}

/// The name of the attribute of a request at `offset`, with the names of those around it.
pub(crate) fn at(request: &[u8], offset: u32) -> String {
    let offset = usize::try_from(offset).unwrap_or(usize::MAX);
    let Some(group) = group(request) else { return "attribute".to_owned() };
    if offset < HEADER + group.fixed {
        return "fixed header".to_owned();
    }
    descend(request, HEADER + group.fixed, offset, group.names, DEEPEST)
        .unwrap_or_else(|| "attribute".to_owned())
}

/// Attributes within attributes go this far down, and no request of ours farther.
const DEEPEST: usize = 8;

/// Walks down to the attribute that begins at `offset`, at most `levels` of them.
fn descend(request: &[u8], start: usize, offset: usize, names: &[&str], levels: usize) -> Option<String> {
    let levels = levels.checked_sub(1)?;
    let (at, attribute) = located(request, start)
        .find(|(at, attribute)| (*at..*at + 4 + attribute.value.len()).contains(&offset))?;
    let name = names.get(usize::from(attribute.kind));
    let name = name.map_or_else(|| attribute.kind.to_string(), |name| (*name).to_owned());
    if at == offset {
        return Some(name);
    }
    let inner: &[&str] = if name == "IFLA_LINKINFO" { LINKINFO } else { &[] };
    let end = at + 4 + attribute.value.len();
    let deeper = descend(request.get(..end)?, at + 4, offset, inner, levels);
    Some(deeper.map_or_else(|| name.clone(), |deeper| format!("{name}/{deeper}")))
}
