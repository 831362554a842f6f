//! What can be said of [`Resources`] without looking at a machine.

use super::{BlockIo, Cpu, Memory, Resources, given, given_text};
use crate::devices;
use crate::error::{Error, Result};

/// Files of version 2 that move, stop or kill processes or change what a group is: not settings.
const NOT_SETTINGS: &[&str] = &[
    "cgroup.procs",
    "cgroup.threads",
    "cgroup.kill",
    "cgroup.freeze",
    "cgroup.type",
    "cgroup.subtree_control",
];

struct Problems(Vec<Error>);

impl Problems {
    fn add(&mut self, field: impl Into<String>, problem: impl Into<String>) {
        self.0.push(Error::invalid(field, problem));
    }

    fn unless(&mut self, fine: bool, field: &str, problem: impl FnOnce() -> String) {
        if !fine {
            self.add(field, problem());
        }
    }
}

impl Resources {
    /// Every problem that shows without looking at the machine, each an [`Error::Invalid`]. Pure.
    #[must_use]
    pub fn problems(&self) -> Vec<Error> {
        let mut found = Problems(Vec::new());
        if let Some(memory) = &self.memory {
            check_memory(memory, &mut found);
        }
        if let Some(cpu) = &self.cpu {
            check_cpu(cpu, &mut found);
        }
        if let Some(limit) = self.pids.as_ref().and_then(|pids| pids.limit) {
            found.unless(limit >= -1, "pids.limit", || below(limit));
        }
        if let Some(block_io) = &self.block_io {
            check_block_io(block_io, &mut found);
        }
        self.check_rest(&mut found);
        if let Err(error) = devices::validate(&self.devices) {
            found.0.push(error);
        }
        found.0
    }

    /// [`Self::problems`] as one error.
    ///
    /// # Errors
    /// [`Error::Invalid`], or [`Error::Several`] of them.
    pub fn validate(&self) -> Result<()> {
        let mut problems = self.problems();
        match problems.len() {
            0 | 1 => problems.pop().map_or(Ok(()), Err),
            _ => Err(Error::Several(problems)),
        }
    }

    fn check_rest(&self, found: &mut Problems) {
        for (index, page) in self.hugepage_limits.iter().enumerate() {
            let field = format!("hugepageLimits[{index}].pageSize");
            let size = &page.page_size;
            found.unless(is_page_size(size), &field, || format!("{size:?} is no page size such as 2MB"));
            let again = self.hugepage_limits.iter().take(index).any(|earlier| earlier.page_size == *size);
            found.unless(!again, &field, || format!("{size} comes twice"));
        }
        for (index, priority) in self.network.iter().flat_map(|network| &network.priorities).enumerate() {
            let fine = !priority.name.is_empty()
                && priority.name.len() < 16
                && !priority.name.contains(|c: char| c.is_whitespace() || c == '/' || c == '\0');
            found.unless(fine, &format!("network.priorities[{index}].name"), || {
                format!("{:?} is no name of an interface", priority.name)
            });
        }
        for (name, rdma) in &self.rdma {
            let fine = !name.is_empty() && !name.contains(|c: char| c.is_whitespace() || c == '\0');
            found.unless(fine, "rdma", || format!("{name:?} is no name of a device"));
            let empty = rdma.hca_handles.is_none() && rdma.hca_objects.is_none();
            found.unless(!empty, &format!("rdma.{name}"), || {
                "neither hcaHandles nor hcaObjects is given".to_owned()
            });
        }
        for (file, value) in &self.unified {
            check_unified(file, value, found);
        }
    }
}

fn below(value: i64) -> String {
    format!("{value} is below -1 (unlimited)")
}

fn check_memory(memory: &Memory, found: &mut Problems) {
    let amounts = [
        ("memory.limit", memory.limit),
        ("memory.reservation", memory.reservation),
        ("memory.swap", memory.swap),
        ("memory.kernel", memory.kernel),
        ("memory.kernelTCP", memory.kernel_tcp),
    ];
    for (field, amount) in amounts {
        if let Some(amount) = amount {
            found.unless(amount >= -1, field, || below(amount));
        }
    }
    let (limit, swap) = (given(memory.limit), given(memory.swap).filter(|swap| *swap > 0));
    match (limit, swap) {
        (Some(-1), Some(swap)) => {
            found.add("memory.swap", format!("{swap} can't hold while memory.limit is unlimited"));
        }
        (Some(limit), Some(swap)) if limit > 0 => found.unless(swap >= limit, "memory.swap", || {
            format!("{swap} is below memory.limit {limit}; it counts memory and swap together")
        }),
        _ => {}
    }
    if let (Some(limit), Some(reservation)) = (limit.filter(|limit| *limit > 0), given(memory.reservation)) {
        found.unless(reservation <= limit, "memory.reservation", || {
            format!("{reservation} is above memory.limit {limit}")
        });
    }
    if let Some(swappiness) = memory.swappiness {
        found.unless(swappiness <= 100, "memory.swappiness", || format!("{swappiness} is above 100"));
    }
}

fn check_cpu(cpu: &Cpu, found: &mut Problems) {
    if let Some(shares) = given(cpu.shares) {
        found.unless(shares <= 262_144, "cpu.shares", || format!("{shares} is above 262144"));
        found.unless(cpu.idle != Some(1), "cpu.shares", || {
            "an idle group (cpu.idle 1) has no weight".to_owned()
        });
    }
    if let Some(quota) = given(cpu.quota) {
        found.unless(quota >= -1, "cpu.quota", || below(quota));
        found.unless(!(0..1000).contains(&quota), "cpu.quota", || {
            format!("{quota} is below 1000 microseconds")
        });
    }
    if let Some(period) = given(cpu.period) {
        found.unless((1000..=1_000_000).contains(&period), "cpu.period", || {
            format!("{period} is not within 1000..=1000000 microseconds")
        });
    }
    let quota = given(cpu.quota).and_then(|quota| u64::try_from(quota).ok());
    if let (Some(burst), Some(quota)) = (cpu.burst, quota) {
        found.unless(burst <= quota, "cpu.burst", || format!("{burst} is above cpu.quota {quota}"));
    }
    if let Some(idle) = cpu.idle {
        found.unless(idle == 0 || idle == 1, "cpu.idle", || format!("{idle} is neither 0 nor 1"));
    }
    check_realtime(cpu, found);
    for (field, list) in [("cpu.cpus", &cpu.cpus), ("cpu.mems", &cpu.mems)] {
        if let Some(list) = given_text(list.as_ref()) {
            found.unless(is_id_list(list), field, || format!("{list:?} is no list such as 0-3,7"));
        }
    }
}

fn check_realtime(cpu: &Cpu, found: &mut Problems) {
    let Some(runtime) = given(cpu.realtime_runtime) else { return };
    found.unless(runtime >= -1, "cpu.realtimeRuntime", || below(runtime));
    if let (Some(period), Ok(runtime)) = (given(cpu.realtime_period), u64::try_from(runtime)) {
        found.unless(runtime <= period, "cpu.realtimeRuntime", || {
            format!("{runtime} is above cpu.realtimePeriod {period}")
        });
    }
}

fn check_block_io(io: &BlockIo, found: &mut Problems) {
    let mut weight = |field: &str, value: Option<u16>| {
        if let Some(value) = given(value) {
            found.unless((10..=1000).contains(&value), field, || format!("{value} is not within 10..=1000"));
        }
    };
    weight("blockIO.weight", io.weight);
    weight("blockIO.leafWeight", io.leaf_weight);
    for (index, device) in io.weight_device.iter().enumerate() {
        weight(&format!("blockIO.weightDevice[{index}].weight"), device.weight);
        weight(&format!("blockIO.weightDevice[{index}].leafWeight"), device.leaf_weight);
    }
    let throttles = [
        ("throttleReadBpsDevice", &io.throttle_read_bps_device),
        ("throttleWriteBpsDevice", &io.throttle_write_bps_device),
        ("throttleReadIOPSDevice", &io.throttle_read_iops_device),
        ("throttleWriteIOPSDevice", &io.throttle_write_iops_device),
    ];
    let numbers = throttles.iter().flat_map(|(name, list)| {
        list.iter().enumerate().map(move |(index, device)| (*name, index, device.major, device.minor))
    });
    let weights = io.weight_device.iter().enumerate();
    let weights = weights.map(|(index, device)| ("weightDevice", index, device.major, device.minor));
    for (name, index, major, minor) in numbers.chain(weights) {
        let fine = (0..1 << 12).contains(&major) && (0..1 << 20).contains(&minor);
        found.unless(fine, &format!("blockIO.{name}[{index}]"), || {
            format!("{major}:{minor} is no device number")
        });
    }
}

fn check_unified(file: &str, value: &str, found: &mut Problems) {
    let field = format!("unified[{file:?}]");
    let bad = file.is_empty() || file.contains(['/', '\0', '\n']) || file == "." || file == "..";
    if bad || !file.contains('.') || file.starts_with('.') {
        found.add(field, "not the name of a control file (controller.setting)");
    } else if NOT_SETTINGS.contains(&file) {
        found.add(field, "this file is no setting");
    } else if value.contains('\0') {
        found.add(field, "the value has a NUL byte");
    }
}

/// True for texts as `2MB`: a number without leading zero that is a power of two, and a unit.
fn is_page_size(text: &str) -> bool {
    let number = ["KB", "MB", "GB"].iter().find_map(|unit| text.strip_suffix(unit));
    number
        .filter(|number| !number.starts_with(['0', '+']))
        .is_some_and(|number| number.parse::<u32>().is_ok_and(u32::is_power_of_two))
}

/// True for the kernel's list format: `0-3,7`, and strides `0-7:2/4` (lib/bitmap.c).
fn is_id_list(text: &str) -> bool {
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| !text.starts_with('+'));
    text.split(',').all(|part| {
        let (range, stride) =
            part.split_once(':').map_or((part, None), |(range, stride)| (range, Some(stride)));
        let good_range = match range.split_once('-') {
            None => stride.is_none() && number(range).is_some(),
            Some((first, last)) => matches!((number(first), number(last)), (Some(a), Some(b)) if a <= b),
        };
        let good_stride = stride.is_none_or(|stride| {
            stride.split_once('/').is_some_and(|(used, of)| {
                matches!((number(used), number(of)), (Some(used), Some(of)) if used <= of && of > 0)
            })
        });
        good_range && good_stride
    })
}
