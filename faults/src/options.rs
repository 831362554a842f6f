//! What is to be tried.

use anyhow::{Context, Result, bail};

use crate::fault::{How, Point, Who};
use crate::scene::{self, SCENES, Scene};

pub(crate) const USAGE: &str = "cargo xtask faults [OPTION...]

  makes system calls of nsinit, of its new processes, of the sealed init and of a program that uses the library fail, one per run, and looks at what remains

  --all            every call with every errno; without it an even selection
  --sites          each place in the code that makes a system call: once with an error, once killed, and once with its answer lost if it makes something;
                   with --all, with every errno. Another --seed has other errors, and other commands that come there
  --depth NUMBER   such places are told apart by so many of our modules on the stack, the innermost [default: 2]
  --count NUMBER   about so many trials [default: 900]
  --seed NUMBER    another selection of the same size [default: 0]
  --command NAME   this command only; may be given more than once
  --any            EIO and ENOMEM of every call, also where no man page has them, and nothing else
  --who WHO        tool, child, init, or loader (before main; not tried otherwise)
  --errno ERRNO    EIO, LOST-EIO, KILL, KILL-AFTER, ...
  --call NAME      this system call only
  --rootless       the commands of an ordinary user only
  --only TRIAL     COMMAND:WHO:NUMBER:CALL:ERRNO, as the report tells; may be given more than once
  --again NUMBER   a trial that ended wrongly is repeated so often, and bad if it does so again; not one that leaked, was fail-open or panicked
  --jobs NUMBER    workers at once [default: one per processor]
  --report FILE    writes the report there too
  --verbose        tells of each trial, not only of the bad ones
  --calls          prints the calls of the commands, and how many trials there would be; tries nothing";

/// The command line.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) all: bool,
    pub(crate) sites: bool,
    pub(crate) depth: usize,
    pub(crate) count: usize,
    pub(crate) seed: usize,
    pub(crate) any: bool,
    pub(crate) commands: Vec<String>,
    pub(crate) who: Option<Who>,
    pub(crate) errno: Option<String>,
    pub(crate) call: Option<String>,
    pub(crate) rootless: bool,
    pub(crate) only: Vec<Point>,
    pub(crate) again: usize,
    pub(crate) jobs: usize,
    pub(crate) report: Option<String>,
    pub(crate) calls: bool,
    pub(crate) verbose: bool,
}

const COUNT: usize = 900;
const DEPTH: usize = 2;

impl Options {
    pub(crate) fn parse(args: &[String]) -> Result<Self> {
        let jobs = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
        let mut options = Self { count: COUNT, depth: DEPTH, jobs, ..Self::default() };
        let mut rest = args.iter();
        while let Some(arg) = rest.next() {
            let mut value = || rest.next().with_context(|| format!("{arg} wants a value"));
            match arg.as_str() {
                "--all" => options.all = true,
                "--sites" => options.sites = true,
                "--depth" => options.depth = value()?.parse().context("--depth wants a number")?,
                "--any" => options.any = true,
                "--rootless" => options.rootless = true,
                "--verbose" => options.verbose = true,
                "--calls" => options.calls = true,
                "--count" => options.count = value()?.parse().context("--count wants a number")?,
                "--seed" => options.seed = value()?.parse().context("--seed wants a number")?,
                "--again" => options.again = value()?.parse().context("--again wants a number")?,
                "--jobs" => options.jobs = value()?.parse().context("--jobs wants a number")?,
                "--command" => options.commands.push(value()?.clone()),
                "--who" => {
                    let name = value()?;
                    options.who =
                        Some(Who::from_name(name).with_context(|| format!("--who {name}: nobody"))?);
                }
                "--errno" => options.errno = Some(value()?.clone()),
                "--call" => options.call = Some(value()?.clone()),
                "--only" => options.only.push(Point::parse(value()?)?),
                "--report" => options.report = Some(value()?.clone()),
                _ => bail!("{arg}: unknown option\n\n{USAGE}"),
            }
        }
        if let Some(name) = options.commands.iter().find(|name| scene::by_name(name).is_none()) {
            let known: Vec<_> = SCENES.iter().map(|scene| scene.name).collect();
            bail!("--command {name}: none of {}", known.join(" "));
        }
        Ok(options)
    }

    /// The scenes that were asked for.
    pub(crate) fn scenes(&self) -> Vec<&'static Scene> {
        let named = |scene: &Scene| match self.only.is_empty() {
            true => self.commands.is_empty() || self.commands.iter().any(|name| name == scene.name),
            false => self.only.iter().any(|point| point.scene == scene.name),
        };
        let wanted = |scene: &&Scene| named(scene) && (!self.rootless || scene.bundle.is_user());
        SCENES.iter().filter(wanted).collect()
    }

    /// Whether a call of somebody is to be tried at all.
    pub(crate) fn wants(&self, who: Who, call: &str) -> bool {
        let who_fits = self.who.map_or(who != Who::Loader, |wanted| wanted == who);
        who_fits && self.call.as_ref().is_none_or(|wanted| wanted == call)
    }

    /// Whether a fault is to be tried.
    pub(crate) fn wants_how(&self, how: How) -> bool {
        self.errno.as_ref().is_none_or(|wanted| *wanted == how.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Options> {
        let args: Vec<_> = text.split_whitespace().map(str::to_owned).collect();
        Options::parse(&args)
    }

    #[test]
    fn options_choose() {
        let options = parse("--command run --command exec --who init --errno EIO").unwrap();
        assert_eq!(options.scenes().iter().map(|scene| scene.name).collect::<Vec<_>>(), ["run", "exec"]);
        assert!(options.wants(Who::Init, "read") && !options.wants(Who::Tool, "read"));
        assert!(
            options.wants_how(How::Fails(nix::errno::Errno::EIO)) && !options.wants_how(How::KilledBefore)
        );
        assert!(!parse("").unwrap().wants(Who::Loader, "read"));
        assert!(parse("--rootless").unwrap().scenes().iter().all(|scene| scene.bundle.is_user()));
    }

    #[test]
    fn a_wrong_option_is_named() {
        for (text, part) in
            [("--command walk", "walk"), ("--who me", "me"), ("--x", "--x"), ("--only", "--only")]
        {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(part), "{error}");
        }
    }
}
