//! The unified map (files of version 2 and their values) to properties. Pure.

use std::collections::BTreeMap;

use super::processor::{cpuset, idles, quota};
use super::property::{INFINITY, List, Target};
use super::value::Value;
use crate::error::{Error, Result};

/// Files whose value is one number or `max`, and their properties.
const AMOUNTS: [(&str, &str, u32); 8] = [
    ("memory.high", "MemoryHigh", 0),
    ("memory.low", "MemoryLow", 0),
    ("memory.max", "MemoryMax", 0),
    ("memory.min", "MemoryMin", 0),
    ("memory.swap.max", "MemorySwapMax", 0),
    ("memory.zswap.max", "MemoryZSwapMax", 253),
    ("pids.max", "TasksMax", 0),
    ("cpu.weight", "CPUWeight", 0),
];

/// Sets the properties that the map's files have; other files have none and are written as they are.
pub(super) fn unified_properties(
    list: &mut List,
    unified: &BTreeMap<String, String>,
    target: &Target,
) -> Result<()> {
    let idle = idles(unified.get("cpu.idle").is_some_and(|value| value.trim() == "1"), target);
    for (file, value) in unified {
        let value = value.trim();
        check(file)?;
        let field = format!("unified[{file}]");
        match file.as_str() {
            "cpu.max" => cpu_max(list, &field, value, target)?,
            "cpu.idle" if idle => list.set("CPUWeight", Value::U64(0)),
            "cpu.weight" if idle => {}
            "cpuset.cpus" => cpuset(list, "AllowedCPUs", Some(value), &field, target)?,
            "cpuset.mems" => cpuset(list, "AllowedMemoryNodes", Some(value), &field, target)?,
            "io.weight" => io_weight(list, &field, value)?,
            _ => amount(list, file, &field, value, target)?,
        }
    }
    Ok(())
}

/// Control files are named `controller.parameter`.
fn check(file: &str) -> Result<()> {
    let sound =
        file.split_once('.').is_some_and(|(controller, rest)| !controller.is_empty() && !rest.is_empty());
    match sound && !file.contains(['/', '\0']) {
        true => Ok(()),
        false => Err(Error::invalid("unified", format!("{file:?} is not of the form controller.parameter"))),
    }
}

fn amount(list: &mut List, file: &str, field: &str, value: &str, target: &Target) -> Result<()> {
    let Some((_, name, since)) = AMOUNTS.iter().find(|(own, _, _)| *own == file) else { return Ok(()) };
    let value = match value {
        "max" if file != "cpu.weight" => INFINITY,
        _ => number(field, value)?,
    };
    if target.systemd >= *since {
        list.set(name, Value::U64(value));
    }
    Ok(())
}

fn cpu_max(list: &mut List, field: &str, value: &str, target: &Target) -> Result<()> {
    let mut words = value.split_ascii_whitespace();
    let (amount, period) = match (words.next(), words.next(), words.next()) {
        (Some(amount), period, None) => (amount, period),
        _ => return Err(Error::invalid(field, format!("{value:?} is not of the form \"quota period\""))),
    };
    let amount = if amount == "max" { INFINITY } else { number(field, amount)? };
    let period = period.map(|period| number(field, period)).transpose()?;
    if amount == 0 || period == Some(0) {
        return Err(Error::invalid(field, format!("{value:?}: zero microseconds")));
    }
    quota(list, Some(amount), period, target)
}

/// `100` or `default 100`; weights of single devices have no property here.
fn io_weight(list: &mut List, field: &str, value: &str) -> Result<()> {
    let value = value.strip_prefix("default ").unwrap_or(value).trim();
    if !value.contains(':') {
        list.set("IOWeight", Value::U64(number(field, value)?));
    }
    Ok(())
}

fn number(field: &str, value: &str) -> Result<u64> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    let number = digits.then(|| value.parse().ok()).flatten();
    number.ok_or_else(|| Error::invalid(field, format!("{value:?} is no number")))
}
