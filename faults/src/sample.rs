//! From the calls that were counted to the trials.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use nix::errno::Errno;
use serde_json::Value;

use crate::calls;
use crate::fault::{How, Point, Who};
use crate::options::Options;

/// A call that a command makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Counted {
    pub(crate) who: Who,
    pub(crate) call: String,
    pub(crate) number: u32,
    pub(crate) makes: bool,
    pub(crate) object: String,
    /// The place in the code that makes it, if that was asked for and found.
    pub(crate) site: Option<String>,
}

impl Counted {
    pub(crate) fn read(value: &Value) -> Option<Self> {
        let at = |index: usize| value.get(index);
        Some(Self {
            who: Who::from_name(at(0)?.as_str()?)?,
            call: at(1)?.as_str()?.to_owned(),
            number: u32::try_from(at(2)?.as_u64()?).ok()?,
            makes: at(3)?.as_bool()?,
            object: at(4)?.as_str()?.to_owned(),
            site: at(5).and_then(Value::as_str).map(str::to_owned),
        })
    }

    /// What can happen to it, or by `any` what no kernel does.
    pub(crate) fn faults(&self, any: bool) -> Vec<How> {
        if any {
            // The descriptor has gone whatever close(2) answers: one that stays is the trial's own.
            let how = if self.call == "close" { How::AnswerLost } else { How::Fails };
            return [Errno::EIO, Errno::ENOMEM].map(how).to_vec();
        }
        let Some(call) = calls::by_name(&self.call) else {
            return vec![How::Fails(Errno::EIO), How::KilledBefore];
        };
        let mut all = How::all(call);
        if self.call == "futex" && self.object != WAIT {
            all.retain(|how| how.errno().is_none());
        }
        if self.object == COUNTER {
            all.retain(|how| how.errno().is_none());
        }
        if self.object.starts_with(PIPE) {
            all.retain(|how| !matches!(how, How::Fails(Errno::EIO | Errno::ENOSPC | Errno::EPERM)));
        }
        if !self.makes {
            all.retain(|how| !matches!(how, How::AnswerLost(_) | How::KilledAfter));
        }
        all
    }
}

/// The calls in the answer to `trace`.
pub(crate) fn read(answer: &Value) -> Result<Vec<Counted>> {
    let calls = answer.get("calls").and_then(Value::as_array).context("no calls")?;
    calls.iter().map(|call| Counted::read(call).with_context(|| format!("{call}"))).collect()
}

/// The object of a futex(2) that waits.
pub(crate) const WAIT: &str = "wait";

/// The object of a write(2) to an eventfd(2), which has nothing to fail with but that it would block.
pub(crate) const COUNTER: &str = "anon_inode:[eventfd]";

/// The object of what is done with a pipe: that wants no device and no room on a disk.
const PIPE: &str = "pipe:[";

/// How often the same call of the same object is tried: a loop that waits is not more than that.
pub(crate) const ALIKE: usize = 30;

/// All trials of a scene.
pub(crate) fn all(scene: &str, counted: &[Counted], options: &Options) -> Vec<Point> {
    let mut alike = BTreeMap::<_, usize>::new();
    let wanted = counted.iter().filter(|one| options.wants(one.who, &one.call)).filter(|one| {
        let times = alike.entry((one.who, &one.call, &one.object)).or_default();
        *times += 1;
        *times <= ALIKE
    });
    let of = |one: &Counted| {
        let faults: Vec<_> =
            one.faults(options.any).into_iter().filter(|how| options.wants_how(*how)).collect();
        faults.into_iter().map(|how| point(scene, one, how)).collect::<Vec<_>>()
    };
    wanted.flat_map(of).collect()
}

pub(crate) fn point(scene: &str, one: &Counted, how: How) -> Point {
    Point { scene: scene.to_owned(), who: one.who, number: one.number, call: one.call.clone(), how }
}

/// `count` of a scene's trials, evenly spread over its calls; each with one of its faults, in turn. Another `seed` has others, until all were had.
pub(crate) fn some(points: &[Point], count: usize, seed: usize) -> Vec<Point> {
    if points.len() <= count || count == 0 {
        return points.to_vec();
    }
    let shift = seed % points.len().div_ceil(count);
    let chosen = |index: usize| points.get((index * points.len() / count + shift) % points.len()).cloned();
    let mut all: Vec<_> = (0..count).filter_map(chosen).collect();
    all.dedup();
    all
}

/// How many trials each scene gets of `count`: by the square root of what it has, so that short commands are looked at too.
pub(crate) fn shares(sizes: &[usize], count: usize) -> Vec<usize> {
    let roots: Vec<_> = sizes.iter().map(|size| size.isqrt()).collect();
    let sum = roots.iter().sum::<usize>().max(1);
    roots.iter().map(|root| (root * count).div_ceil(sum)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn counted() -> Vec<Counted> {
        let answer = json!({"calls": [
            ["loader", "openat", 1, false, "/lib"], ["tool", "openat", 1, true, "/x"], ["tool", "openat", 2, false, "/z"],
            ["tool", "getpid", 1, true, ""], ["tool", "futex", 1, true, ""], ["tool", "futex", 2, true, "wait"], ["init", "mkdirat", 1, true, "/y"]
        ]});
        read(&answer).unwrap()
    }

    #[test]
    fn each_call_gets_what_can_happen_to_it() {
        let options = Options::default();
        let all: Vec<_> = all("run", &counted(), &options).iter().map(Point::to_string).collect();
        assert!(all.contains(&"run:tool:1:openat:LOST-EIO".to_owned()), "{all:?}");
        assert!(!all.contains(&"run:tool:2:openat:LOST-EIO".to_owned()), "{all:?}");
        assert!(all.contains(&"run:tool:1:getpid:KILL".to_owned()));
        assert!(all.contains(&"run:init:1:mkdirat:ENOSPC".to_owned()));
        assert!(!all.iter().any(|point| point.contains("loader")));
        let any = Options { any: true, call: Some("close".to_owned()), ..Options::default() };
        let pipe = read(&json!({"calls": [["tool", "write", 1, false, "pipe:[7]"]]})).unwrap();
        let pipe: Vec<_> = super::all("run", &pipe, &options).iter().map(Point::to_string).collect();
        assert_eq!(pipe, ["EINTR", "ENOMEM", "KILL"].map(|how| format!("run:tool:1:write:{how}")));
        let close = read(&json!({"calls": [["tool", "close", 1, false, "/x"]]})).unwrap();
        let close: Vec<_> = super::all("run", &close, &any).iter().map(Point::to_string).collect();
        assert_eq!(close, ["run:tool:1:close:LOST-EIO", "run:tool:1:close:LOST-ENOMEM"]);
        let futex: Vec<_> = all.iter().filter(|point| point.contains("futex")).collect();
        assert_eq!(futex, ["run:tool:1:futex:KILL", "run:tool:2:futex:EINTR", "run:tool:2:futex:KILL"]);
    }

    #[test]
    fn a_selection_is_spread_evenly() {
        let points = all("run", &counted(), &Options::default());
        let first = some(&points, 5, 0);
        assert_eq!(first.len(), 5);
        assert_eq!(first.first(), points.first());
        assert!(first.iter().any(|point| point.who == Who::Init));
        assert!(first.iter().all(|point| !some(&points, 5, 1).contains(point)));
        let had = |point: &Point| (0..points.len()).any(|seed| some(&points, 5, seed).contains(point));
        assert!(points.iter().all(had));
        assert_eq!(shares(&[10_000, 100], 110), [100, 10]);
    }

    #[test]
    fn damaged_answers_are_refused() {
        assert!(read(&json!({"calls": [["tool", "read"]]})).is_err());
        assert!(read(&json!({})).is_err());
    }
}
