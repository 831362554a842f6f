//! A control group that systemd makes: a transient scope, started with the init in it.

use std::path::Path;
use std::time::Duration;

use libcontainer_cgroups::stats::Version;
use libcontainer_cgroups::systemd::{
    ANNOTATION_PREFIX, Array, Environment, Manager, Placement, Property, Target, Unit, UnitLimits, Value,
    Which, annotated, limit_properties, start_properties, unit_properties,
};
use libcontainer_cgroups::{Error as Cause, Layout, Place, Plan, Resources, Result as Group};
use libcontainer_plan::Pid;

use crate::config::Cgroup;
use crate::error::{Error, ErrorKind, Result};
use crate::record::UnitRecord;

/// How long systemd may take for each request, its job included.
const PATIENCE: Duration = Duration::from_secs(30);
/// What the name of a scope begins with.
const PREFIX: &str = "libcontainer";

/// A scope to be started.
#[derive(Debug)]
pub(crate) struct Scope {
    manager: Manager,
    placement: Placement,
    hierarchy: Version,
    limits: Vec<Property>,
    /// For the container's record.
    pub(crate) record: UnitRecord,
}

impl Scope {
    /// Connects to systemd and looks whether what is asked for can be. Starts nothing.
    pub(crate) fn new(
        config: &Cgroup,
        id: &str,
        dir: &Path,
        layout: &Layout,
        environment: &Environment,
    ) -> Result<(Self, Plan)> {
        let what = || format!("control group of {id:?}");
        let failed = |error| Error::cgroup(what(), error);
        let user = Which::for_this_process().map_err(failed)? == Which::User;
        let placement = placement(config, id, user).map_err(failed)?;
        let further = further(config).map_err(failed)?;
        let mut manager = connect(environment, user).map_err(|error| {
            let remedy =
                "the config asks for a scope of systemd: leave out \"systemd\", or run where systemd does";
            Error::new(ErrorKind::Unsupported, format!("{}: no systemd: {error}; {remedy}", what()))
        })?;
        if manager.object(&placement.unit).map_err(failed)?.is_some() {
            let used = manager.group(&placement.unit).map_err(failed)?.map(|group| used(&group));
            let text = format!(
                "{}: systemd has a unit {} already{}",
                what(),
                placement.unit,
                used.unwrap_or_default()
            );
            return Err(Error::new(ErrorKind::AlreadyExists, text));
        }
        let plan = manager.root().and_then(|root| Plan::for_unit(layout, &root, &placement));
        let plan = plan.map_err(failed)?;
        let record = UnitRecord {
            name: placement.unit.name().to_owned(),
            description: format!("libcontainer container {id} ({})", dir.display()),
            user,
        };
        let (hierarchy, limits) = (layout.of_controllers(), further);
        Ok((Self { manager, placement, hierarchy, limits, record }, plan))
    }

    /// Adds the properties for limits.
    pub(crate) fn limit(&mut self, resources: &Resources) -> Group<()> {
        let limits = UnitLimits::of(resources, self.hierarchy)?;
        let target = target(&mut self.manager, self.hierarchy)?;
        let mut all = limit_properties(&limits, &target)?;
        all.extend(start_properties(&limits)?);
        // ORDER: what the config asks for by name comes last and so wins.
        all.append(&mut self.limits);
        self.limits = all;
        Ok(())
    }

    /// Starts it with `pid` in it, and waits until systemd says that it is done.
    ///
    /// RACE: on an error it may have been started all the same, or come yet: who calls this has to stop it then, too.
    pub(crate) fn start(&mut self, pid: Pid) -> Group<()> {
        let first = nix::unistd::Pid::from_raw(pid.as_raw());
        let mut all = unit_properties(&self.placement, &self.record.description, Some(first), self.hierarchy);
        all.append(&mut self.limits);
        self.manager.start(&self.placement.unit, &all).map(drop)
    }

    pub(crate) fn text(&self) -> String {
        start_text(&self.placement)
    }
}

/// A scope has a group as long as there are processes in it. The last words are runc's.
fn used(group: &Path) -> String {
    format!(", with the group /{}: container's cgroup is not empty", group.display())
}

/// Where the scope is to be.
pub(crate) fn placement(config: &Cgroup, id: &str, user: bool) -> Group<Placement> {
    if !config.path.as_os_str().is_empty() {
        return Placement::parse(&config.path.to_string_lossy(), PREFIX, id, user);
    }
    let prefix = if config.parent.is_empty() { PREFIX } else { &config.parent };
    let name = if config.name.is_empty() { id } else { &config.name };
    let part = |field: &str, text: &str| match text.contains([':', '/']) {
        true => Err(Cause::Invalid {
            field: format!("cgroups.{field}"),
            problem: format!("{text:?} can't be part of a scope's name"),
        }),
        false => Ok(()),
    };
    part("parent", prefix)?;
    part("name", name)?;
    part("slice", &config.slice)?;
    Placement::parse(&format!("{}:{prefix}:{name}", config.slice), PREFIX, id, user)
}

pub(crate) fn start_text(placement: &Placement) -> String {
    format!("have systemd start {} in {}", placement.unit, placement.slice)
}

/// Undoes a start.
pub(crate) const STOP: &str = "have systemd stop it";

/// The properties that the config asks for by name.
pub(crate) fn further(config: &Cgroup) -> Group<Vec<Property>> {
    let mut all = Vec::new();
    for (name, text) in &config.properties {
        if ["Description", "Slice", "PIDs", "Delegate"].contains(&name.as_str()) {
            let problem = format!("{name} is set by the library");
            return Err(Cause::Invalid { field: "cgroups.properties".to_owned(), problem });
        }
        all.extend(annotated(&format!("{ANNOTATION_PREFIX}{name}"), text)?);
    }
    Ok(all)
}

fn connect(environment: &Environment, user: bool) -> Group<Manager> {
    Manager::connect_in(environment, if user { Which::User } else { Which::System }, PATIENCE)
}

fn target(manager: &mut Manager, hierarchy: Version) -> Group<Target> {
    let path = "/proc/devices";
    let drivers = std::fs::read_to_string(path);
    let drivers = drivers.map_err(|source| Cause::Read { path: path.into(), source })?;
    Ok(Target { hierarchy, systemd: manager.version()?, drivers })
}

/// Stops a container's unit and lets systemd forget it. None is fine; one of another container's stays.
pub(crate) fn stop(record: &UnitRecord, environment: &Environment) -> Group<()> {
    let unit = Unit::new(&record.name)?;
    let mut manager = connect(environment, record.user)?;
    if manager.description(&unit)?.is_none_or(|found| found != record.description) {
        return Ok(());
    }
    manager.stop(&unit).map(drop)
}

/// Whether there is a unit of that name with a container's words.
pub(crate) fn stands(record: &UnitRecord, environment: &Environment) -> Group<bool> {
    let unit = Unit::new(&record.name)?;
    let mut manager = connect(environment, record.user)?;
    Ok(manager.description(&unit)?.is_some_and(|found| found == record.description))
}

/// Has systemd move a process into the unit, or into a group below it.
pub(crate) fn attach(record: &UnitRecord, below: &str, environment: &Environment, pid: Pid) -> Group<()> {
    let pid = nix::unistd::Pid::from_raw(pid.as_raw());
    connect(environment, record.user)?.attach(&Unit::new(&record.name)?, below, &[pid])
}

/// Properties that were changed, with the way back.
#[derive(Debug)]
pub(crate) struct Changed {
    manager: Manager,
    unit: Unit,
    old: Vec<Property>,
}

/// Sets limits of a unit that runs.
pub(crate) fn update(
    record: &UnitRecord,
    environment: &Environment,
    places: &[Place],
    resources: &Resources,
) -> Group<Changed> {
    let legacy =
        |place: &Place| !place.unified && place.controllers.iter().any(|name| !name.starts_with("name="));
    let hierarchy = if places.iter().any(legacy) { Version::V1 } else { Version::V2 };
    let limits = UnitLimits::of(resources, hierarchy)?;
    let unit = Unit::new(&record.name)?;
    let mut manager = connect(environment, record.user)?;
    let new = limit_properties(&limits, &target(&mut manager, hierarchy)?)?;
    let mut names: Vec<&str> = new.iter().map(|property| property.name.as_str()).collect();
    // An emptied list and what is in it then have one name.
    names.dedup();
    let old = manager.properties(&unit, &names)?;
    if !new.is_empty() {
        manager.set(&unit, &new)?;
    }
    Ok(Changed { manager, unit, old })
}

impl Changed {
    /// Sets what was set before.
    pub(crate) fn take_back(mut self) -> Group<()> {
        let mut all = Vec::new();
        for property in self.old {
            if let (true, Value::Array(list)) = (property.name == "DeviceAllow", &property.value) {
                // A list is added to what is there unless it is empty.
                let none = Array::new(list.element(), Vec::new())?;
                all.push(Property::new("DeviceAllow", Value::Array(none)));
            }
            all.push(property);
        }
        if all.is_empty() { Ok(()) } else { self.manager.set(&self.unit, &all) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_scopes() {
        let name = |text: &str| {
            let config: Cgroup = serde_json::from_str(text).unwrap();
            placement(&config, "web", false).map(|place| format!("{}/{}", place.slice, place.unit)).ok()
        };
        for (text, wanted) in [
            ("{}", Some("system.slice/libcontainer-web.scope")),
            (r#"{"parent": "docker", "name": "x"}"#, Some("system.slice/docker-x.scope")),
            (r#"{"slice": "machine-a.slice"}"#, Some("machine-a.slice/libcontainer-web.scope")),
            (r#"{"path": "a.slice:p:n"}"#, Some("a.slice/p-n.scope")),
            (r#"{"path": "/a/b"}"#, None),
            (r#"{"slice": "a/b.slice"}"#, None),
            (r#"{"slice": "nothing"}"#, None),
            (r#"{"parent": "a:b"}"#, None),
        ] {
            assert_eq!(name(text).as_deref(), wanted, "{text}");
        }
    }

    #[test]
    fn further_properties() {
        let read = |text: &str| further(&serde_json::from_str(text).unwrap());
        let found = read(r#"{"properties": {"TimeoutStopSec": "uint64 5"}}"#).unwrap();
        assert_eq!(found, [Property::new("TimeoutStopUSec", Value::U64(5_000_000))]);
        for bad in [r#"{"properties": {"Slice": "'x'"}}"#, r#"{"properties": {"KillMode": "?"}}"#] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
