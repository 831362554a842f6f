//! update: limits from options, or from a file.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use libcontainer::cgroups::Resources;
use libcontainer::cgroups::resources::{BlockIo, Cpu, Memory, Pids};
use libcontainer_oci::leave_idle_weight;
use libcontainer_oci::spec::resources_from_json;

use crate::arguments::UpdateArgs;
use crate::failure::{Failure, Named, Outcome};
use crate::lifecycle::load;
use crate::log::{Level, tell};
use crate::root::State;

/// Bytes that a file of limits may have.
const LIMIT: u64 = 1024 * 1024;

#[inline(never)]
pub(crate) fn update(root: &State, args: UpdateArgs) -> Outcome {
    let id = args.id.clone();
    let given =
        args.resources.as_deref().map(|path| read(path, root.debug())).transpose()?.unwrap_or_default();
    let text = |option: &Option<String>| option.clone().unwrap_or_default();
    let (schemata, _) = libcontainer_oci::schemata(&text(&args.l3_cache_schema), &text(&args.mem_bw_schema));
    let from_file = args.resources.is_some();
    let mut resources = over(given, args);
    for problem in leave_idle_weight(&mut resources, "") {
        tell(Level::Warning, &format!("update {id:?}: {problem}"));
    }
    // A file that says nothing is the wish of a program: runc takes it too.
    if resources == Resources::default() && schemata.is_empty() && !from_file {
        return Err(Failure::usage("no limit is given: see nsinit update --help"));
    }
    load(root, &id)?.update_with(&resources, &schemata)?;
    Ok(0)
}

/// What is left out is told as that of a config.json is.
fn read(path: &Path, tells: bool) -> Result<Resources, Failure> {
    let name = format!("--resources {}", path.display());
    let mut text = String::new();
    let count = if path == Path::new("-") {
        io::stdin().lock().take(LIMIT + 1).read_to_string(&mut text)
    } else {
        File::open(path).and_then(|file| file.take(LIMIT + 1).read_to_string(&mut text))
    };
    if count.named(&name)? as u64 > LIMIT {
        return Err(Failure::new(format!("{name}: more than {LIMIT} bytes")));
    }
    let (resources, notes) =
        resources_from_json(text.as_bytes()).map_err(|error| Failure::new(format!("{name}: {error}")))?;
    for problem in notes.into_iter().filter(|_| tells) {
        tell(Level::Warning, &format!("{name}: {problem}"));
    }
    Ok(resources)
}

/// The options laid over what the file says.
fn over(given: Resources, args: UpdateArgs) -> Resources {
    let (memory, cpu) = (given.memory.unwrap_or_default(), given.cpu.unwrap_or_default());
    let (pids, block_io) = (given.pids.unwrap_or_default(), given.block_io.unwrap_or_default());
    let memory = Memory {
        limit: args.memory.or(memory.limit),
        reservation: args.memory_reservation.or(memory.reservation),
        swap: args.memory_swap.or(memory.swap),
        ..memory
    };
    let cpu = Cpu {
        shares: args.cpu_shares.or(cpu.shares),
        quota: args.cpu_quota.or(cpu.quota),
        period: args.cpu_period.or(cpu.period),
        burst: args.cpu_burst.or(cpu.burst),
        idle: args.cpu_idle.or(cpu.idle),
        cpus: args.cpuset_cpus.or(cpu.cpus),
        mems: args.cpuset_mems.or(cpu.mems),
        ..cpu
    };
    let pids = Pids { limit: args.pids_limit.or(pids.limit) };
    let block_io = BlockIo { weight: args.blkio_weight.or(block_io.weight), ..block_io };
    Resources {
        memory: Some(memory).filter(|memory| *memory != Memory::default()),
        cpu: Some(cpu).filter(|cpu| *cpu != Cpu::default()),
        pids: Some(pids).filter(|pids| *pids != Pids::default()),
        block_io: Some(block_io).filter(|block_io| *block_io != BlockIo::default()),
        ..given
    }
}
