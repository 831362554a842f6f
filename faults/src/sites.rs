//! Each place in the code that makes a system call, tried once: loops and commands that share code make most of the calls at the same places.

use std::collections::{BTreeMap, BTreeSet};

use crate::fault::{How, Point, Who};
use crate::options::Options;
use crate::report::Trial;
use crate::sample::{ALIKE, Counted, point};
use crate::stack::innermost;

/// What a place is known by: who makes which call there, whether it makes something, and the functions on the stack.
type Key = (Who, String, bool, String);

/// A call of a command.
type Call<'a> = (&'a str, &'a Counted);

/// The places of all commands.
#[derive(Debug)]
pub(crate) struct Sites<'a> {
    /// With the calls that come from there.
    all: Vec<(Key, Vec<Call<'a>>)>,
    /// Calls of which that is not known: each is a place of its own.
    unknown: usize,
    /// How many calls each command makes.
    lengths: BTreeMap<&'a str, usize>,
    options: &'a Options,
}

/// A trial, and what it is to have done to which place.
#[derive(Clone, Debug)]
pub(crate) struct Aim {
    pub(crate) point: Point,
    site: usize,
    done: String,
}

/// What was done to which places.
#[derive(Debug, Default)]
pub(crate) struct Done(BTreeSet<(usize, String)>);

impl<'a> Sites<'a> {
    pub(crate) fn of(scenes: &'a [(&'static str, Vec<Counted>)], options: &'a Options) -> Self {
        let (mut all, mut unknown) = (BTreeMap::<Key, Vec<Call<'a>>>::new(), 0);
        for (scene, counted) in scenes {
            let mut alike = BTreeMap::<_, usize>::new();
            for call in counted.iter().filter(|call| options.wants(call.who, &call.call) && !is_check(call)) {
                if call.site.is_none() {
                    let times = alike.entry((call.who, &call.call, &call.object)).or_default();
                    *times += 1;
                    if *times > ALIKE {
                        continue;
                    }
                    unknown += 1;
                }
                all.entry(key(scene, call, options.depth)).or_default().push((scene, call));
            }
        }
        let lengths = scenes.iter().map(|(scene, counted)| (*scene, counted.len())).collect();
        Self { all: all.into_iter().collect(), unknown, lengths, options }
    }

    /// How many there are.
    pub(crate) fn size(&self) -> String {
        format!("{} places, {} of them calls of which that is not known", self.all.len(), self.unknown)
    }

    /// What is still to be done; each round by other calls of the place, in other commands.
    pub(crate) fn aims(&self, done: &Done, round: usize) -> Vec<Aim> {
        let mut all: Vec<_> = self
            .all
            .iter()
            .enumerate()
            .flat_map(|(site, (key, calls))| {
                let drawn = self.drawn(key);
                let Some((scene, call)) = self.chosen(calls, drawn, round) else { return Vec::new() };
                let hows = self.hows(call, drawn).into_iter();
                let aim = |(done, how)| Aim { point: point(scene, call, how), site, done };
                hows.map(aim).filter(|aim| !done.0.contains(&(aim.site, aim.done.clone()))).collect()
            })
            .collect();
        all.sort_by_cached_key(|aim| aim.point.place());
        all
    }

    /// A call of the place: of another command for another number. Commands that make many times more calls than others that come there are left to the places
    /// that are theirs alone.
    fn chosen(&self, calls: &[Call<'a>], drawn: usize, round: usize) -> Option<Call<'a>> {
        const LONGER: usize = 4;
        let length = |scene: &str| self.lengths.get(scene).copied().unwrap_or(0);
        let shortest = calls.iter().map(|(scene, _)| length(scene)).min()?;
        let near = |scene: &&str| length(scene) <= LONGER * shortest;
        let scenes: BTreeSet<_> = calls.iter().map(|(scene, _)| *scene).filter(near).collect();
        let scene = scenes.iter().nth(drawn.wrapping_add(round) % scenes.len().max(1))?;
        let calls: Vec<_> = calls.iter().filter(|(other, _)| other == scene).collect();
        calls.get((drawn / scenes.len()).wrapping_add(round) % calls.len()).map(|call| **call)
    }

    /// A number that is another for each place, and the same each time.
    fn drawn(&self, key: &Key) -> usize {
        let text = format!("{} {} {} {}", key.0.name(), key.1, key.2, key.3);
        hash(&text).wrapping_add(self.options.seed)
    }

    /// What can happen to a call, with what that is to its place: an error is as good as another, unless all are wanted.
    fn hows(&self, call: &Counted, drawn: usize) -> Vec<(String, How)> {
        let faults = call.faults(self.options.any);
        let all: Vec<_> = faults.into_iter().filter(|how| self.options.wants_how(*how)).collect();
        if self.options.all {
            return all.into_iter().map(|how| (how.to_string(), how)).collect();
        }
        let mut kinds = BTreeMap::<_, Vec<How>>::new();
        for how in all {
            kinds.entry(kind(how)).or_default().push(how);
        }
        let one = |(kind, hows): (&str, Vec<How>)| Some((kind.to_owned(), *hows.get(drawn % hows.len())?));
        kinds.into_iter().filter_map(one).collect()
    }

    /// Notes what has come where it was to come.
    pub(crate) fn note(&self, aims: &[Aim], trials: &[Trial], done: &mut Done) {
        let came: BTreeMap<_, _> = trials
            .iter()
            .filter(|trial| trial.came())
            .map(|trial| (trial.point.place(), &trial.site))
            .collect();
        for aim in aims {
            let Some(found) = came.get(&aim.point.place()) else { continue };
            let wanted = self.all.get(aim.site).map(|((.., site), _)| site);
            let same = |found: &String| Some(&innermost(found, self.options.depth)) == wanted;
            if found.as_ref().is_none_or(same) {
                done.0.insert((aim.site, aim.done.clone()));
            }
        }
    }

    /// How many places had what done to them, of those that can have.
    pub(crate) fn told(&self, done: &Done) -> String {
        let places = self.size() + "\n";
        let mut counts = BTreeMap::<_, (usize, usize)>::new();
        for (site, (key, calls)) in self.all.iter().enumerate() {
            let drawn = self.drawn(key);
            let hows = self.chosen(calls, drawn, 0).map(|(_, call)| self.hows(call, drawn));
            for (kind, _) in hows.into_iter().flatten() {
                let (had, of) = counts.entry(kind.clone()).or_default();
                *had += usize::from(done.0.contains(&(site, kind)));
                *of += 1;
            }
        }
        let lines = counts.into_iter().map(|(kind, (had, of))| format!("{kind}: {had} of {of} places\n"));
        [places].into_iter().chain(lines).collect()
    }
}

/// What a fault is to a place.
fn kind(how: How) -> &'static str {
    match how {
        How::Fails(_) => "refused",
        How::AnswerLost(_) | How::KilledAfter => "done, and not told",
        How::KilledBefore => "killed",
        How::Skipped => "skipped",
    }
}

/// Whether the standard library asks if a descriptor is open before it closes it: it does so in debug builds alone.
fn is_check(call: &Counted) -> bool {
    call.site.as_ref().is_some_and(|site| site.contains("debug_assert_fd_is_open"))
}

fn key(scene: &str, call: &Counted, depth: usize) -> Key {
    let site = match &call.site {
        Some(site) => innermost(site, depth),
        None => format!("{scene} {}", call.number),
    };
    (call.who, call.call.clone(), call.makes, site)
}

/// FNV-1a.
fn hash(text: &str) -> usize {
    let mixed = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    // The lowest bits are the least mixed.
    usize::try_from(text.bytes().fold(0x811c_9dc5, mixed) >> 4).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use serde_json::{Value, json};

    fn call(call: &str, number: u32, makes: bool, site: &Value) -> Value {
        json!(["tool", call, number, makes, "/x", site])
    }

    fn scenes() -> Vec<(&'static str, Vec<Counted>)> {
        let read = |calls: &[Value]| sample::read(&json!({"calls": calls})).unwrap();
        let shared = json!("read < libcontainer::a::f+0x1 < libcontainer::b::g+0x2 < nsinit::run+0x3");
        let elsewhere = json!("read < libcontainer::a::f+0x1 < libcontainer::c::g+0x2 < nsinit::run+0x3");
        let looped: Vec<_> = (1..=5).map(|number| call("read", number, false, &shared)).collect();
        let unknown = (1..=2).map(|number| call("getpid", number, false, &Value::Null));
        let made = call("mkdirat", 1, true, &elsewhere);
        vec![
            ("run", read(&[looped.as_slice(), &[made]].concat())),
            ("exec", read(&[call("read", 1, false, &shared), call("read", 2, false, &elsewhere)])),
            ("kill", read(&unknown.collect::<Vec<_>>())),
        ]
    }

    fn trials(aims: &[Aim], site: impl Fn(&Aim) -> Value) -> Vec<Trial> {
        let trial = |aim: &Aim| Trial::read(aim.point.clone(), &json!({"hit": true, "site": site(aim)}));
        aims.iter().map(trial).collect()
    }

    #[test]
    fn a_loop_and_two_commands_are_one_place_and_another_caller_is_another() {
        let (scenes, options) = (scenes(), Options { depth: 2, ..Options::default() });
        let sites = Sites::of(&scenes, &options);
        // Two of read, one of mkdirat, and two of which nothing is known.
        assert_eq!((sites.all.len(), sites.unknown), (5, 2));
        let aims: Vec<_> = sites.aims(&Done::default(), 0).iter().map(|aim| aim.point.clone()).collect();
        let of = |call: &str| aims.iter().filter(|point| point.call == call).collect::<Vec<_>>();
        assert_eq!((of("read").len(), of("mkdirat").len(), of("getpid").len()), (4, 3, 2), "{aims:?}");
        let shallow = Options { depth: 1, ..Options::default() };
        assert_eq!(Sites::of(&scenes, &shallow).all.len(), 4);
        let all = Options { depth: 2, all: true, ..Options::default() };
        let errors = Sites::of(&scenes, &all).aims(&Done::default(), 0).len();
        assert!(errors > aims.len(), "{errors}");
    }

    #[test]
    fn another_seed_has_other_errors_and_other_commands() {
        let scenes = scenes();
        let points = |seed| {
            let options = Options { depth: 2, seed, call: Some("read".to_owned()), ..Options::default() };
            let aims = Sites::of(&scenes, &options).aims(&Done::default(), 0);
            aims.into_iter().map(|aim| aim.point.to_string()).collect::<BTreeSet<_>>()
        };
        let all: BTreeSet<_> = (0..12).flat_map(points).collect();
        for wanted in ["run:tool", "exec:tool:1", "exec:tool:2", ":EIO", ":EINTR", ":ENOMEM"] {
            assert!(all.iter().any(|point| point.contains(wanted)), "{wanted}: {all:?}");
        }
        assert_eq!(points(3), points(3));
    }

    #[test]
    fn what_came_elsewhere_is_still_to_be_done_and_told() {
        let (scenes, options) = (scenes(), Options { depth: 2, ..Options::default() });
        let (sites, mut done) = (Sites::of(&scenes, &options), Done::default());
        let aims = sites.aims(&done, 0);
        sites.note(&aims, &trials(&aims, |_| json!("read < libcontainer::z::f+0x1")), &mut done);
        // Only where nothing is known.
        assert_eq!(sites.aims(&done, 1).len(), aims.len());
        let there = |aim: &Aim| json!(sites.all.get(aim.site).map(|((.., site), _)| site));
        sites.note(&aims, &trials(&aims, there), &mut done);
        assert!(sites.aims(&done, 1).is_empty());
        let told = sites.told(&done);
        assert!(told.contains("killed: 5 of 5 places") && told.contains("refused: 3 of 3"), "{told}");
        assert!(sites.told(&Done::default()).contains("killed: 0 of 5 places"));
    }
}
