//! A plan as text and as JSON. The same rendering stands in errors, so the two can't disagree.

use crate::wire::CLONE_INTO_CGROUP;
use crate::wire::unsigned;
use std::fmt::{self, Write as _};

use crate::error::Lane;
use crate::flags;
use crate::host::HostOp;
use crate::part::Part;
use crate::plan::{Plan, calls};
use crate::shown;
use crate::step::{Arg, Memory, Point, Step};
use crate::syscalls::{Class, Fmt};
use crate::wire::Kind;

/// A step of either lane, rendered.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct StepView {
    /// Index in its lane.
    pub index: usize,
    /// What it is for.
    pub purpose: String,
    /// The call with its arguments.
    pub call: String,
    /// Outcomes that don't end the plan: `ENOENT → 12`.
    pub outcomes: Vec<String>,
    /// The undo of a host step.
    pub undo: String,
    /// System calls that it takes in the init.
    pub syscalls: usize,
}

#[derive(serde::Serialize)]
struct Document<'a> {
    namespaces: String,
    counts: crate::Counts,
    presets: Vec<&'a str>,
    host: Vec<StepView>,
    child: Vec<StepView>,
}

impl Plan {
    /// The steps of a lane, rendered, in order.
    pub fn steps(&self, lane: Lane) -> impl DoubleEndedIterator<Item = StepView> + ExactSizeIterator {
        (0..self.len(lane)).map(move |index| self.step_view(lane, index))
    }

    pub(crate) fn step_view(&self, lane: Lane, index: usize) -> StepView {
        match lane {
            Lane::Child => self.child_view(index),
            Lane::Host => self.host_view(index),
        }
    }

    fn child_view(&self, index: usize) -> StepView {
        let Some((part, step)) = self.step(index) else {
            return StepView { index, ..StepView::empty() };
        };
        let named = part.targets.get(index - part.first).into_iter().flatten();
        let outcomes = named.map(|(errno, to)| {
            let errno = if *errno == 0 { "ok".to_owned() } else { symbol(i32::from(*errno)) };
            let to = part.first + usize::from(*to);
            if to == index + 1 { format!("{errno} → next") } else { format!("{errno} → {to}") }
        });
        StepView {
            index,
            purpose: part.purposes.get(step.purpose as usize).cloned().unwrap_or_default(),
            call: part.call(step),
            outcomes: outcomes.collect(),
            undo: String::new(),
            syscalls: calls(step),
        }
    }

    fn host_view(&self, index: usize) -> StepView {
        let op = self.host.get(index);
        let undo = match op {
            Some(HostOp::Step(step)) => step.undo_text().to_owned(),
            Some(HostOp::Clone) => "kill the init and reap it".to_owned(),
            _ => String::new(),
        };
        let call = op.map(|op| self.host_text(op)).unwrap_or_default();
        StepView { index, call, undo, ..StepView::empty() }
    }

    /// A host step as it stands in `explain` and in errors.
    pub(crate) fn host_text(&self, op: &HostOp) -> String {
        let name = |point: &Point| self.point_name(*point);
        match op {
            HostOp::Step(step) => step.text().to_owned(),
            HostOp::Clone => self.clone_text(),
            HostOp::Await(point) => format!("wait for init: {}", name(point)),
            HostOp::Notify(point) => format!("tell init: {}", name(point)),
            HostOp::Receive(point) => format!("take from init: {}", name(point)),
            HostOp::Send(point, source) => format!("{}: give to init: {}", source.text, name(point)),
            HostOp::Respawn(_) => "adopt the respawned init, reap the first".to_owned(),
            HostOp::AwaitExec => "wait for exec".to_owned(),
            HostOp::Place(name) => (*name).to_owned(),
        }
    }

    pub(crate) fn point_name(&self, point: Point) -> &str {
        let index = usize::from(point.0).wrapping_sub(1);
        self.points.get(index).map_or("", String::as_str)
    }

    fn clone_text(&self) -> String {
        let born = if self.flags & CLONE_INTO_CGROUP == 0 { "" } else { "CLONE_INTO_CGROUP|" };
        let flags = format!("CLONE_VM|CLONE_VFORK|CLONE_PIDFD|{born}{}", self.namespace_names());
        format!("clone3({flags}), execveat(init)")
    }

    fn namespace_names(&self) -> String {
        let namespaces = self.flags & !CLONE_INTO_CGROUP;
        flags::render(flags::CLONE, u32::try_from(namespaces).unwrap_or(0))
    }

    /// The plan as JSON: counts, presets, both lanes.
    ///
    /// # Errors
    /// None in practice; those of the JSON writer.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(&Document {
            namespaces: self.namespace_names(),
            counts: self.counts(),
            presets: self.presets().map(|(_, name)| name).collect(),
            host: self.steps(Lane::Host).collect(),
            child: self.steps(Lane::Child).collect(),
        })
    }

    /// The plan as text; implements `Display`.
    #[must_use]
    pub fn explain(&self) -> Explain<'_> {
        Explain(self)
    }
}

impl Part {
    fn call(&self, step: &Step) -> String {
        let formats = step.sys.params.iter().copied().chain(std::iter::repeat(Fmt::Int));
        let args: Vec<String> =
            step.args.iter().zip(formats).map(|(arg, format)| self.argument(*arg, format)).collect();
        let list = args.join(", ");
        let mut text = match step.kind {
            Kind::Compare => format!("compare result of {}({list})", step.sys.name),
            Kind::ResetSignals if step.aux != 0 => "rt_sigaction(HUP, INT, QUIT, TERM: end)".to_owned(),
            Kind::ResetSignals => "rt_sigaction(1..64, SIG_DFL)".to_owned(),
            Kind::Hook => format!("run hook {list}"),
            Kind::SendFd if step.sys.class == Class::Seccomp => {
                format!(
                    "{}({}), send its listener",
                    step.sys.name,
                    args.get(..3).unwrap_or_default().join(", ")
                )
            }
            Kind::Reap => "reap until SIGTERM".to_owned(),
            Kind::Next => "go on with the second part".to_owned(),
            Kind::Continue => "take the second part from the host".to_owned(),
            Kind::Respawn => "clone3(CLONE_PARENT|CLONE_PIDFD), go on in the child".to_owned(),
            _ => format!("{}({list})", step.sys.name),
        };
        if let Some(slot) = step.out {
            let _ = write!(text, " = s{}", slot.number());
        }
        if step.kind == Kind::Expect {
            let _ = write!(text, " must be {}", step.aux);
        }
        if step.kind == Kind::Open && step.aux != 0 {
            let _ = write!(text, " made if missing: {}", mode(step.aux));
        }
        text
    }

    fn argument(&self, arg: Arg, format: Fmt) -> String {
        match (arg, format) {
            (Arg::Slot(slot), _) => format!("s{}", slot.number()),
            (Arg::Memory(at, memory), _) => self.memory(at, memory),
            (Arg::Int(libc::AT_FDCWD), Fmt::At) => "AT_FDCWD".to_owned(),
            (Arg::Int(value), _) if value < 0 => value.to_string(),
            (Arg::Int(value), _) => number(unsigned(value), format),
            (Arg::Bits(value), _) => number(value, format),
        }
    }

    fn memory(&self, at: u32, memory: Memory) -> String {
        let view = self.view();
        match memory {
            Memory::Text => quote(view.text(at)),
            Memory::How => {
                let low = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
                let flags = flags::render(flags::OPEN, low(view.word(at)));
                format!("{{{flags}, {}}}", flags::render(flags::RESOLVE, low(view.word(at + 16))))
            }
            Memory::Attr => self.attributes(at),
            Memory::Strings => {
                let texts: Vec<_> = self.pointers(at).map(|at| quote(view.text(at))).collect();
                format!("[{}]", texts.join(", "))
            }
            Memory::Environment => format!("{{{} variables}}", self.pointers(at).count()),
            Memory::Ids(count) if count > 16 => format!("[{count} ids]"),
            Memory::Ids(count) => {
                let ids: Vec<_> = (0..count).map(|index| view.half(at + 4 * index).to_string()).collect();
                format!("[{}]", ids.join(", "))
            }
            Memory::Bytes(len) => {
                let bytes = view.bytes.get(at as usize..(at + len) as usize).unwrap_or_default();
                quote(bytes)
            }
            Memory::Word => format!("{:#x}", view.word(at)),
            Memory::Limit => format!("{{{}, {}}}", limit(view.word(at)), limit(view.word(at + 8))),
            Memory::Handled => shown::handled(view, at),
            Memory::PathRule => shown::path_rule(view, at),
            Memory::PortRule => shown::port_rule(view, at),
            Memory::Scheduler => shown::scheduler(view, at),
            Memory::Numbers(len) => {
                shown::numbers(view.bytes.get(at as usize..(at + len) as usize).unwrap_or_default())
            }
            Memory::Opaque(name) => format!("<{name}>"),
        }
    }

    fn attributes(&self, at: u32) -> String {
        let view = self.view();
        let low = |word: u64| u32::try_from(word).unwrap_or(u32::MAX);
        let (set, clear, propagation) = (view.word(at), view.word(at + 8), view.word(at + 16));
        let mut parts = Vec::new();
        if set != 0 {
            parts.push(format!("set {}", flags::render(flags::MOUNT_ATTR, low(set))));
        }
        if clear != 0 {
            parts.push(format!("clear {}", flags::render(flags::MOUNT_ATTR, low(clear))));
        }
        if propagation != 0 {
            parts.push(flags::render(flags::MS, low(propagation)));
        }
        format!("{{{}}}", parts.join(", "))
    }

    fn pointers(&self, at: u32) -> impl Iterator<Item = u32> {
        let view = self.view();
        let words = (0..).map(move |index| at + 8 * index);
        let is_pointer = |place: &u32| self.relocations.contains(place);
        words.take_while(is_pointer).map(move |place| u32::try_from(view.word(place)).unwrap_or(0))
    }
}

impl StepView {
    fn empty() -> Self {
        let none = String::new;
        Self { index: 0, purpose: none(), call: none(), outcomes: Vec::new(), undo: none(), syscalls: 0 }
    }
}

/// Renders a plan: see [`Plan::explain`].
#[derive(Debug)]
pub struct Explain<'a>(&'a Plan);

impl fmt::Display for Explain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let plan = self.0;
        let counts = plan.counts();
        writeln!(
            f,
            "plan: init {} steps, {} system calls; host {} steps; {} bytes",
            counts.child_steps, counts.child_syscalls, counts.host_steps, counts.bytes
        )?;
        for (slot, name) in plan.presets() {
            writeln!(f, "given   s{} {name}", slot.number())?;
        }
        for step in plan.steps(Lane::Host) {
            let undo = if step.undo.is_empty() { String::new() } else { format!("   [undo: {}]", step.undo) };
            writeln!(f, "host  {:>4}  {}{undo}", step.index, step.call)?;
        }
        let mut purpose = String::new();
        for step in plan.steps(Lane::Child) {
            if step.purpose != purpose {
                writeln!(f, "            {}", step.purpose)?;
            }
            let outcomes = if step.outcomes.is_empty() {
                String::new()
            } else {
                format!("   [{}]", step.outcomes.join(", "))
            };
            writeln!(f, "init  {:>4}  {}{outcomes}", step.index, step.call)?;
            purpose = step.purpose;
        }
        Ok(())
    }
}

fn number(value: u32, format: Fmt) -> String {
    match format {
        Fmt::Int | Fmt::At | Fmt::Memory if value == u32::MAX => "~0".to_owned(),
        Fmt::Int | Fmt::At => value.to_string(),
        Fmt::Memory if value == 0 => "NULL".to_owned(),
        Fmt::Memory => format!("{value:#x}"),
        Fmt::Mode => mode(value),
        Fmt::Io => shown::io(value),
        Fmt::Flags(names) => flags::render(names, value),
        Fmt::Name(names) => flags::name(names, value),
        Fmt::Device => {
            let device = libc::dev_t::from(value);
            format!("{}:{}", libc::major(device), libc::minor(device))
        }
    }
}

fn mode(value: u32) -> String {
    let kind = match value & libc::S_IFMT {
        libc::S_IFCHR => "S_IFCHR|",
        libc::S_IFBLK => "S_IFBLK|",
        libc::S_IFREG => "S_IFREG|",
        libc::S_IFIFO => "S_IFIFO|",
        libc::S_IFDIR => "S_IFDIR|",
        _ => "",
    };
    format!("{kind}{:#05o}", value & 0o7777).replace("0o", "0")
}

fn limit(value: u64) -> String {
    if value == u64::MAX { "unlimited".to_owned() } else { value.to_string() }
}

fn symbol(errno: i32) -> String {
    format!("{:?}", nix::errno::Errno::from_raw(errno))
}

fn quote(bytes: &[u8]) -> String {
    const SHOWN: usize = 120;
    let text = bytes.get(..SHOWN).unwrap_or(bytes).escape_ascii();
    format!("\"{text}\"{}", if bytes.len() > SHOWN { "..." } else { "" })
}
