//! What a class has and uses, in runc's words.

use std::fs::File;
use std::io;
use std::path::Path;

use libcontainer_plan::names;
use serde::{Deserialize, Serialize};

use super::mounted::{ResctrlMount, read};
use crate::error::{Error, Result, named};
use crate::record::ResctrlGroup;

/// What the processor can share out of its caches and its bandwidth, what a container's class has of it, and what it uses: by the keys of runc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ResctrlStats {
    /// The caches of level 3, if they can be shared out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub l3_cache_info: Option<CacheInfo>,
    /// The lines `L3…` of the class of everybody else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema_root: String,
    /// Those of the container's class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub l3_cache_schema: String,
    /// The memory bandwidth, if it can be shared out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mem_bw_info: Option<BandwidthInfo>,
    /// The line `MB` of the class of everybody else.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema_root: String,
    /// That of the container's class.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mem_bw_schema: String,
    /// Bytes that were moved since it was made, for each cache in the order of their numbers. Of the container alone if a group measures it, else of all in its class.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub mbm_stats: Vec<BandwidthStats>,
    /// What lies in the caches now, likewise.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cmt_stats: Vec<CacheStats>,
}

/// `info/L3`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheInfo {
    /// All parts, as a hexadecimal mask.
    pub cbm_mask: String,
    /// The fewest parts that a class can have.
    pub min_cbm_bits: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// `info/MB`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BandwidthInfo {
    /// Steps, in percent.
    pub bandwidth_gran: u64,
    /// 1 if the delay grows with what is missing to all of it.
    pub delay_linear: u64,
    /// The least, in percent.
    pub min_bandwidth: u64,
    /// How many classes there can be.
    pub num_closids: u64,
}

/// Of one cache; what the processor does not count, or not now, is left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct BandwidthStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_total_bytes: Option<u64>,
    /// Bytes of its own memory node.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mbm_local_bytes: Option<u64>,
}

/// Of one cache, likewise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CacheStats {
    /// Bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub llc_occupancy: Option<u64>,
}

/// Reads them; `None` of a container without a class.
pub(crate) fn stats(groups: &[ResctrlGroup], mount: Option<&ResctrlMount>) -> Result<Option<ResctrlStats>> {
    let (Some(class), Some(measured)) = (groups.first(), groups.last()) else { return Ok(None) };
    let mount = mount.cloned().map_or_else(ResctrlMount::find, Ok)?;
    let failed = |error| Error::io("/resctrl: statistics", error);
    let of = |dir: &Path| schemata(&dir.join(&mount.schemata)).map_err(failed);
    let ([l3_cache_schema_root, mem_bw_schema_root], [l3_cache_schema, mem_bw_schema]) =
        (of(&mount.root)?, of(&class.path)?);
    let (mbm_stats, cmt_stats) = measure(&measured.path.join("mon_data")).map_err(failed)?;
    let info = mount.root.join("info");
    let stats = ResctrlStats {
        l3_cache_info: cache(&info.join("L3")).map_err(failed)?,
        mem_bw_info: bandwidth(&info.join("MB")).map_err(failed)?,
        l3_cache_schema_root,
        l3_cache_schema,
        mem_bw_schema_root,
        mem_bw_schema,
        mbm_stats,
        cmt_stats,
    };
    Ok(Some(stats))
}

/// The lines of caches, and that of the bandwidth.
fn schemata(file: &Path) -> io::Result<[String; 2]> {
    let text = present(file)?.unwrap_or_default();
    let of = |resource: &str| {
        let lines = text.lines().map(str::trim).filter(|line| line.starts_with(resource));
        lines.collect::<Vec<_>>().join("\n")
    };
    Ok(["L3", "MB"].map(of))
}

fn cache(dir: &Path) -> io::Result<Option<CacheInfo>> {
    let Some(mask) = present(&dir.join("cbm_mask"))? else { return Ok(None) };
    let number = |name: &str| number(&dir.join(name)).map(Option::unwrap_or_default);
    let (min_cbm_bits, num_closids) = (number("min_cbm_bits")?, number("num_closids")?);
    Ok(Some(CacheInfo { cbm_mask: mask.trim().to_owned(), min_cbm_bits, num_closids }))
}

fn bandwidth(dir: &Path) -> io::Result<Option<BandwidthInfo>> {
    let Some(bandwidth_gran) = number(&dir.join("bandwidth_gran"))? else { return Ok(None) };
    let number = |name: &str| number(&dir.join(name)).map(Option::unwrap_or_default);
    Ok(Some(BandwidthInfo {
        bandwidth_gran,
        delay_linear: number("delay_linear")?,
        min_bandwidth: number("min_bandwidth")?,
        num_closids: number("num_closids")?,
    }))
}

fn measure(dir: &Path) -> io::Result<(Vec<BandwidthStats>, Vec<CacheStats>)> {
    let (mut moved, mut held) = (Vec::new(), Vec::new());
    for cache in caches(dir)? {
        let number = |name: &str| number(&dir.join(&cache).join(name));
        let (mbm_total_bytes, mbm_local_bytes) = (number("mbm_total_bytes")?, number("mbm_local_bytes")?);
        moved.extend(
            mbm_total_bytes.or(mbm_local_bytes).map(|_| BandwidthStats { mbm_total_bytes, mbm_local_bytes }),
        );
        held.extend(number("llc_occupancy")?.map(|bytes| CacheStats { llc_occupancy: Some(bytes) }));
    }
    Ok((moved, held))
}

/// The directories of the caches; none where the processor measures nothing.
fn caches(dir: &Path) -> io::Result<Vec<String>> {
    let found = match File::open(dir).and_then(names) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        found => found.map_err(|error| named(format!("read {}", dir.display()), error))?,
    };
    let found = found.into_iter().map(|name| name.to_string_lossy().into_owned());
    let mut all: Vec<_> = found.filter(|name| name.starts_with("mon_L3_")).collect();
    all.sort_unstable();
    Ok(all)
}

/// The text of a file that need not be there.
fn present(file: &Path) -> io::Result<Option<String>> {
    match read(file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => text.map(Some).map_err(|error| named(format!("read {}", file.display()), error)),
    }
}

/// A number; `None` of what is not there or, as the kernel has it, `Unavailable` now, or an `Error` of the counter.
fn number(file: &Path) -> io::Result<Option<u64>> {
    let Some(text) = present(file)? else { return Ok(None) };
    match text.trim() {
        "Unavailable" | "Error" | "Unassigned" => Ok(None),
        number => number
            .parse()
            .map(Some)
            .map_err(|_| io::Error::other(format!("{}: {number:?} is no number", file.display()))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn what_is_no_number_is_told_with_its_file() {
        let file = std::env::temp_dir().join(format!("libcontainer-number-{}", std::process::id()));
        let of = |text: &str| {
            std::fs::write(&file, text).unwrap();
            number(&file).map_err(|error| error.to_string())
        };
        assert_eq!((of("17\n"), of("Unavailable\n"), of("Error\n")), (Ok(Some(17)), Ok(None), Ok(None)));
        let told = of("seventeen\n").unwrap_err();
        assert!(told.contains(&*file.to_string_lossy()) && told.contains("seventeen"), "{told}");
        std::fs::remove_file(&file).unwrap();
        assert_eq!(number(&file).unwrap(), None);
    }
}
