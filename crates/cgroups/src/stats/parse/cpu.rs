//! `cpu`, `cpuacct`, `cpuset` and pressure.

use crate::stats::scan::{
    Malformed, Parsed, leading_number, lines, nanoseconds, number, pairs, split, words,
};
use crate::stats::types::{Cpu, IdRange, Pressure, Stall};

/// `cpu.stat` of version 1: times in nanoseconds.
pub(in crate::stats) fn stat_v1(text: &[u8], cpu: &mut Cpu) -> Parsed {
    let throttling = &mut cpu.throttling;
    pairs(text, |key, value| match key {
        b"nr_periods" => throttling.periods = Some(value),
        b"nr_throttled" => throttling.throttled_periods = Some(value),
        b"throttled_time" => throttling.throttled_time = Some(value),
        b"nr_bursts" => throttling.bursts = Some(value),
        b"burst_time" => throttling.burst_time = Some(value),
        _ => {}
    })
}

/// `cpu.stat` of version 2: times in microseconds.
pub(in crate::stats) fn stat_v2(text: &[u8], cpu: &mut Cpu) -> Parsed {
    pairs(text, |key, value| {
        let time = Some(nanoseconds(value));
        match key {
            b"usage_usec" => cpu.usage = time,
            b"user_usec" => cpu.user = time,
            b"system_usec" => cpu.system = time,
            b"nice_usec" => cpu.nice = time,
            b"core_sched.force_idle_usec" => cpu.forced_idle = time,
            b"nr_periods" => cpu.throttling.periods = Some(value),
            b"nr_throttled" => cpu.throttling.throttled_periods = Some(value),
            b"throttled_usec" => cpu.throttling.throttled_time = time,
            b"nr_bursts" => cpu.throttling.bursts = Some(value),
            b"burst_usec" => cpu.throttling.burst_time = time,
            _ => {}
        }
    })
}

/// `cpuacct.stat`: ticks.
pub(in crate::stats) fn ticks(text: &[u8], tick: u64, cpu: &mut Cpu) -> Parsed {
    pairs(text, |key, value| match key {
        b"user" => cpu.user = Some(value.saturating_mul(tick)),
        b"system" => cpu.system = Some(value.saturating_mul(tick)),
        _ => {}
    })
}

/// `cpuacct.usage_percpu`: one number per processor.
pub(in crate::stats) fn per_cpu(text: &[u8], cpu: &mut Cpu) -> Parsed {
    cpu.per_cpu.clear();
    for word in words(text) {
        cpu.per_cpu.push(number(word)?);
    }
    Ok(())
}

/// `cpuacct.usage_all`: a heading, then processor, user, system. Processors come in order; one that is missing counts zero.
pub(in crate::stats) fn usage_all(text: &[u8], cpu: &mut Cpu) -> Parsed {
    cpu.per_cpu_user.clear();
    cpu.per_cpu_system.clear();
    for line in lines(text).skip(1) {
        let mut words = words(line);
        let (Some(id), Some(user), Some(system)) = (words.next(), words.next(), words.next()) else {
            return Err(Malformed::new("`cpu user system`", line));
        };
        let id = usize::try_from(number(id)?).ok().filter(|id| *id < MOST_CPUS);
        let Some(id) = id else { return Err(Malformed::new("a processor's number", line)) };
        cpu.per_cpu_user.resize(id, 0);
        cpu.per_cpu_system.resize(id, 0);
        cpu.per_cpu_user.push(number(user)?);
        cpu.per_cpu_system.push(number(system)?);
    }
    Ok(())
}

/// More than any kernel can be built for (8192): keeps a broken text from making us fill memory.
const MOST_CPUS: usize = 1 << 16;

/// A list such as `0-3,8`; empty lists are normal.
pub(in crate::stats) fn id_list(text: &[u8], ids: &mut Vec<IdRange>) -> Parsed {
    ids.clear();
    let text = text.trim_ascii();
    if text.is_empty() {
        return Ok(());
    }
    for range in text.split(|byte| *byte == b',') {
        let (first, last) = split(range, b'-').unwrap_or((range, range));
        let range = match (id(first), id(last)) {
            (Some(first), Some(last)) if first <= last => IdRange { first, last },
            _ => return Err(Malformed::new("a list such as `0-3,8`", text)),
        };
        ids.push(range);
    }
    Ok(())
}

fn id(word: &[u8]) -> Option<u32> {
    u32::try_from(number(word).ok()?).ok()
}

/// A number that may be negative.
pub(in crate::stats) fn signed(text: &[u8], field: &mut Option<i64>) -> Parsed {
    let text = text.trim_ascii();
    let (digits, negative) = text.strip_prefix(b"-").map_or((text, false), |digits| (digits, true));
    let value = i64::try_from(number(digits)?).map_err(|_| Malformed::new("a number", text))?;
    *field = Some(if negative { -value } else { value });
    Ok(())
}

/// A pressure file: `some avg10=0.00 avg60=0.00 avg300=0.00 total=0`, and the same for `full`.
pub(crate) fn pressure(text: &[u8]) -> Result<Pressure, Malformed> {
    let mut pressure = Pressure::default();
    for line in lines(text) {
        let mut words = words(line);
        match words.next() {
            Some(b"some") => pressure.some = Some(stall(words)?),
            Some(b"full") => pressure.full = Some(stall(words)?),
            _ => return Err(Malformed::new("`some` or `full`", line)),
        }
    }
    Ok(pressure)
}

fn stall<'a>(words: impl Iterator<Item = &'a [u8]>) -> Result<Stall, Malformed> {
    let mut stall = Stall::default();
    for word in words {
        let (key, value) = split(word, b'=').ok_or_else(|| Malformed::new("`key=value`", word))?;
        match key {
            b"avg10" => stall.avg10 = percent(value)?,
            b"avg60" => stall.avg60 = percent(value)?,
            b"avg300" => stall.avg300 = percent(value)?,
            b"total" => stall.total = number(value)?,
            _ => {}
        }
    }
    Ok(stall)
}

/// The kernel shows percent with exactly two decimals.
fn percent(word: &[u8]) -> Result<f64, Malformed> {
    let hundredths = || {
        let (whole, rest) = leading_number(word)?;
        let (decimals, rest) = leading_number(rest.strip_prefix(b".")?)?;
        let whole = u32::try_from(whole).ok()?;
        (rest.is_empty() && decimals < 100)
            .then(|| f64::from(whole) + f64::from(u8::try_from(decimals).unwrap_or(0)) / 100.0)
    };
    hundredths().ok_or_else(|| Malformed::new("a percentage such as `0.00`", word))
}
