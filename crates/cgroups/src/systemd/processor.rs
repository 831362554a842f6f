//! The properties of the processor whose values are reckoned: quota, lists, idleness. Pure.

use super::property::{INFINITY, List, Target};
use super::value::Value;
use crate::error::{Error, Result};
use crate::resources::{Resources, given};

/// The kernel has at most 8192 CPUs (`CONFIG_NR_CPUS`), and fewer nodes (`MAX_NUMNODES`).
const MOST_CPUS: usize = 8192;
/// systemd keeps whole percents of a second.
const PERCENT: u64 = 10_000;
/// The kernel's period when only a quota is given, in microseconds.
const PERIOD: u64 = 100_000;

/// Whether idle is said by a weight of zero.
pub(super) fn idles(idle: bool, target: &Target) -> bool {
    idle && target.systemd >= 252
}

pub(super) fn quota(list: &mut List, quota: Option<u64>, period: Option<u64>, target: &Target) -> Result<()> {
    if let Some(field) = [(quota, "cpu.quota"), (period, "cpu.period")]
        .iter()
        .find_map(|(value, field)| (*value == Some(0)).then_some(*field))
    {
        return Err(Error::invalid(field, "zero microseconds"));
    }
    if target.systemd >= 242 {
        list.set_number("CPUQuotaPeriodUSec", period);
    }
    if quota.is_some() || period.is_some() {
        let each_second = quota
            .filter(|quota| *quota != INFINITY)
            .map_or(INFINITY, |quota| each_second(quota, period.unwrap_or(PERIOD)));
        list.set("CPUQuotaPerSecUSec", Value::U64(each_second));
    }
    Ok(())
}

/// Rounded up: rounded down, groups below could not have the exact quota.
fn each_second(quota: u64, period: u64) -> u64 {
    let micros = u128::from(quota) * 1_000_000 / u128::from(period.max(1));
    u64::try_from(micros.next_multiple_of(u128::from(PERCENT))).unwrap_or(INFINITY)
}

/// Rounds a quota up to what a unit can have. Written so to the control file, it stays when systemd writes its own again, as it does when it reads its units anew.
#[must_use]
pub fn whole_percents(mut resources: Resources) -> Resources {
    if let Some(cpu) = &mut resources.cpu {
        let period = given(cpu.period).unwrap_or(PERIOD);
        let asked = given(cpu.quota).and_then(|quota| u64::try_from(quota).ok());
        let rounded =
            asked.map(|quota| u128::from(each_second(quota, period)) * u128::from(period) / 1_000_000);
        // What is too large for either form stays as it is.
        if let Some(quota) = rounded.and_then(|quota| i64::try_from(quota).ok()) {
            cpu.quota = cpu.quota.max(Some(quota));
        }
    }
    resources
}

pub(super) fn cpuset(
    list: &mut List,
    name: &str,
    text: Option<&str>,
    field: &str,
    target: &Target,
) -> Result<()> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(()) };
    let mask = bit_mask(text)
        .ok_or_else(|| Error::invalid(field, format!("{text:?} is no list of numbers below {MOST_CPUS}")))?;
    if target.systemd >= 244 {
        list.set(name, Value::bytes(&mask));
    }
    Ok(())
}

/// `0-2,9` as bits: CPU n is bit n % 8 of byte n / 8. None for what is no such list.
#[must_use]
pub fn bit_mask(text: &str) -> Option<Vec<u8>> {
    let mut mask = Vec::new();
    for range in text.split(',').map(str::trim).filter(|range| !range.is_empty()) {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (number(first)?, number(last)?);
        if first > last || last >= MOST_CPUS {
            return None;
        }
        if mask.len() <= last / 8 {
            mask.resize(last / 8 + 1, 0);
        }
        for cpu in first..=last {
            if let Some(byte) = mask.get_mut(cpu / 8) {
                *byte |= 1_u8 << (cpu % 8);
            }
        }
    }
    (!mask.is_empty()).then_some(mask)
}

fn number(text: &str) -> Option<usize> {
    let text = text.trim();
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}
