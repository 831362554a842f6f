//! Prints the mounts of this process's namespace as a tree.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks")]

use libcontainer_mount::{Entry, MountTable};

fn print(table: &MountTable<'_>, entry: &Entry<'_>, depth: usize) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    println!(
        "{:depth$}{} {} {}",
        "",
        text(&entry.target),
        text(&entry.fstype),
        text(entry.options),
        depth = depth * 2
    );
    // A cycle can't come from the kernel, but a file may hold anything.
    if depth < 64 {
        table.children(entry.id).for_each(|child| print(table, child, depth + 1));
    }
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let text = std::fs::read("/proc/self/mountinfo")?;
    let table = MountTable::parse(&text)?;
    table.roots().for_each(|root| print(&table, root, 0));
    Ok(())
}
