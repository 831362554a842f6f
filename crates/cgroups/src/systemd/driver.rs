//! The manager's methods that a container needs.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use nix::unistd::Pid;

use super::address::{Environment, Which};
use super::bus::{Answer, Bus, Refusal, failed};
use super::job::{Job, Outcome};
use super::property::Property;
use super::unit::Unit;
use super::value::Value;
use super::wire::Message;
use crate::error::{Error, Result};

const PEER: &str = "org.freedesktop.systemd1";
const PATH: &str = "/org/freedesktop/systemd1";
const INTERFACE: &str = "org.freedesktop.systemd1.Manager";
const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',interface='org.freedesktop.systemd1.Manager',\
     member='JobRemoved',path='/org/freedesktop/systemd1'";
const NO_SUCH_PROPERTY: &str = "org.freedesktop.DBus.Error.UnknownProperty";
const NO_SUCH_UNIT: &str = "org.freedesktop.systemd1.NoSuchUnit";

/// A connection to systemd. After an error of the connection it is of no more use: connect anew.
#[derive(Debug)]
pub struct Manager {
    bus: Bus,
    patience: Duration,
    listens: bool,
}

impl Manager {
    /// Connects to the system's or the user's manager. `patience` bounds this and each later request, its job included;
    /// 30 seconds are a good choice.
    ///
    /// # Errors
    /// [`Error::Systemd`] when no bus answers.
    pub fn connect(which: Which, patience: Duration) -> Result<Self> {
        Self::connect_in(&Environment::current(), which, patience)
    }

    /// [`Self::connect`] with another environment than that of this process.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub fn connect_in(environment: &Environment, which: Which, patience: Duration) -> Result<Self> {
        Ok(Self::over(Bus::connect_in(environment, which, end(patience))?, patience))
    }

    /// Speaks to systemd over a connection that stands.
    #[must_use]
    pub fn over(bus: Bus, patience: Duration) -> Self {
        Self { bus, patience, listens: false }
    }

    /// systemd's version: 257 for `257.9-1~deb13u1` and `v257`.
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub fn version(&mut self) -> Result<u32> {
        let text = self.text_property(PATH, INTERFACE, "Version")?;
        let digits = text.trim_start_matches('v').split(|letter: char| !letter.is_ascii_digit()).next();
        digits
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| failed("Version", format!("{text:?} has no number in front")))
    }

    /// The group of the manager itself, relative to the root of the hierarchy: all its units are below it. Empty for the system's manager.
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub fn root(&mut self) -> Result<PathBuf> {
        self.text_property(PATH, INTERFACE, "ControlGroup").map(|group| relative(&group))
    }

    /// The group of a unit, relative to the root of the hierarchy. None when systemd doesn't have the unit, or it has no group (yet, or any more).
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub fn group(&mut self, unit: &Unit) -> Result<Option<PathBuf>> {
        let Some(path) = self.object(unit)? else { return Ok(None) };
        let group = self.text_property(&path, unit.interface(), "ControlGroup")?;
        Ok(Some(relative(&group)).filter(|group| !group.as_os_str().is_empty()))
    }

    /// Starts a transient unit (`StartTransientUnit`) and waits until systemd is done with it.
    ///
    /// A unit of this name that failed earlier is forgotten first. A slice that exists already is left as it is: false is the answer then.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words, or how the job ended; [`Error::Timeout`]: the unit may come yet, so [`Self::stop`] it.
    pub fn start(&mut self, unit: &Unit, properties: &[Property]) -> Result<bool> {
        const CALL: &str = "StartTransientUnit";
        let deadline = self.deadline();
        self.listen(deadline)?;
        let none = Value::Array(super::value::Array::new("(sa(sv))", Vec::new())?);
        let arguments = [named(unit), replace(), Property::list(properties), none];
        let mut answer = self.ask(CALL, &arguments, deadline)?;
        if exists(&answer) {
            if unit.is_slice() {
                return Ok(false);
            }
            // A failed unit of before keeps its name until it's reset. One that runs stays, and the second try says so.
            drop(self.ask("ResetFailedUnit", &[named(unit)], deadline)?);
            answer = self.ask(CALL, &arguments, deadline)?;
        }
        match self.outcome(&answer.or_refuse(CALL)?, CALL, unit, deadline)? {
            Outcome::Done => Ok(true),
            other => {
                // The job's end is what to tell, not that of the cleaning.
                drop(self.reset_failed(unit));
                Err(failed(CALL, format!("{unit}: {other}")))
            }
        }
    }

    /// Sets properties of a unit that runs, until it ends (`SetUnitProperties`, runtime). systemd takes all of them or none;
    /// when this returns it has written them to the control files.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn set(&mut self, unit: &Unit, properties: &[Property]) -> Result<()> {
        const CALL: &str = "SetUnitProperties";
        let arguments = [named(unit), Value::Bool(true), Property::list(properties)];
        self.ask(CALL, &arguments, self.deadline())?.or_refuse(CALL)?;
        // ORDER: systemd answers first and writes its control files before it looks at the next request: what the caller writes to
        // them then is not overwritten.
        self.version().map(drop)
    }

    /// Moves processes into the unit, or into a group below it (`AttachProcessesToUnit`): what a user without rights on the hierarchy can have done.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn attach(&mut self, unit: &Unit, below: &str, pids: &[Pid]) -> Result<()> {
        const CALL: &str = "AttachProcessesToUnit";
        let number = |pid: &Pid| {
            let number = u32::try_from(pid.as_raw()).ok().filter(|number| *number != 0);
            number.ok_or_else(|| Error::invalid("pid", format!("{pid} is no process")))
        };
        let pids: Vec<u32> = pids.iter().map(number).collect::<Result<_>>()?;
        let arguments = [named(unit), Value::Text(below.to_owned()), Value::numbers(&pids)];
        self.ask(CALL, &arguments, self.deadline())?.or_refuse(CALL).map(drop)
    }

    /// Stops a unit (`StopUnit`: its processes are killed), waits until that is done, and lets systemd forget it.
    /// Says whether there was one.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words, or how the job ended; [`Error::Timeout`].
    pub fn stop(&mut self, unit: &Unit) -> Result<bool> {
        const CALL: &str = "StopUnit";
        let deadline = self.deadline();
        self.listen(deadline)?;
        let answer = match self.ask(CALL, &[named(unit), replace()], deadline)? {
            Answer::Refused(refusal) if refusal.name == NO_SUCH_UNIT => return Ok(false),
            answer => answer.or_refuse(CALL)?,
        };
        let outcome = self.outcome(&answer, CALL, unit, deadline)?;
        self.reset_failed(unit)?;
        // RACE: the unit may have ended by itself, which ends the job in other ways too. What counts is that no group is left.
        match outcome {
            Outcome::Done => Ok(true),
            _ if self.group(unit)?.is_none() => Ok(true),
            other => Err(failed(CALL, format!("{unit}: {other}"))),
        }
    }

    /// Lets systemd forget that a unit failed (`ResetFailedUnit`), so that its name is free. No such unit is fine.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn reset_failed(&mut self, unit: &Unit) -> Result<()> {
        const CALL: &str = "ResetFailedUnit";
        match self.ask(CALL, &[named(unit)], self.deadline())? {
            Answer::Refused(refusal) if refusal.name == NO_SUCH_UNIT => Ok(()),
            answer => answer.or_refuse(CALL).map(drop),
        }
    }

    /// The `Description` of a unit; None when systemd doesn't have the unit.
    ///
    /// # Errors
    /// [`Error::Systemd`].
    pub fn description(&mut self, unit: &Unit) -> Result<Option<String>> {
        let Some(path) = self.object(unit)? else { return Ok(None) };
        self.text_property(&path, "org.freedesktop.systemd1.Unit", "Description").map(Some)
    }

    /// What the properties `names` of a unit are now, in the form in which [`Self::set`] takes them; those that this systemd doesn't have are
    /// left out.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn properties(&mut self, unit: &Unit, names: &[&str]) -> Result<Vec<Property>> {
        let Some(path) = self.object(unit)? else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for name in names {
            let arguments = [Value::Text(unit.interface().to_owned()), Value::Text((*name).to_owned())];
            let call = Message::call(PEER, &path, PROPERTIES, "Get").with(&arguments)?;
            let answer = match self.bus.call(call, "Get", self.deadline())? {
                Answer::Refused(refusal) if refusal.name == NO_SUCH_PROPERTY => continue,
                answer => answer.or_refuse("Get")?.arguments()?,
            };
            let value = answer.first().ok_or_else(|| failed("Get", format!("no value of {name}")))?;
            found.push(Property::new(name, value.inner().clone()));
        }
        Ok(found)
    }

    /// A property of an object of systemd.
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn property(&mut self, path: &str, interface: &str, name: &'static str) -> Result<Value> {
        let arguments = [Value::Text(interface.to_owned()), Value::Text(name.to_owned())];
        let call = Message::call(PEER, path, PROPERTIES, "Get").with(&arguments)?;
        let answer = self.bus.call(call, name, self.deadline())?.or_refuse(name)?;
        match answer.arguments()?.as_slice() {
            [value] => Ok(value.inner().clone()),
            other => Err(failed(name, format!("{} values instead of one", other.len()))),
        }
    }

    /// The object path of a unit that systemd has in memory (`GetUnit`).
    ///
    /// # Errors
    /// [`Error::Systemd`] with systemd's words.
    pub fn object(&mut self, unit: &Unit) -> Result<Option<String>> {
        const CALL: &str = "GetUnit";
        let answer = match self.ask(CALL, &[named(unit)], self.deadline())? {
            Answer::Refused(refusal) if refusal.name == NO_SUCH_UNIT => return Ok(None),
            answer => answer.or_refuse(CALL)?,
        };
        match answer.arguments()?.as_slice() {
            [Value::Path(path)] => Ok(Some(path.clone())),
            _ => Err(failed(CALL, "the answer is no object path".to_owned())),
        }
    }

    fn text_property(&mut self, path: &str, interface: &str, name: &'static str) -> Result<String> {
        let value = self.property(path, interface, name)?;
        value.text().map(str::to_owned).ok_or_else(|| failed(name, format!("{value} is no text")))
    }

    /// ORDER: before the request whose job is awaited, for the signal may overtake the answer.
    fn listen(&mut self, deadline: Instant) -> Result<()> {
        if !self.listens {
            self.bus.add_match(JOB_REMOVED, deadline)?;
            // Without a subscriber systemd sends no signals. Being one already is an error that is none.
            drop(self.ask("Subscribe", &[], deadline)?);
            self.listens = true;
        }
        Ok(())
    }

    fn outcome(
        &mut self,
        answer: &Message,
        call: &'static str,
        unit: &Unit,
        deadline: Instant,
    ) -> Result<Outcome> {
        let job = Job::of(answer).ok_or_else(|| failed(call, "the answer is no job".to_owned()))?;
        loop {
            match self.bus.signal(call, deadline) {
                Ok(signal) => {
                    if let Some(outcome) = job.ended(&signal) {
                        return Ok(outcome);
                    }
                }
                Err(_) if Instant::now() >= deadline => {
                    let (what, path) = ("systemd's job for", PathBuf::from(unit.name()));
                    return Err(Error::Timeout { what, path, after: self.patience });
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn ask(&mut self, member: &'static str, arguments: &[Value], deadline: Instant) -> Result<Answer> {
        let call = Message::call(PEER, PATH, INTERFACE, member).with(arguments)?;
        self.bus.call(call, member, deadline)
    }

    fn deadline(&self) -> Instant {
        end(self.patience)
    }
}

/// The moment at which a patience ends; about 30 years do for one that the clock can't hold.
fn end(patience: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(patience).or_else(|| now.checked_add(Duration::from_secs(1 << 30))).unwrap_or(now)
}

fn named(unit: &Unit) -> Value {
    Value::Text(unit.name().to_owned())
}

fn replace() -> Value {
    Value::Text("replace".to_owned())
}

fn exists(answer: &Answer) -> bool {
    matches!(answer, Answer::Refused(Refusal { name, .. }) if name == "org.freedesktop.systemd1.UnitExists")
}

fn relative(group: &str) -> PathBuf {
    PathBuf::from(group.trim_start_matches('/'))
}
