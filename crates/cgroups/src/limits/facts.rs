//! What a plan must know about a group.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::{Error, Result};
use crate::group::Group;
use crate::resources::{BlockIo, Cpu, Memory, Resources, given};
use crate::stats::Version;

/// Controllers of a group, which control files it has, and their texts where a plan depends on them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    controllers: BTreeMap<String, Version>,
    files: BTreeMap<String, String>,
    missing: BTreeMap<String, String>,
    unified: bool,
}

/// Files of version 1 and of version 2 to look at when this is asked for.
type Look<T> = (fn(&T) -> bool, &'static [&'static str], &'static [&'static str]);

const MEMORY: &[Look<Memory>] = &[
    (
        |memory| given(memory.limit).is_some() || given(memory.swap).is_some(),
        &["memory.limit_in_bytes", "memory.memsw.limit_in_bytes"],
        &["memory.max", "memory.swap.max"],
    ),
    (|memory| memory.check_before_update == Some(true), &["memory.usage_in_bytes"], &["memory.current"]),
    (|memory| memory.use_hierarchy.is_some(), &["memory.use_hierarchy"], &[]),
    (|memory| memory.disable_oom_killer.is_some(), &["memory.oom_control"], &[]),
    (|memory| given(memory.kernel).is_some(), &["memory.kmem.limit_in_bytes"], &[]),
    (|memory| given(memory.kernel_tcp).is_some(), &["memory.kmem.tcp.limit_in_bytes"], &[]),
];
const CPU: &[Look<Cpu>] = &[
    (
        |cpu| given(cpu.quota).is_some() || given(cpu.period).is_some(),
        &["cpu.cfs_quota_us", "cpu.cfs_period_us"],
        &["cpu.max"],
    ),
    (|cpu| cpu.burst.is_some(), &["cpu.cfs_burst_us"], &["cpu.max.burst"]),
    (
        |cpu| given(cpu.realtime_runtime).is_some() || given(cpu.realtime_period).is_some(),
        &["cpu.rt_runtime_us", "cpu.rt_period_us"],
        &[],
    ),
    (|cpu| cpu.idle.is_some(), &["cpu.idle"], &["cpu.idle"]),
];
const IO_V1: &[&str] = &[
    "blkio.weight",
    "blkio.bfq.weight",
    "blkio.weight_device",
    "blkio.bfq.weight_device",
    "blkio.leaf_weight",
    "blkio.leaf_weight_device",
];
const IO_V2: &[&str] = &["io.bfq.weight", "io.weight"];

impl Facts {
    /// Reads what [`plan`](super::plan) needs for `resources`, and nothing else.
    ///
    /// # Errors
    /// [`Error::Directory`] or [`Error::Read`] when the group is gone.
    pub fn of(group: &Group, resources: &Resources) -> Result<Self> {
        group.check_present()?;
        let mut facts =
            Self { missing: group.missing().clone(), unified: group.unified().is_some(), ..Self::default() };
        for name in
            ["cpu", "cpuset", "memory", "pids", "blkio", "io", "hugetlb", "net_cls", "net_prio", "rdma"]
        {
            if let Some((_, version)) = group.controller(name) {
                facts.controllers.insert(name.to_owned(), version);
            }
        }
        for (controller, file) in facts.wanted(resources) {
            if let Some((dir, _)) = group.controller(controller) {
                let name = group.file_name(controller, &file).to_owned();
                facts.read(dir, file, &name)?;
            }
        }
        for file in resources.unified.keys() {
            if let Some(dir) = group.unified() {
                facts.read(dir, file.clone(), file)?;
            }
        }
        Ok(facts)
    }

    /// Adds a controller.
    #[must_use]
    pub fn with_controller(mut self, name: &str, version: Version) -> Self {
        self.controllers.insert(name.to_owned(), version);
        self.unified |= version == Version::V2;
        self
    }

    /// Adds a control file and its text.
    #[must_use]
    pub fn with_file(mut self, name: &str, text: &str) -> Self {
        self.files.insert(name.to_owned(), text.to_owned());
        self
    }

    /// Says why a controller can't be used.
    #[must_use]
    pub fn with_missing(mut self, name: &str, why: &str) -> Self {
        self.missing.insert(name.to_owned(), why.to_owned());
        self
    }

    pub(super) fn all_of(mut self, version: Version) -> Self {
        let names: &[&str] = match version {
            Version::V1 => {
                &["cpu", "cpuset", "memory", "pids", "blkio", "hugetlb", "net_cls", "net_prio", "rdma"]
            }
            Version::V2 => &["cpu", "cpuset", "memory", "pids", "io", "hugetlb", "rdma"],
        };
        self.controllers = names.iter().map(|name| ((*name).to_owned(), version)).collect();
        self.unified = version == Version::V2;
        self
    }

    pub(super) fn has(&self, file: &str) -> bool {
        self.files.contains_key(file)
    }

    pub(super) fn text(&self, file: &str) -> Option<&str> {
        self.files.get(file).map(String::as_str)
    }

    /// A file's amount, None if the group lacks the file or it can't be read by its mode; `max`, and -1 of version 1, are the largest number.
    pub(super) fn amount(&self, file: &str) -> Result<Option<u64>> {
        match self.text(file) {
            None | Some("") => Ok(None),
            Some("max" | "-1") => Ok(Some(u64::MAX)),
            Some(text) => number(file, text).map(Some),
        }
    }

    pub(super) fn has_unified(&self) -> bool {
        self.unified
    }

    pub(super) fn is_v2(&self, controller: &str) -> bool {
        self.controllers.get(controller) == Some(&Version::V2)
    }

    /// The version of a controller that `field` needs.
    pub(super) fn need(&self, field: &str, controller: &str) -> Result<Version> {
        self.controllers.get(controller).copied().ok_or_else(|| {
            let why = self.missing.get(controller).map(|why| format!(": {why}"));
            let why = why.unwrap_or_else(|| ": it is not mounted, or not given to this group".to_owned());
            Error::invalid(field, format!("the controller {controller} can't be used{why}"))
        })
    }

    /// A file's number, which may be negative.
    pub(super) fn signed(&self, file: &str) -> Result<Option<i64>> {
        self.text(file).filter(|text| !text.is_empty()).map(|text| number(file, text)).transpose()
    }

    /// For a field that version 2 doesn't have.
    pub(super) fn need_v1(&self, field: &str, controller: &str) -> Result<()> {
        match self.controllers.get(controller) {
            Some(Version::V1) => Ok(()),
            None if !self.unified => self.need(field, controller).map(drop),
            _ => Err(Error::invalid(field, "has no counterpart in version 2 of control groups")),
        }
    }

    /// An error that says that the kernel lacks a file.
    pub(super) fn need_file(&self, field: &str, file: &str) -> Result<()> {
        if self.has(file) {
            return Ok(());
        }
        Err(Error::invalid(field, format!("this kernel has no file {file} in the group")))
    }

    pub(super) fn wants_memory(&self, memory: &Memory) -> Result<Option<Version>> {
        // What says how it is anyway asks for nothing.
        let asks = given(memory.limit).is_some()
            || given(memory.reservation).is_some()
            || given(memory.swap).is_some()
            || given(memory.kernel).is_some()
            || given(memory.kernel_tcp).is_some()
            || memory.swappiness.is_some()
            || memory.disable_oom_killer == Some(true)
            || memory.use_hierarchy == Some(false);
        self.wants("memory", "memory", asks)
    }

    pub(super) fn wants_cpu(&self, cpu: &Cpu) -> Result<Option<Version>> {
        let asks = given(cpu.shares).is_some()
            || given(cpu.quota).is_some()
            || given(cpu.period).is_some()
            || cpu.burst.is_some_and(|burst| burst != 0)
            || given(cpu.realtime_runtime).is_some()
            || given(cpu.realtime_period).is_some()
            || cpu.idle == Some(1);
        self.wants("cpu", "cpu", asks)
    }

    pub(super) fn wants_io(&self, io: &BlockIo) -> Result<Option<Version>> {
        let asks = given(io.weight).is_some()
            || given(io.leaf_weight).is_some()
            || !io.weight_device.is_empty()
            || !io.throttle_read_bps_device.is_empty()
            || !io.throttle_write_bps_device.is_empty()
            || !io.throttle_read_iops_device.is_empty()
            || !io.throttle_write_iops_device.is_empty();
        let controller = if self.controllers.contains_key("blkio") || !self.unified { "blkio" } else { "io" };
        self.wants("blockIO", controller, asks)
    }

    /// The version of `controller`, None when it isn't there and nothing asks for it.
    fn wants(&self, field: &str, controller: &str, asks: bool) -> Result<Option<Version>> {
        if asks {
            return self.need(field, controller).map(Some);
        }
        Ok(self.controllers.get(controller).copied())
    }

    /// Which files are to be read, by controller.
    fn wanted(&self, resources: &Resources) -> Vec<(&'static str, String)> {
        let mut wanted = Vec::new();
        let mut add = |controller: &'static str, v1: &[&str], v2: &[&str]| {
            let files = if self.is_v2(controller) { v2 } else { v1 };
            wanted.extend(files.iter().map(|file| (controller, (*file).to_owned())));
        };
        if let Some(memory) = &resources.memory {
            MEMORY.iter().filter(|look| look.0(memory)).for_each(|look| add("memory", look.1, look.2));
        }
        if let Some(cpu) = &resources.cpu {
            CPU.iter().filter(|look| look.0(cpu)).for_each(|look| add("cpu", look.1, look.2));
        }
        if resources.block_io.is_some() {
            add("blkio", IO_V1, &[]);
            add("io", &[], IO_V2);
        }
        let sizes: BTreeSet<&str> =
            resources.hugepage_limits.iter().map(|page| page.page_size.as_str()).collect();
        for size in sizes.iter().filter(|size| !size.contains('/')) {
            for end in ["limit_in_bytes", "rsvd.limit_in_bytes", "max", "rsvd.max"] {
                wanted.push(("hugetlb", format!("hugetlb.{size}.{end}")));
            }
        }
        wanted
    }

    fn read(&mut self, dir: &crate::Dir, file: String, name: &str) -> Result<()> {
        // A name that the validation refuses is not looked up.
        if name.contains(['/', '\0']) {
            return Ok(());
        }
        match dir.read_if_there(name) {
            Ok(None) => {}
            Ok(Some(text)) => drop(self.files.insert(file, text)),
            // Switched off at boot: accounting of swap (`swapaccount=0`).
            Err(error) if error.errno() == Some(libc::EOPNOTSUPP) => {}
            Err(error) if error.is_write_only() => drop(self.files.insert(file, String::new())),
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

fn number<N: std::str::FromStr>(file: &str, text: &str) -> Result<N> {
    let problem = || format!("{text:?} is no number");
    text.parse().map_err(|_| Error::Content { path: file.into(), problem: problem() })
}
