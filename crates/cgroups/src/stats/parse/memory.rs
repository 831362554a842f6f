//! `memory`.

use crate::stats::list::{List, Named};
use crate::stats::memory::{Memory, NodeValue, NumaEntry};
use crate::stats::scan::{Malformed, Parsed, lines, number, pairs, split, words};

/// `memory.stat` of version 1. The `total_` lines are those of the group with all below it, which is what the limit is about.
pub(in crate::stats) fn stat_v1(text: &[u8], memory: &mut Memory) -> Parsed {
    memory.stat.parse(text)?;
    let stat = &memory.stat;
    let either = |total, own| stat.get(total).or_else(|| stat.get(own));
    memory.cache = either("total_cache", "cache");
    memory.rss = either("total_rss", "rss");
    memory.inactive_file = either("total_inactive_file", "inactive_file");
    memory.swap.usage = either("total_swap", "swap");
    Ok(())
}

/// `memory.stat` of version 2.
pub(in crate::stats) fn stat_v2(text: &[u8], memory: &mut Memory) -> Parsed {
    memory.stat.parse(text)?;
    for (name, value) in memory.stat.iter() {
        let value = Some(value);
        match name {
            "file" => memory.cache = value,
            "anon" => memory.rss = value,
            "inactive_file" => memory.inactive_file = value,
            "kernel" => memory.kernel.usage = value,
            "sock" => memory.kernel_tcp.usage = value,
            _ => {}
        }
    }
    Ok(())
}

/// `memory.oom_control` of version 1.
pub(in crate::stats) fn oom_control(text: &[u8], memory: &mut Memory) -> Parsed {
    pairs(text, |key, value| match key {
        b"oom_kill_disable" => memory.oom_kill_disable = Some(value != 0),
        b"under_oom" => memory.under_oom = Some(value != 0),
        b"oom_kill" => memory.events.oom_kill = Some(value),
        _ => {}
    })
}

/// `memory.events` of version 2. The count of hits at the limit is also version 1's `failcnt`.
pub(in crate::stats) fn events(text: &[u8], memory: &mut Memory) -> Parsed {
    let events = &mut memory.events;
    pairs(text, |key, value| match key {
        b"low" => events.low = Some(value),
        b"high" => events.high = Some(value),
        b"max" => events.max = Some(value),
        b"oom" => events.oom = Some(value),
        b"oom_kill" => events.oom_kill = Some(value),
        b"oom_group_kill" => events.oom_group_kill = Some(value),
        _ => {}
    })?;
    memory.total.failcnt = events.max;
    Ok(())
}

/// A file of events of which `max` counts how often the limit was hit.
pub(in crate::stats) fn hits(text: &[u8], field: &mut Option<u64>) -> Parsed {
    pairs(text, |key, value| {
        if key == b"max" {
            *field = Some(value);
        }
    })
}

/// `memory.numa_stat`: `anon N0=1 N1=2`; version 1 has `anon=3 N0=1 N1=2`, and counts pages of `unit` bytes.
pub(in crate::stats) fn numa(text: &[u8], unit: u64, numa: &mut List<NumaEntry>) -> Parsed {
    numa.clear();
    for line in lines(text) {
        let mut words = words(line);
        let head = words.next().unwrap_or_default();
        let (name, total) = match split(head, b'=') {
            Some((name, total)) => (name, Some(number(total)?.saturating_mul(unit))),
            None => (head, None),
        };
        // No search for the name: the kernel shows each once, and there are many.
        let entry = NumaEntry::next_of(numa, name)?;
        entry.total = total;
        for word in words {
            entry.nodes.push(node(word, unit)?);
        }
    }
    Ok(())
}

fn node(word: &[u8], unit: u64) -> Result<NodeValue, Malformed> {
    let parsed = || {
        let (node, value) = split(word.strip_prefix(b"N")?, b'=')?;
        let node = u32::try_from(number(node).ok()?).ok()?;
        Some(NodeValue { node, value: number(value).ok()?.saturating_mul(unit) })
    };
    parsed().ok_or_else(|| Malformed::new("`N<node>=<number>`", word))
}
