//! A worker: a host of its own on which it tries one fault after the other.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Write};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::prctl::set_child_subreaper;
use serde_json::json;

use crate::bundle::Bundle;
use crate::class;
use crate::fault::{Point, call_name};
use crate::place::{NAME, Place};
use crate::probe::probes;
use crate::reaper::{LIMIT, drain, reap, waiting_inits};
use crate::scene::{self, RUN, SCENES, Scene, Tool};
use crate::settle::{self, SETTLE};
use crate::shim;
use crate::stack::Walker;
use crate::tracer::{self, End, Job, Outcome};
use crate::verdict::{self, Bad, Baseline, Finding, Normal, Said};
use crate::view;
use crate::watch::{Watch, patience};
use crate::world::World;

/// A request for the calls of a command, and what stands before one that is to tell where calls come from.
pub(crate) const TRACE: &str = "trace ";
pub(crate) const WALK: &str = "walk ";

pub(crate) struct Worker {
    place: Place,
    watch: Watch,
    before: World,
    baselines: BTreeMap<&'static str, Baseline>,
    /// The scene whose container stands.
    standing: Option<&'static str>,
    /// Something could not be taken away: what comes next would be blamed for it.
    spoiled: bool,
    /// Where calls come from, once that was asked for.
    walker: Option<Walker>,
}

/// Serves requests, a line each, until there are none or nobody listens.
pub(crate) fn run(dir: &Path, tag: &str) -> Result<()> {
    let mut worker = Worker::new(dir, tag)?;
    let served = worker.serve();
    worker.scrub();
    worker.place.leave();
    served
}

impl Worker {
    fn new(dir: &Path, tag: &str) -> Result<Self> {
        set_child_subreaper(true)?;
        let place = Place::make(dir, tag)?;
        shim::listen(&place)?;
        let (baselines, standing) = (BTreeMap::new(), None);
        let mut this = Self {
            place,
            watch: Watch::new(),
            before: World::default(),
            baselines,
            standing,
            spoiled: false,
            walker: None,
        };
        // Mount points in the rootfs stay: that is no leak.
        for bundle in Bundle::ALL.into_iter().filter(|bundle| bundle.missing().is_none()) {
            let scene = SCENES.iter().find(|scene| scene.bundle == bundle).context("a scene")?;
            this.must(scene, RUN).with_context(|| bundle.name())?;
        }
        this.before = settle::rested(|| this.look());
        Ok(this)
    }

    fn serve(&mut self) -> Result<()> {
        for line in std::io::stdin().lock().lines() {
            let line = line?;
            let request = line.strip_prefix(WALK).unwrap_or(&line);
            self.walker = (request != line).then(|| self.walker.take().unwrap_or_default());
            let answer = match request.strip_prefix(TRACE) {
                Some(name) => self.counted(name),
                None => Point::parse(request).and_then(|point| self.trial(&point)),
            };
            let mut answer = answer.unwrap_or_else(|error| {
                self.spoiled = true;
                json!({"error": format!("{error:#}")})
            });
            if let Some(fields) = answer.as_object_mut() {
                fields.insert("spoiled".to_owned(), self.spoiled.into());
            }
            writeln!(std::io::stdout(), "{answer}")?;
        }
        Ok(())
    }

    fn look(&self) -> World {
        World::look(&self.place.dir, &self.place.tag)
    }

    /// Runs a command without a fault; its end and what it said.
    fn plain(&self, scene: &Scene, text: &str) -> Result<(End, String)> {
        let mut command = self.place.command(scene, Tool::Nsinit, text, false)?;
        let (end, hung) = reap(&mut command, &self.watch)?;
        let hung = hung.map(|place| format!("hangs: {place}")).unwrap_or_default();
        Ok((end, format!("{hung}{}{}", self.place.written("stdout"), self.place.written("stderr"))))
    }

    fn must(&self, scene: &Scene, text: &str) -> Result<()> {
        match self.plain(scene, text)? {
            (End::Code(0), _) => Ok(()),
            (end, said) => bail!("{text}: {end:?}: {}", said.trim()),
        }
    }

    /// Runs the scene's command, traced.
    fn traced(&mut self, scene: &'static Scene, fault: Option<&Point>) -> Result<(Outcome, Said)> {
        let mut confined = Vec::new();
        self.place.forget()?;
        let (pty, mut command) = self.command(scene)?;
        let bundle = self.place.path(scene.bundle.name());
        let caller = (scene.tool == Tool::Shim)
            .then(|| shim::called(&mut command, &self.place, &bundle))
            .transpose()?;
        let job = Job {
            command,
            fault,
            inits: if scene.name.starts_with("start") { waiting_inits() } else { Vec::new() },
            limit: LIMIT,
            begins: scene.begins,
            probes: probes(scene),
            first_watched: scene.watches,
            walker: self.walker.as_mut(),
            look: &mut |pid, answers| {
                let lines = view::of_process(pid).into_iter().chain(answers);
                let view: Vec<_> = lines.map(|line| view::steady(&line)).collect();
                // RACE: one that was killed meanwhile shows less and less.
                if tracer::is_stopped(pid) {
                    confined.push(view);
                }
            },
        };
        let outcome = tracer::run(job, &self.watch)?;
        drop(pty);
        let mut stderr = self.place.written("stderr");
        let mut end = outcome.end;
        if let Some(Err(told)) =
            caller.map(|caller| caller.join().unwrap_or_else(|_| Err("it panicked".into())))
        {
            // What it says goes to who calls it; that nobody can answer who was killed is no news.
            stderr.push_str(&told);
            end = if end == End::Code(0) { End::Code(1) } else { end };
        }
        let of_socket = outcome.hit.as_ref().is_some_and(|seen| shim::is_of_connection(&seen.object));
        let unheard = scene.tool == Tool::Shim && of_socket && shim::is_cut_off(&stderr);
        let said = Said {
            end,
            stdout: self.place.written("stdout"),
            stderr,
            began: outcome.began,
            hung: outcome.hung.clone(),
            confined,
            host: Vec::new(),
            descriptors: outcome.descriptors.clone(),
            mute: outcome.hit.as_ref().is_some_and(tracer::Seen::mutes) || unheard,
        };
        Ok((outcome, said))
    }

    fn command(&self, scene: &Scene) -> Result<(Option<nix::pty::OpenptyResult>, Command)> {
        let mut command = self.place.command(scene, scene.tool, scene.command, true)?;
        if !scene.name.ends_with("+tty") {
            return Ok((None, command));
        }
        let pty = nix::pty::openpty(None, None).context("openpty")?;
        command.stdin(pty.slave.try_clone()?);
        Ok((Some(pty), command))
    }

    fn host(&self, scene: &Scene) -> Vec<String> {
        drain();
        let mut view = view::of_host(&self.place.state(scene.bundle), &self.place.tag);
        view.extend(self.place.recorded());
        view
    }

    /// Makes what the command needs, unless it stands.
    fn set_up(&mut self, scene: &'static Scene) -> Result<()> {
        if self.standing == Some(scene.name) {
            return Ok(());
        }
        self.clear_standing()?;
        // What a part of it has made is taken away as the whole is.
        self.standing = Some(scene.name);
        if let Some(error) = scene.setup.iter().find_map(|text| self.must(scene, text).err()) {
            self.clear_standing()?;
            return Err(error);
        }
        Ok(())
    }

    fn clear_standing(&mut self) -> Result<()> {
        let Some(scene) = self.standing.take().and_then(scene::by_name) else { return Ok(()) };
        match self.clean(scene)?.as_slice() {
            [] => Ok(()),
            [first, ..] => bail!("after {} without a fault: {first}", scene.name),
        }
    }

    /// What is normal for a scene.
    fn baseline(&mut self, scene: &'static Scene) -> Result<&Baseline> {
        if !self.baselines.contains_key(scene.name) {
            let walker = self.walker.take();
            let (_, one, before_one) = self.undisturbed(scene)?;
            let (_, two, before_two) = self.undisturbed(scene)?;
            self.walker = walker;
            let host = Normal::of(&one.host, &two.host);
            let baseline = Baseline {
                begins: scene.begins,
                library: scene.tool == Tool::Library,
                confined: verdict::programs(&one.confined, &two.confined)?,
                host: if scene.ends { host.but(&["link"]) } else { host },
                stdout: Normal::of(&verdict::shape(&one.stdout), &verdict::shape(&two.stdout)),
                descriptors: Normal::of(&one.descriptors, &two.descriptors),
                whole: scene.whole,
                before: Normal::of(&before_one, &before_two),
            };
            self.baselines.insert(scene.name, baseline);
        }
        self.baselines.get(scene.name).context("a baseline")
    }

    /// A run without a fault, cleaned up; and how the host was before.
    fn undisturbed(&mut self, scene: &'static Scene) -> Result<(Outcome, Said, Vec<String>)> {
        self.set_up(scene)?;
        let before = self.host(scene);
        let (outcome, mut said) = self.traced(scene, None)?;
        if outcome.end != End::Code(0) {
            bail!("{} without a fault: {:?}: {}", scene.name, outcome.end, said.stderr.trim());
        }
        std::thread::sleep(patience(Duration::from_millis(60)));
        said.host = self.host(scene);
        self.clear_standing()?;
        Ok((outcome, said, before))
    }

    /// The calls of a command in which nothing fails.
    fn counted(&mut self, name: &str) -> Result<serde_json::Value> {
        let scene = scene::by_name(name).with_context(|| format!("{name:?}: no such command"))?;
        let mut traced = self.undisturbed(scene);
        for _ in 0..2 {
            if traced.is_err() {
                self.clear_standing()?;
                traced = self.undisturbed(scene);
            }
        }
        let (outcome, ..) = traced?;
        let call = |seen: &tracer::Seen| {
            json!([seen.who.name(), call_name(seen.call), seen.number, seen.makes, seen.object, seen.site])
        };
        Ok(json!({"calls": outcome.seen.iter().map(call).collect::<Vec<_>>()}))
    }

    fn trial(&mut self, point: &Point) -> Result<serde_json::Value> {
        let scene =
            scene::by_name(&point.scene).with_context(|| format!("{:?}: no such command", point.scene))?;
        self.baseline(scene)?;
        self.set_up(scene)?;
        let (outcome, said) = self.traced(scene, Some(point))?;
        let said = self.settled(scene, said);
        let baseline = self.baselines.get(scene.name).context("a baseline")?;
        let mut findings = verdict::judge(point, &said, baseline);
        let same = baseline.host.compare(&said.host).is_empty();
        if !(scene.reads && same) {
            self.standing = None;
            let succeeded = said.end == End::Code(0);
            findings.extend(self.aftermath(scene, succeeded)?);
        }
        let bad: Vec<_> = findings.iter().map(|finding| json!([finding.bad.name(), finding.text])).collect();
        Ok(json!({
            "point": point.to_string(),
            "hit": outcome.hit.is_some(),
            "object": outcome.hit.as_ref().map(|seen| &seen.object),
            "site": outcome.hit.as_ref().map(|seen| &seen.site),
            "end": format!("{:?}", said.end),
            "stderr": said.stderr.trim(),
            "bad": bad,
        }))
    }

    /// With the host as it is when it has come to rest: what a success promises may come a moment later.
    fn settled(&self, scene: &Scene, said: Said) -> Said {
        let until = Instant::now() + patience(Duration::from_secs(2));
        let baseline = self.baselines.get(scene.name).cloned().unwrap_or_default();
        let mut said = said;
        loop {
            said.host = self.host(scene);
            let rests = match said.end {
                End::Code(0) => baseline.host.compare(&said.host).is_empty(),
                _ => verdict::half(&said, &baseline).is_empty(),
            };
            if rests || Instant::now() > until {
                return said;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// One delete, and then nothing is left; and the name can be used again.
    fn aftermath(&mut self, scene: &Scene, succeeded: bool) -> Result<Vec<Finding>> {
        let mut findings = self.clean(scene)?;
        if findings.is_empty() && !succeeded {
            let (end, said) = self.plain(scene, RUN)?;
            if end != End::Code(0) {
                let text = format!("the next run: {end:?}: {}", said.trim());
                findings.push(Finding::new(Bad::Leaked, text));
            }
            findings.extend(
                self.left()
                    .into_iter()
                    .map(|line| Finding::new(Bad::Leaked, format!("by the next run: {line}"))),
            );
        }
        if !findings.is_empty() {
            self.spoiled = true;
            self.scrub();
        }
        Ok(findings)
    }

    fn clean(&self, scene: &Scene) -> Result<Vec<Finding>> {
        class::settle(&self.place.tag);
        let mut findings = if scene.tool == Tool::Shim { self.without_shim(scene)? } else { Vec::new() };
        for name in self.names(scene) {
            let (end, said) = self.plain(scene, &format!("delete --force {name}"))?;
            if end != End::Code(0) {
                findings.push(Finding::new(Bad::Leaked, format!("delete: {end:?}: {}", said.trim())));
            }
        }
        self.place.forget_images();
        findings.extend(self.left().into_iter().map(|line| Finding::new(Bad::Leaked, line)));
        Ok(findings)
    }

    /// As containerd does it when a shim is gone.
    fn without_shim(&self, scene: &Scene) -> Result<Vec<Finding>> {
        let bundle = self.place.path(scene.bundle.name());
        let mut command = self.place.command(scene, Tool::Shim, "", false)?;
        shim::delete(&mut command, &bundle);
        let (end, hung) = reap(&mut command, &self.watch)?;
        let said = self.place.written("stderr");
        shim::forget(&self.place, &bundle);
        let mut findings = Vec::new();
        if end != End::Code(0) {
            let text = format!("shim delete: {end:?}: {} {}", said.trim(), hung.unwrap_or_default());
            findings.push(Finding::new(Bad::Leaked, text));
        }
        if self.place.state(scene.bundle).join(NAME).exists() {
            findings.push(Finding::new(Bad::Leaked, "shim delete: the container is still there"));
        }
        Ok(findings)
    }

    /// Containers that are recorded, and the one that we named.
    fn names(&self, scene: &Scene) -> BTreeSet<String> {
        let entries = std::fs::read_dir(self.place.state(scene.bundle)).into_iter().flatten().flatten();
        // `try` puts its file tree beside its container.
        let name = |entry: std::fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.strip_suffix(".tree").map(str::to_owned).unwrap_or(name)
        };
        let recorded = entries.map(name);
        recorded.chain(["ID".to_owned()]).filter(|name| name != NAME && !name.starts_with('.')).collect()
    }

    /// What differs from the beginning when the kernel has had its time.
    fn left(&self) -> Vec<String> {
        let until = Instant::now() + patience(SETTLE);
        loop {
            drain();
            let differences = self.look().differences(&self.before);
            if differences.is_empty() || Instant::now() > until {
                return differences;
            }
            std::thread::sleep(Duration::from_millis(3));
        }
    }

    fn scrub(&self) {
        settle::scrub(&self.place.tag);
    }
}
