//! `syscalls`: writes the table of system call numbers from the kernel's user headers, as Debian packages them.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::run::root;
use crate::vm;

/// Where the table lies.
const TABLE: &str = "crates/security/src/seccomp/syscalls.in";
/// The package of all architectures' headers, of the newest kernel there is.
const NEWEST: &str = "linux-libc-dev/trixie-backports";
/// 31-bit programs went with Linux 6.19: their numbers are those of an older one.
const S390: &str = "linux-libc-dev-s390x-cross/bookworm";
/// Numbers of ARM's own calls begin here, and in the table, which has 16 bits, there.
const ARM_PRIVATE: (u32, u32) = (0xf_0000, 0xf000);

/// A column: its name, and its header below `usr` of both packages.
const COLUMNS: [(&str, &str); 18] = [
    ("x86", "include/i386-linux-gnu/asm/unistd_32.h"),
    ("x86_64", "include/x86_64-linux-gnu/asm/unistd_64.h"),
    ("x32", "include/x86_64-linux-gnux32/asm/unistd_x32.h"),
    ("arm", "include/arm-linux-gnueabihf/asm/unistd-eabi.h"),
    ("aarch64", "include/aarch64-linux-gnu/asm/unistd_64.h"),
    ("mips", "include/mips-linux-gnu/asm/unistd_o32.h"),
    ("mips64", "include/mips-linux-gnu/asm/unistd_n64.h"),
    ("mips64n32", "include/mips-linux-gnu/asm/unistd_n32.h"),
    ("ppc", "include/powerpc-linux-gnu/asm/unistd_32.h"),
    ("ppc64", "include/powerpc64-linux-gnu/asm/unistd_64.h"),
    ("s390", "s390x-linux-gnu/include/asm/unistd_32.h"),
    ("s390x", "include/s390x-linux-gnu/asm/unistd_64.h"),
    ("riscv64", "include/riscv64-linux-gnu/asm/unistd_64.h"),
    ("loongarch64", "include/loongarch64-linux-gnu/asm/unistd_64.h"),
    ("parisc", "include/hppa-linux-gnu/asm/unistd_32.h"),
    ("parisc64", "include/hppa-linux-gnu/asm/unistd_64.h"),
    ("m68k", "include/m68k-linux-gnu/asm/unistd_32.h"),
    ("sh", "include/sh4-linux-gnu/asm/unistd_32.h"),
];

type Rows = BTreeMap<String, [Option<u16>; COLUMNS.len()]>;

/// `syscalls`.
pub(crate) fn run() -> Result<()> {
    let dir = root().join("target/syscalls");
    let debs = vm::packages(&[NEWEST, S390], &dir)?;
    let versions: Vec<_> = debs.iter().filter_map(|deb| version(deb)).collect();
    let rows = rows(&dir.join("usr"))?;
    std::fs::write(root().join(TABLE), written(&rows, &versions)).context(TABLE)?;
    println!("{TABLE}: {} names, {}", rows.len(), versions.join(", "));
    Ok(())
}

/// `linux-libc-dev 7.3.4-1~bpo13+1` of a package's file.
fn version(deb: &Path) -> Option<String> {
    let mut parts = deb.file_name()?.to_str()?.split('_');
    Some(format!("{} {}", parts.next()?, parts.next()?))
}

fn rows(dir: &Path) -> Result<Rows> {
    let mut rows = Rows::new();
    for (index, (column, header)) in COLUMNS.iter().enumerate() {
        let text = std::fs::read_to_string(dir.join(header)).with_context(|| (*header).to_owned())?;
        let mut found = numbers(&text);
        if *column == "arm" {
            let text = std::fs::read_to_string(dir.join(header.replace("-eabi", "")))?;
            found.extend(arm(&text, &found)?);
        }
        if found.len() < 250 {
            bail!("{header}: {} system calls: not the header that it was", found.len());
        }
        for (name, number) in found {
            let cell = rows.entry(name).or_default().get_mut(index).context("a column too many")?;
            *cell = Some(u16::try_from(number).context("a number of more than 16 bits")?);
        }
    }
    Ok(rows)
}

/// The lines `#define __NR_read 0` and `#define __NR_read (__NR_Linux + 0)`; names in capitals are limits.
fn numbers(text: &str) -> BTreeMap<String, u32> {
    let number = |line: &str| {
        let (name, value) = line.strip_prefix("#define __NR_")?.split_once([' ', '\t'])?;
        let value = value.trim().trim_start_matches('(').trim_end_matches(')');
        let value = value.rsplit('+').next()?.trim().parse().ok()?;
        let is_name = !name.contains(|letter: char| letter.is_ascii_uppercase());
        is_name.then(|| (name.to_owned(), value))
    };
    text.lines().filter_map(number).collect()
}

/// ARM's own calls, and a name that is another's.
fn arm(text: &str, found: &BTreeMap<String, u32>) -> Result<BTreeMap<String, u32>> {
    let own = |line: &str| {
        let (name, value) = line.strip_prefix("#define __ARM_NR_")?.split_once([' ', '\t'])?;
        let value: u32 = value.trim().strip_prefix("(__ARM_NR_BASE+")?.strip_suffix(')')?.parse().ok()?;
        Some((name.to_owned(), ARM_PRIVATE.1 + value))
    };
    let mut all: BTreeMap<_, _> = text.lines().filter_map(own).collect();
    let range = found.get("arm_sync_file_range").context("no arm_sync_file_range")?;
    all.insert("sync_file_range2".to_owned(), *range);
    if all.len() < 6 {
        bail!("ARM's own calls are not where they were");
    }
    Ok(all)
}

fn written(rows: &Rows, versions: &[String]) -> String {
    let columns: Vec<_> = COLUMNS.iter().map(|(name, _)| *name).collect();
    let mut text = format!(
        "// Written by `cargo xtask syscalls` from {}; not by hand. Columns: {}. `N` is none.\n\
         // x32 without bit 30, mips without 4000, 5000, 6000; ARM's own calls from {:#x} instead of {:#x}.\n[\n",
        versions.join(" and "),
        columns.join(", "),
        ARM_PRIVATE.1,
        ARM_PRIVATE.0
    );
    for (name, numbers) in rows {
        let cell = |number: &Option<u16>| number.map_or_else(|| "N".to_owned(), |number| number.to_string());
        let cells: Vec<_> = numbers.iter().map(cell).collect();
        // Writing to a string can't fail.
        let _ = writeln!(text, "(\"{name}\", [{}]),", cells.join(","));
    }
    text.push_str("]\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_in_both_forms() {
        let text = "#define __NR_read 0\n#define __NR_write (__NR_Linux + 4)\n#define __NR_O32_Linux_syscalls 9\n\
                    #define __NR_Linux 4000\n# define __NR_other 7\n";
        let found: Vec<_> = numbers(text).into_iter().collect();
        assert_eq!(found, [("read".to_owned(), 0), ("write".to_owned(), 4)]);
    }

    #[test]
    fn arm_has_calls_of_its_own() {
        let text = "#define __ARM_NR_BASE\t\t\t(__NR_SYSCALL_BASE+0x0f0000)\n#define __ARM_NR_set_tls\t\t(__ARM_NR_BASE+5)\n";
        let found = BTreeMap::from([("arm_sync_file_range".to_owned(), 341)]);
        assert!(arm(text, &found).is_err(), "one is not all");
        let all = format!(
            "{text}{}",
            ["a", "b", "c", "d"].map(|name| format!("#define __ARM_NR_{name} (__ARM_NR_BASE+1)\n")).concat()
        );
        assert_eq!(arm(&all, &found).unwrap().get("set_tls"), Some(&0xf005));
    }
}
