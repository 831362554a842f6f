//! The device filter of version 1: `devices.allow`, `devices.deny` and `devices.list`.
//!
//! The kernel keeps a default (allow or deny) and a list of exceptions to it (`security/device_cgroup.c`). It matches
//! exceptions by their text: taking `c 1:3 r` out of `c 1:* rwm` does nothing and reports success. So the rules are
//! played through here first, and what the kernel could not hold is refused.

use std::collections::BTreeMap;
use std::fmt;

use super::rules::{Access, Kind, MAJOR_MAX, MINOR_MAX, Rule, star, validate};
use crate::dir::Dir;
use crate::error::{Error, Result};

/// Kind, major and minor: what the kernel compares exceptions by.
type Key = (Kind, Option<u32>, Option<u32>);

/// What the filter of one group holds: the default, and the exceptions to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    default_allow: bool,
    exceptions: BTreeMap<Key, Access>,
    hidden: bool,
}

/// One write of a [`Transition`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// True for `devices.allow`, false for `devices.deny`.
    pub allow: bool,
    /// The text, such as `c 1:3 rwm` or `a`.
    pub text: String,
}

impl Write {
    fn file(&self) -> &'static str {
        if self.allow { "devices.allow" } else { "devices.deny" }
    }
}

/// A moment during a [`Transition`] in which the filter is not between the old and the new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gap {
    /// Everything is denied for a moment.
    Denies,
    /// Everything that the parent group has is allowed for a moment.
    Allows,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Denies => "denied",
            Self::Allows => "allowed",
        })
    }
}

/// What [`set`] does about a [`Gap`] in a group that has processes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnGap {
    /// Refuse the change before the first write.
    Refuse,
    /// Go on: the group is frozen, or its processes are not let loose yet.
    Accept,
}

/// The writes that lead from one state to another, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    writes: Vec<Write>,
    gap: Option<Gap>,
}

impl State {
    /// Plays `rules` through: later rules win, nothing is allowed at the start.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a rule that [`validate`] refuses, and for one that would cut a hole into a wildcard exception.
    pub fn from_rules(rules: &[Rule]) -> Result<Self> {
        validate(rules)?;
        let mut state = Self { default_allow: false, exceptions: BTreeMap::new(), hidden: false };
        for rule in rules {
            if rule.is_everything() {
                state.default_allow = rule.allow;
                state.exceptions.clear();
                continue;
            }
            let kinds = [Kind::Char, Kind::Block];
            for kind in kinds.into_iter().filter(|kind| rule.kind == Kind::All || rule.kind == *kind) {
                state.play(&Rule { kind, ..*rule })?;
            }
        }
        state.widen();
        Ok(state)
    }

    /// Reads the text of `devices.list`.
    ///
    /// A group that allows by default shows only `a *:* rwm`: its exceptions are not known then.
    ///
    /// # Errors
    /// [`Error::Invalid`] with the line that isn't understood.
    pub fn from_list(text: &str) -> Result<Self> {
        let mut state = Self { default_allow: false, exceptions: BTreeMap::new(), hidden: false };
        for line in text.lines().filter(|line| !line.trim().is_empty()) {
            let (key, access) = parse_line(line)
                .ok_or_else(|| Error::invalid("devices.list", format!("line {line:?} is no exception")))?;
            if key.0 == Kind::All {
                state.default_allow = true;
                state.hidden = true;
            } else {
                *state.exceptions.entry(key).or_insert(Access::empty()) |= access;
            }
        }
        Ok(state)
    }

    /// True when devices that no exception names are allowed.
    #[must_use]
    pub fn allows_by_default(&self) -> bool {
        self.default_allow
    }

    /// What the kernel would answer for one device, `kind` being `Char` or `Block`.
    #[must_use]
    pub fn allows(&self, kind: Kind, major: u32, minor: u32, access: Access) -> bool {
        let mut about = self.exceptions.iter().filter(|((own, ma, mi), _)| {
            *own == kind && ma.is_none_or(|ma| ma == major) && mi.is_none_or(|mi| mi == minor)
        });
        if self.default_allow {
            !about.any(|(_, denied)| denied.intersects(access))
        } else {
            // KERNEL: one exception must hold all that is asked for.
            about.any(|(_, allowed)| allowed.contains(access))
        }
    }

    fn play(&mut self, rule: &Rule) -> Result<()> {
        let key = (rule.kind, rule.major, rule.minor);
        if rule.allow == self.default_allow {
            return self.take_out(key, rule);
        }
        *self.exceptions.entry(key).or_insert(Access::empty()) |= rule.access;
        Ok(())
    }

    fn take_out(&mut self, key: Key, rule: &Rule) -> Result<()> {
        let hole = self.exceptions.iter().find(|(own, access)| {
            overlaps(**own, key) && !covers(key, **own) && access.intersects(rule.access)
        });
        if let Some((own, access)) = hole {
            let problem = format!(
                "rule \"{rule}\" would cut a hole into \"{}\", which devices of cgroup v1 can't hold",
                line(*own, *access)
            );
            return Err(Error::invalid("linux.resources.devices", problem));
        }
        self.exceptions.retain(|own, access| {
            if covers(key, *own) {
                access.remove(rule.access);
            }
            !access.is_empty()
        });
        Ok(())
    }

    /// Adds an exception where `c 1:* r` and `c *:3 w` meet: neither alone allows both to `c 1:3`.
    fn cross(&mut self) {
        let majors =
            self.exceptions.iter().filter(|((_, major, minor), _)| major.is_some() && minor.is_none());
        let minors =
            self.exceptions.iter().filter(|((_, major, minor), _)| major.is_none() && minor.is_some());
        let mut met = BTreeMap::new();
        for ((kind, major, _), one) in majors {
            for ((_, _, minor), other) in minors.clone().filter(|((own, _, _), _)| own == kind) {
                if !one.contains(*other) && !other.contains(*one) {
                    met.insert((*kind, *major, *minor), *one | *other);
                }
            }
        }
        for (key, access) in met {
            *self.exceptions.entry(key).or_insert(Access::empty()) |= access;
        }
    }

    /// Gives each exception the access of the wider ones around it: the kernel asks that one exception allows all at once.
    fn widen(&mut self) {
        if self.default_allow {
            return;
        }
        self.cross();
        let all = self.exceptions.clone();
        for (key, access) in &mut self.exceptions {
            for (_, wider) in all.iter().filter(|(wide, _)| covers(**wide, *key)) {
                *access |= *wider;
            }
        }
    }
}

impl Transition {
    /// Plans the fewest writes from `old` to `new`.
    ///
    /// Within one default, exceptions are added before others are removed (the other way round under "allow"), so that each
    /// single access is at all times allowed if both states allow it, and denied if both deny it.
    /// A change of the default goes over `a`, which has a [`Gap`] unless nothing is to be added after it.
    #[must_use]
    pub fn plan(old: &State, new: &State) -> Self {
        let unknown = old.hidden || new.hidden;
        if old.default_allow != new.default_allow || (unknown && old != new) {
            return Self::reset(new);
        }
        if old.hidden && new.exceptions.is_empty() {
            return Self { writes: Vec::new(), gap: None };
        }
        let difference = |from: &State, to: &State, allow| {
            let gained = from.exceptions.iter().filter_map(move |(key, access)| {
                let rest = *access - to.exceptions.get(key).copied().unwrap_or(Access::empty());
                (!rest.is_empty()).then(|| Write { allow, text: line(*key, rest) })
            });
            gained.collect::<Vec<_>>()
        };
        // ORDER: additions first; see above.
        let mut writes = difference(new, old, !new.default_allow);
        writes.extend(difference(old, new, new.default_allow));
        Self { writes, gap: None }
    }

    fn reset(new: &State) -> Self {
        let mut writes = vec![Write { allow: new.default_allow, text: "a".to_owned() }];
        let exceptions = new.exceptions.iter();
        writes.extend(
            exceptions.map(|(key, access)| Write { allow: !new.default_allow, text: line(*key, *access) }),
        );
        let gap = match (writes.len(), new.default_allow) {
            (1, _) => None,
            (_, true) => Some(Gap::Allows),
            (_, false) => Some(Gap::Denies),
        };
        Self { writes, gap }
    }

    /// The writes, in their order.
    #[must_use]
    pub fn writes(&self) -> &[Write] {
        &self.writes
    }

    /// Whether the way leads over a moment in which the group must not run.
    #[must_use]
    pub fn gap(&self) -> Option<Gap> {
        self.gap
    }

    /// Does the writes in the group `group`. When one is refused, those before it are taken back as far as that is
    /// possible: not over `a`.
    ///
    /// # Errors
    /// [`Error::Write`]: EPERM when the parent group doesn't allow it, EINVAL for `a` in a group that has groups below.
    pub fn apply(&self, group: &Dir) -> Result<()> {
        // Opened once: a filter is a dozen lines.
        let (mut allow, mut deny) = (None, None);
        for (index, write) in self.writes.iter().enumerate() {
            let open = if write.allow { &mut allow } else { &mut deny };
            if let Err(error) = group.write_again(open, write.file(), &write.text) {
                let done = index + usize::from(error.is_uncertain());
                return Err(hinted(error, write).with_left(self.take_back(group, done)));
            }
        }
        Ok(())
    }

    /// Does the opposite of the first `done` writes, the last first. What fails once is tried again; returns what fails then.
    fn take_back(&self, group: &Dir, done: usize) -> Vec<Error> {
        let done = self.writes.iter().take(done).rev().filter(|done| done.text != "a");
        let back = done.map(|done| Write { allow: !done.allow, text: done.text.clone() });
        let left = back.filter_map(|back| {
            let again = |_| group.write(back.file(), &back.text);
            group.write(back.file(), &back.text).or_else(again).err()
        });
        left.collect()
    }
}

/// Brings the filter of `group` (below the mount of the `devices` hierarchy) to `rules`, from whatever `devices.list` shows.
///
/// # Errors
/// [`Error::Invalid`] for rules that version 1 can't hold, or for a [`Gap`] with [`OnGap::Refuse`] while the group has
/// processes; [`Error::Read`]; [`Error::Write`] as in [`Transition::apply`].
pub fn set(group: &Dir, rules: &[Rule], on_gap: OnGap) -> Result<Transition> {
    let new = State::from_rules(rules)?;
    let old = State::from_list(&group.read("devices.list")?)?;
    let transition = Transition::plan(&old, &new);
    if let (Some(gap), OnGap::Refuse) = (transition.gap, on_gap) {
        if !group.read("cgroup.procs")?.is_empty() {
            let problem =
                format!("everything would be {gap} for a moment while the group runs; freeze it first");
            return Err(Error::invalid("linux.resources.devices", problem));
        }
    }
    match transition.apply(group) {
        Err(cause) if transition.gap.is_some() => restore(group, &old, cause).map(|()| transition),
        applied => applied.map(|()| transition),
    }
}

/// Goes back to `old` over `a`, as far as the kernel has shown it, and says why.
fn restore(group: &Dir, old: &State, cause: Error) -> Result<()> {
    // What can't be read is not known to be as it was: it is set again.
    if group.read("devices.list").and_then(|text| State::from_list(&text)).is_ok_and(|now| now == *old) {
        return Err(cause);
    }
    // A new group, which is no worse than it was.
    if old.hidden && matches!(group.read("cgroup.procs"), Ok(processes) if processes.is_empty()) {
        return Err(cause);
    }
    if old.hidden {
        let problem = "the filter before had exceptions that the kernel doesn't show";
        let left =
            vec![Error::Content { path: group.path().join("devices.list"), problem: problem.to_owned() }];
        return Err(Error::NotRolledBack { cause: Box::new(cause), left });
    }
    match Transition::reset(old).apply(group) {
        Ok(()) => Err(cause),
        Err(left) => Err(Error::NotRolledBack { cause: Box::new(cause), left: vec![left] }),
    }
}

fn hinted(error: Error, write: &Write) -> Error {
    let hint = match error.errno() {
        Some(libc::EPERM) if write.allow => "; the group above does not allow it",
        Some(libc::EINVAL) if write.text == "a" => "; not while the group has groups below it",
        _ => "",
    };
    match error {
        Error::Write { path, value, source, .. } => {
            Error::Write { path, value, source, hint: hint.to_owned() }
        }
        other => other,
    }
}

fn covers(wide: Key, narrow: Key) -> bool {
    wide.0 == narrow.0 && (wide.1.is_none() || wide.1 == narrow.1) && (wide.2.is_none() || wide.2 == narrow.2)
}

fn overlaps(a: Key, b: Key) -> bool {
    let meet = |a: Option<u32>, b: Option<u32>| a.is_none() || b.is_none() || a == b;
    a.0 == b.0 && meet(a.1, b.1) && meet(a.2, b.2)
}

fn line((kind, major, minor): Key, access: Access) -> String {
    format!("{} {}:{} {access}", kind.letter(), star(major), star(minor))
}

fn parse_line(line: &str) -> Option<(Key, Access)> {
    let mut words = line.split_ascii_whitespace();
    let (kind, numbers, access) = (words.next()?, words.next()?, words.next()?);
    let (major, minor) = numbers.split_once(':')?;
    let number = |text: &str, max| match text {
        "*" => Some(None),
        text => text.parse().ok().filter(|value| *value <= max).map(Some),
    };
    let key = (Kind::parse(kind).ok()?, number(major, MAJOR_MAX)?, number(minor, MINOR_MAX)?);
    words.next().is_none().then_some((key, Access::parse(access).ok()?))
}
