//! The labels of a new container: 2014's `InitLabels`.

use super::context::Context;
use super::defaults::Defaults;
use super::error::SelinuxError;
use super::level::{Level, Range};
use super::reserve::{Levels, Reservation};
use super::standing::Standing;

/// What a container is labelled with.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Labels {
    /// Of its processes: `process_label`.
    pub process: Option<Context>,
    /// Of its files: `mount_label`.
    pub mount: Option<Context>,
    /// The level of both, which no other container gets as long as this stands, but one that names it by `level:`. [`Reservation::keep_for`] hands it over to the container.
    pub reservation: Option<Reservation>,
}

/// Labels for a new container: those that the policy has for containers, at a level of two categories that nobody else has, changed by options:
/// `user:`, `role:`, `type:`, `level:`, each with a value, `filetype:` for the type of the files, and `disable` for no labels at all. `user` and `level` count
/// for the files too. No labels either where SELinux is off, or the policy knows no containers; options are checked all the same.
///
/// # Errors
/// [`SelinuxError::Option`]; what [`Standing::current`], [`Defaults::current`] and
/// [`Levels::reserve`] may fail with.
pub fn init_labels<'a>(
    options: impl IntoIterator<Item = &'a str>,
    levels: &Levels,
) -> Result<Labels, SelinuxError> {
    let choice = Choice::read(options)?;
    if choice.disable || !Standing::current()?.is_on() {
        return Ok(Labels::default());
    }
    choice.apply(&Defaults::current()?, levels)
}

/// The options with which another container gets the labels that this process has: to share a pid or IPC namespace with it. 2014's `DupSecOpt`.
#[must_use]
pub fn dup_sec_opt(process: &Context) -> Vec<String> {
    let range = process.range().map(|range| format!("level:{range}"));
    let parts = [("user", process.user()), ("role", process.role()), ("type", process.kind())];
    parts.iter().map(|(key, value)| format!("{key}:{value}")).chain(range).collect()
}

/// What the options ask for.
#[derive(Debug, Default, PartialEq, Eq)]
struct Choice {
    disable: bool,
    user: Option<String>,
    role: Option<String>,
    kind: Option<String>,
    file_kind: Option<String>,
    range: Option<Range>,
}

impl Choice {
    fn read<'a>(options: impl IntoIterator<Item = &'a str>) -> Result<Self, SelinuxError> {
        let mut choice = Self::default();
        for option in options {
            choice.add(option)?;
        }
        Ok(choice)
    }

    fn add(&mut self, option: &str) -> Result<(), SelinuxError> {
        let wrong = |reason: String| SelinuxError::Option { option: option.to_owned(), reason };
        if option == "disable" {
            self.disable = true;
            return Ok(());
        }
        let known = "disable, or user, role, type, level, filetype with ':' and a value";
        let (key, value) = option.split_once(':').ok_or_else(|| wrong(format!("not {known}")))?;
        let sample = Context::from_bytes(b"u:r:t")?;
        let checked = match key {
            "user" => sample.with_user(value).map(|_| self.user = Some(value.to_owned())),
            "role" => sample.with_role(value).map(|_| self.role = Some(value.to_owned())),
            "type" => sample.with_kind(value).map(|_| self.kind = Some(value.to_owned())),
            "filetype" => sample.with_kind(value).map(|_| self.file_kind = Some(value.to_owned())),
            "level" => value.parse().map(|range| self.range = Some(range)),
            _ => return Err(wrong(format!("not {known}"))),
        };
        checked.map_err(|error| wrong(error.to_string()))
    }

    fn apply(self, defaults: &Defaults, levels: &Levels) -> Result<Labels, SelinuxError> {
        let (Some(process), Some(mount)) = (&defaults.process, &defaults.file) else {
            return Ok(Labels::default());
        };
        let (range, reservation) = self.level(process, levels)?;
        let mut process = process.clone();
        let mut mount = mount.clone();
        if let Some(user) = &self.user {
            (process, mount) = (process.with_user(user)?, mount.with_user(user)?);
        }
        if let Some(role) = &self.role {
            process = process.with_role(role)?;
        }
        if let Some(kind) = &self.kind {
            process = process.with_kind(kind)?;
        }
        if let Some(kind) = &self.file_kind {
            mount = mount.with_kind(kind)?;
        }
        if let Some(range) = range {
            (process, mount) = (process.with_range(range), mount.with_range(range));
        }
        Ok(Labels { process: Some(process), mount: Some(mount), reservation })
    }

    /// The range, with its reservation; none in a policy without levels.
    fn level(
        &self,
        process: &Context,
        levels: &Levels,
    ) -> Result<(Option<Range>, Option<Reservation>), SelinuxError> {
        let Some(range) = self.range else {
            if process.range().is_none() {
                return Ok((None, None));
            }
            let reservation = levels.reserve()?;
            return Ok((Some(reservation.level().into()), Some(reservation)));
        };
        // A pair may be somebody's already, who is joined; any other level is no container's own.
        let level: Level = range.low();
        let is_pair = range == Range::from(level) && level.categories.iter().count() == 2;
        let reservation = is_pair.then(|| levels.share(level)).transpose()?;
        Ok((Some(range), reservation))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn defaults() -> Defaults {
        let text =
            "process = system_u:system_r:container_t:s0\nfile = system_u:object_r:container_file_t:s0\n";
        Defaults::parse(text, std::path::Path::new("f")).unwrap()
    }

    fn levels(name: &str) -> Levels {
        Levels::new(std::env::temp_dir().join(format!("mcs-{name}-{}", std::process::id())))
    }

    fn labels(options: &[&str], levels: &Levels) -> Result<(String, String, Option<Reservation>), String> {
        let choice = Choice::read(options.iter().copied()).map_err(|error| error.to_string())?;
        let Labels { process, mount, reservation } =
            choice.apply(&defaults(), levels).map_err(|error| error.to_string())?;
        Ok((process.unwrap().to_string(), mount.unwrap().to_string(), reservation))
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn options_change_the_labels_of_the_policy() {
        let levels = levels("options");
        for (options, process, mount) in [
            (
                &["level:s0:c7,c9"][..],
                "system_u:system_r:container_t:s0:c7,c9",
                "system_u:object_r:container_file_t:s0:c7,c9",
            ),
            (
                &["type:spc_t", "level:s0"],
                "system_u:system_r:spc_t:s0",
                "system_u:object_r:container_file_t:s0",
            ),
            (
                &["user:a_u", "role:b_r", "level:s1"],
                "a_u:b_r:container_t:s1",
                "a_u:object_r:container_file_t:s1",
            ),
            (
                &["filetype:x_t", "level:s0-s0:c0.c9"],
                "system_u:system_r:container_t:s0-s0:c0.c9",
                "system_u:object_r:x_t:s0-s0:c0.c9",
            ),
        ] {
            let found = labels(options, &levels).unwrap();
            assert_eq!((found.0.as_str(), found.1.as_str()), (process, mount));
        }
        let (process, mount, reservation) = labels(&[], &levels).unwrap();
        let level = reservation.as_ref().unwrap().level().to_string();
        assert!(
            process.ends_with(&level) && mount.ends_with(&level) && level.starts_with("s0:c"),
            "{process}"
        );
        let other = labels(&[], &levels).unwrap();
        assert_ne!(other.0, process);
        let third = labels(&[&format!("level:{level}")], &levels).unwrap();
        assert_eq!(third.0, process, "who names a level shares it");
    }

    #[test]
    fn other_options_are_refused() {
        for option in [
            "",
            "x",
            "type",
            "type:",
            "level:c1",
            "level:s0:c5000",
            "user:a b",
            "kind:x",
            "disabled",
            "role::",
        ] {
            let error = Choice::read([option]).unwrap_err();
            assert!(matches!(error, SelinuxError::Option { .. }), "{option}: {error}");
        }
        assert!(Choice::read(["type:x", "disable"]).unwrap().disable);
    }

    #[test]
    #[cfg_attr(miri, ignore = "asks the kernel")]
    fn labels_are_given_on_as_options() {
        let context: Context = "u:r:t:s0:c1,c2".parse().unwrap();
        assert_eq!(dup_sec_opt(&context), ["user:u", "role:r", "type:t", "level:s0:c1,c2"]);
        let levels = levels("given-on");
        let options = dup_sec_opt(&context);
        let options: Vec<_> = options.iter().map(String::as_str).collect();
        assert_eq!(labels(&options, &levels).unwrap().0, context.to_string());
    }
}
