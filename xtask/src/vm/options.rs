//! What `test --vm` is asked for, and which machines that takes.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use super::build::Wanted;

const LAYOUTS: [&str; 6] = ["v2", "v1", "hybrid", "systemd", "systemd-v1", "systemd-hybrid"];
/// As Debian's kernels boot.
pub(crate) const APPARMOR: &str = "apparmor";
/// Enforcing, with a policy of our own.
pub(crate) const SELINUX: &str = "selinux";
const LSMS: [&str; 3] = [APPARMOR, SELINUX, "none"];
/// Kernel, layout and LSM of a run that asks for nothing else. From 6.12 on Debian's kernels have no memory controller of version 1.
const DEFAULT: [(&str, &str, &str); 6] = [
    ("6.1", "v2", APPARMOR),
    ("6.1", "v1", APPARMOR),
    ("6.1", "hybrid", APPARMOR),
    ("6.1", "systemd", APPARMOR),
    ("newest", "v2", APPARMOR),
    ("6.1", "v2", SELINUX),
];
/// What a machine with SELinux runs if nothing is chosen: the rest is another machine's.
const OF_SELINUX: &str = "libcontainer-tests/machines,libcontainer-tests/selinux";
const ALL_KERNELS: [&str; 3] = ["5.10", "6.1", "newest"];

/// What was asked for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    pub(crate) wanted: Wanted,
    kernel: Option<String>,
    layout: Option<String>,
    lsm: Option<String>,
    few: bool,
    /// A disk whose program runs in the place of tests.
    pub(crate) script: Option<PathBuf>,
    pub(crate) keep: bool,
}

/// One machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Boot {
    /// Series of the kernel.
    pub(crate) series: String,
    /// Control groups.
    pub(crate) layout: String,
    /// The security module that labels processes.
    pub(crate) lsm: String,
}

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let mut options = Self::default();
        let mut args = args.iter();
        while let Some(arg) = args.next() {
            let mut value = || args.next().cloned().with_context(|| format!("{arg} needs a value"));
            match arg.as_str() {
                "--vm" => {}
                "--all" => options.choose(Wanted::All, arg)?,
                "--few" => options.few = true,
                "--keep" => options.keep = true,
                "--kernel" => options.kernel = Some(value()?),
                "--script" => options.script = Some(value()?.into()),
                "--cg" => options.layout = Some(one_of(arg, value()?, &LAYOUTS)?),
                "--lsm" => options.lsm = Some(one_of(arg, value()?, &LSMS)?),
                other if other.starts_with('-') => bail!("unknown option {other}"),
                other => options.choose(Wanted::Filter(other.to_owned()), other)?,
            }
        }
        if options.script.is_some() && (options.wanted != Wanted::Layout || options.boots().len() > 1) {
            bail!("--script: no test, and one machine");
        }
        Ok(options)
    }

    fn choose(&mut self, wanted: Wanted, arg: &str) -> Result<()> {
        if self.wanted != Wanted::Layout {
            bail!("{arg}: one filter, or --all");
        }
        self.wanted = wanted;
        Ok(())
    }

    /// Names of the binaries that this machine runs of those of all, joined by commas; none for all.
    pub(crate) fn only(&self, boot: &Boot) -> Option<&'static str> {
        (self.wanted == Wanted::Layout && boot.lsm == SELINUX).then_some(OF_SELINUX)
    }

    /// The machines.
    pub(crate) fn boots(&self) -> Vec<Boot> {
        let boot = |(series, layout, lsm): (&str, &str, &str)| Boot {
            series: series.to_owned(),
            layout: layout.to_owned(),
            lsm: lsm.to_owned(),
        };
        let layout = self.layout.as_deref().unwrap_or("v2");
        let lsm = self.lsm.as_deref().unwrap_or(APPARMOR);
        match (self.kernel.as_deref(), &self.layout, &self.lsm) {
            (None, None, None) if self.script.is_none() => {
                // A host of ours is often hybrid itself.
                let wanted = |(_, layout, _): &(&str, &str, &str)| !self.few || *layout != "hybrid";
                DEFAULT.into_iter().filter(wanted).map(boot).collect()
            }
            (None, ..) => vec![boot(("6.1", layout, lsm))],
            (Some("all"), ..) => ALL_KERNELS.iter().map(|kernel| boot((kernel, layout, lsm))).collect(),
            (Some(kernel), ..) => vec![boot((kernel, layout, lsm))],
        }
    }
}

fn one_of(option: &str, value: String, known: &[&str]) -> Result<String> {
    if known.contains(&value.as_str()) {
        return Ok(value);
    }
    bail!("{option} {value}: one of {}", known.join(", "))
}

#[cfg(test)]
mod tests {
    use super::{Options, Wanted};

    fn parse(line: &str) -> Option<(usize, Wanted, bool)> {
        let args: Vec<String> = line.split_whitespace().map(str::to_owned).collect();
        let options = Options::parse(&args).ok()?;
        Some((options.boots().len(), options.wanted, options.keep))
    }

    #[test]
    fn options() {
        let filter = Wanted::Filter("mount".to_owned());
        for (line, expected) in [
            ("--vm", Some((6, Wanted::Layout, false))),
            ("--vm --few", Some((5, Wanted::Layout, false))),
            ("--vm --all", Some((6, Wanted::All, false))),
            ("--vm --all mount", None),
            ("--vm mount --all", None),
            ("--vm mount --keep", Some((1 + 5, filter.clone(), true))),
            ("--vm --cg v1 mount", Some((1, filter.clone(), false))),
            ("--vm --lsm selinux mount", Some((1, filter, false))),
            ("--vm --kernel all", Some((3, Wanted::Layout, false))),
            ("--vm --script disk", Some((1, Wanted::Layout, false))),
            ("--vm --script disk --kernel all", None),
            ("--vm --script disk mount", None),
            ("--vm --cg v3", None),
            ("--vm --lsm smack", None),
            ("--vm --kernel", None),
            ("--vm --fast", None),
            ("--vm a b", None),
        ] {
            assert_eq!(parse(line), expected, "{line}");
        }
    }

    #[test]
    fn a_chosen_module_leaves_the_rest_as_it_is() {
        let args = ["--lsm", "selinux"].map(str::to_owned);
        let boots = Options::parse(&args).unwrap().boots();
        assert_eq!(
            (boots[0].series.as_str(), boots[0].layout.as_str(), boots[0].lsm.as_str()),
            ("6.1", "v2", "selinux")
        );
    }
}
