//! Writes `crates/nsinit/order.txt`: what of the command line's text is called by the commands that engines call, in the order of the first calls. The kernel maps
//! a program by 64 KiB around each page that is touched; what is called together is linked together, so that little else is mapped.
//!
//! `touched PROGRAM MAP ORDER`: the program, the linker's map of it, the file to write. x86_64 only.
#![forbid(unsafe_code)]
#![allow(
    clippy::print_stderr,
    clippy::indexing_slicing,
    reason = "a tool talks to its user, and what JSON lacks it makes"
)]

mod failure;
mod map;
mod order;
mod scene;
mod trace;

use std::collections::HashSet;
use std::fs;
use std::path::PathBuf;

use failure::Failure;
use map::Map;

fn main() -> Result<(), Failure> {
    let args: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [program, map, file] = args.as_slice() else { return Err("touched PROGRAM MAP ORDER".into()) };
    let map = Map::parse(&fs::read_to_string(map)?);
    let mut functions: Vec<u64> = map.functions.keys().copied().collect();
    functions.sort_unstable();
    if functions.is_empty() {
        return Err("the map has no functions: it is not of LLVM's linker".into());
    }
    let calls = scene::play(&program.canonicalize()?, &functions)?;
    let called: Vec<usize> = calls.iter().filter_map(|call| map.functions.get(call).copied()).collect();
    let patterns = order::of(&map.pieces, &called);
    let distinct = calls.iter().collect::<HashSet<_>>().len();
    eprintln!("{distinct} of {} functions are called; {} patterns", functions.len(), patterns.len());
    Ok(fs::write(file, patterns.join("\n") + "\n")?)
}
