//! The policy of machines with SELinux: ours, small, compiled by the guest's own compiler.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::image::Tools;
use crate::run::check;

/// Without the categories, which CIL wants one by one.
const SOURCE: &str = include_str!("policy.cil");
/// Known to every kernel that is booted here.
const VERSION: &str = "31";
const CATEGORIES: usize = 1024;

/// The binary policy.
pub(crate) fn policy(tools: &Tools, cache: &Path) -> Result<Vec<u8>> {
    let dir = cache.join("selinux");
    fs::create_dir_all(&dir)?;
    let (source, binary, contexts) = (dir.join("policy.cil"), dir.join("policy"), dir.join("file_contexts"));
    fs::write(&source, format!("{}{SOURCE}", categories()))?;
    let mut compiler = tools.command("secilc", "usr/bin/secilc");
    check(compiler.args(["-c", VERSION, "-o"]).arg(&binary).arg("-f").arg(contexts).arg(source))?;
    fs::read(&binary).with_context(|| binary.display().to_string())
}

fn categories() -> String {
    let names: Vec<String> = (0..CATEGORIES).map(|number| format!("c{number}")).collect();
    let mut text = String::new();
    for name in &names {
        let _ = writeln!(text, "(category {name})");
    }
    let _ = writeln!(text, "(categoryorder ({}))", names.join(" "));
    text
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_category_is_there_once() {
        let text = super::categories();
        assert!(text.starts_with("(category c0)\n") && text.contains("(category c1023)\n"));
        assert!(text.ends_with(" c1023))\n") && !text.contains("c1024"));
    }
}
