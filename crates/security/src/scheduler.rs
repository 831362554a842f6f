//! How a process gets time: scheduler, priority of its input and output, CPUs. sched(7), ioprio_set(2).

use serde::{Deserialize, Serialize};

use crate::numbers::NumberList;

/// Scheduling policy: sched(7). The names are those of the OCI runtime specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Policy {
    /// The default time-sharing policy.
    #[default]
    #[serde(rename = "SCHED_OTHER")]
    Other,
    /// Real time, first in first out.
    #[serde(rename = "SCHED_FIFO")]
    Fifo,
    /// Real time, round robin.
    #[serde(rename = "SCHED_RR")]
    RoundRobin,
    /// Time sharing for what never waits for a user.
    #[serde(rename = "SCHED_BATCH")]
    Batch,
    /// Only when nothing else runs.
    #[serde(rename = "SCHED_IDLE")]
    Idle,
    /// Earliest deadline first.
    #[serde(rename = "SCHED_DEADLINE")]
    Deadline,
}

impl Policy {
    /// The number in linux/sched.h.
    #[must_use]
    pub fn number(self) -> u32 {
        match self {
            Self::Other => 0,
            Self::Fifo => 1,
            Self::RoundRobin => 2,
            Self::Batch => 3,
            Self::Idle => 5,
            Self::Deadline => 6,
        }
    }

    fn is_real_time(self) -> bool {
        matches!(self, Self::Fifo | Self::RoundRobin)
    }
}

/// Flag of sched_setattr(2). Those that keep what was set before, and those of utilisation clamps, for which the OCI runtime
/// specification has no values, mean nothing for a new process and are no variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum SchedulerFlag {
    /// Children begin with the default policy.
    #[serde(rename = "SCHED_FLAG_RESET_ON_FORK")]
    ResetOnFork,
    /// Time that other deadline threads leave may be used.
    #[serde(rename = "SCHED_FLAG_RECLAIM")]
    Reclaim,
    /// `SIGXCPU` when the runtime is overrun.
    #[serde(rename = "SCHED_FLAG_DL_OVERRUN")]
    Overrun,
}

impl SchedulerFlag {
    fn bit(self) -> u64 {
        match self {
            Self::ResetOnFork => 1,
            Self::Reclaim => 2,
            Self::Overrun => 4,
        }
    }
}

/// Scheduling policy and what belongs to it: sched_setattr(2).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Scheduler {
    /// Policy.
    pub policy: Policy,
    /// Niceness, -20 to 19, of the time-sharing policies.
    #[serde(skip_serializing_if = "is_default")]
    pub nice: i32,
    /// Priority, 1 to 99, of the real-time policies.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: u32,
    /// Flags.
    #[serde(skip_serializing_if = "is_default")]
    pub flags: Vec<SchedulerFlag>,
    /// Nanoseconds of processor time in each period, of `SCHED_DEADLINE`.
    #[serde(skip_serializing_if = "is_default")]
    pub runtime: u64,
    /// Nanoseconds from the start of a period in which they are had, likewise.
    #[serde(skip_serializing_if = "is_default")]
    pub deadline: u64,
    /// Nanoseconds of a period, likewise; 0 for the deadline.
    #[serde(skip_serializing_if = "is_default")]
    pub period: u64,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

impl Scheduler {
    /// The flags as a mask.
    #[must_use]
    pub fn flag_bits(&self) -> u64 {
        self.flags.iter().fold(0, |bits, flag| bits | flag.bit())
    }

    /// What is wrong with it: key and reason. sched_setattr(2) would say `EINVAL` to each.
    #[must_use]
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut all = Vec::new();
        let real_time = self.policy.is_real_time();
        let deadline = self.policy == Policy::Deadline;
        if !(-20..=19).contains(&self.nice) {
            all.push(("nice", format!("{}: not in -20..=19", self.nice)));
        } else if self.nice != 0 && (real_time || deadline) {
            all.push(("nice", "only time-sharing policies have it".to_owned()));
        }
        if real_time && !(1..=99).contains(&self.priority) {
            all.push(("priority", format!("{}: not in 1..=99", self.priority)));
        } else if !real_time && self.priority != 0 {
            all.push(("priority", "only SCHED_FIFO and SCHED_RR have it".to_owned()));
        }
        let only = self.flag_bits() & !SchedulerFlag::ResetOnFork.bit() != 0;
        if only && !deadline {
            all.push(("flags", "RECLAIM and DL_OVERRUN: only SCHED_DEADLINE has them".to_owned()));
        }
        all.extend(self.times(deadline).map(|reason| ("runtime", reason.to_owned())));
        all
    }

    fn times(&self, wanted: bool) -> Option<&'static str> {
        /// Shortest runtime: `DL_SCALE` of the kernel.
        const SHORTEST: u64 = 1024;
        let Self { runtime, deadline, period, .. } = *self;
        let given = [runtime, deadline, period].iter().any(|time| *time != 0);
        let period = if period == 0 { deadline } else { period };
        match wanted {
            false if given => Some("only SCHED_DEADLINE has runtime, deadline and period"),
            true if runtime < SHORTEST => Some("at least 1024 nanoseconds"),
            true if runtime > deadline || deadline > period => {
                Some("runtime <= deadline <= period must hold")
            }
            true if period >= 1 << 63 => Some("the period is below 2^63 nanoseconds"),
            _ => None,
        }
    }
}

/// Class of input and output: ioprio_set(2). The names are those of the OCI runtime specification.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum IoClass {
    /// Before all others; needs `CAP_SYS_ADMIN` or `CAP_SYS_NICE` over the host.
    #[serde(rename = "IOPRIO_CLASS_RT")]
    RealTime,
    /// The default class.
    #[default]
    #[serde(rename = "IOPRIO_CLASS_BE")]
    BestEffort,
    /// Only when nobody else wants the disk.
    #[serde(rename = "IOPRIO_CLASS_IDLE")]
    Idle,
}

/// Priority of input and output: ioprio_set(2).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct IoPriority {
    /// Class.
    pub class: IoClass,
    /// Priority within it, 0 (first) to 7; 0 for the idle class, which has none.
    #[serde(skip_serializing_if = "is_default")]
    pub priority: u32,
}

impl IoPriority {
    /// The value that the kernel takes: class and priority.
    #[must_use]
    pub fn value(self) -> u32 {
        let class = match self.class {
            IoClass::RealTime => 1,
            IoClass::BestEffort => 2,
            IoClass::Idle => 3,
        };
        class << 13 | self.priority
    }

    /// What is wrong with it: key and reason.
    #[must_use]
    pub fn problems(self) -> Option<(&'static str, String)> {
        match self.class {
            _ if self.priority > 7 => Some(("priority", format!("{}: not in 0..=7", self.priority))),
            IoClass::Idle if self.priority != 0 => Some(("priority", "the idle class has none".to_owned())),
            _ => None,
        }
    }
}

/// CPUs that a process may use: sched_setaffinity(2). Either may be absent, and changes nothing then.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct CpuAffinity {
    /// While the process is on its way into the container.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub initial: Option<NumberList>,
    /// When it is in the container's control group, and from then on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#final: Option<NumberList>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedulers() {
        let check = |json: &str, wanted: &[&str]| {
            let scheduler: Scheduler = serde_json::from_str(json).unwrap();
            let found: Vec<_> =
                scheduler.problems().into_iter().map(|(key, text)| format!("{key}: {text}")).collect();
            assert_eq!(found, wanted, "{json}");
        };
        check(r#"{"policy":"SCHED_BATCH","nice":19,"flags":["SCHED_FLAG_RESET_ON_FORK"]}"#, &[]);
        check(r#"{"policy":"SCHED_FIFO","priority":99}"#, &[]);
        check(r#"{"policy":"SCHED_DEADLINE","runtime":1024,"deadline":2048}"#, &[]);
        check(r#"{"policy":"SCHED_OTHER","nice":20}"#, &["nice: 20: not in -20..=19"]);
        check(
            r#"{"policy":"SCHED_RR","nice":1}"#,
            &["nice: only time-sharing policies have it", "priority: 0: not in 1..=99"],
        );
        check(r#"{"priority":1}"#, &["priority: only SCHED_FIFO and SCHED_RR have it"]);
        check(
            r#"{"flags":["SCHED_FLAG_RECLAIM"]}"#,
            &["flags: RECLAIM and DL_OVERRUN: only SCHED_DEADLINE has them"],
        );
        check(r#"{"period":7}"#, &["runtime: only SCHED_DEADLINE has runtime, deadline and period"]);
        check(r#"{"policy":"SCHED_DEADLINE","runtime":1}"#, &["runtime: at least 1024 nanoseconds"]);
        check(
            r#"{"policy":"SCHED_DEADLINE","runtime":4096,"deadline":2048}"#,
            &["runtime: runtime <= deadline <= period must hold"],
        );
        assert!(serde_json::from_str::<Scheduler>(r#"{"policy":"SCHED_ISO"}"#).is_err());
        assert!(serde_json::from_str::<Scheduler>(r#"{"flags":["SCHED_FLAG_KEEP_POLICY"]}"#).is_err());
    }

    #[test]
    fn input_and_output() {
        let read = |json: &str| serde_json::from_str::<IoPriority>(json).unwrap();
        assert_eq!(read(r#"{"class":"IOPRIO_CLASS_BE","priority":7}"#).value(), 2 << 13 | 7);
        assert_eq!(read(r#"{"class":"IOPRIO_CLASS_IDLE"}"#).problems(), None);
        assert!(read(r#"{"class":"IOPRIO_CLASS_IDLE","priority":1}"#).problems().is_some());
        assert!(read(r#"{"class":"IOPRIO_CLASS_RT","priority":8}"#).problems().is_some());
    }
}
