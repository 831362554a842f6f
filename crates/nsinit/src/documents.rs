//! spec and features: documents that describe what can be asked for.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;

use libcontainer::cgroups::discovery::{Layout, Mode};
use libcontainer_oci::spec::Spec;
use serde::Serialize;

use crate::arguments::SpecArgs;
use crate::failure::{Failure, Named, Outcome};
use crate::output::say;

const FILE: &str = "config.json";
const CHECKPOINTS: &str = "org.opencontainers.runc.checkpoint.enabled";

/// `spec`: writes a config to begin with; `rootless` is one for an ordinary user, with a user namespace.
#[inline(never)]
pub(crate) fn spec(args: &SpecArgs, rootless: bool) -> Outcome {
    let layout = Layout::of_this_process().map_err(|error| Failure::new(error.to_string()))?;
    let unified = layout.mode == Mode::Unified;
    let spec = if rootless {
        libcontainer_oci::rootless_spec(
            unified,
            nix::unistd::geteuid().as_raw(),
            nix::unistd::getegid().as_raw(),
        )
    } else {
        libcontainer_oci::default_spec(unified)
    };
    write(&args.bundle.join(FILE), &spec)?;
    Ok(0)
}

/// A file that is there is somebody's work.
fn write(path: &Path, spec: &Spec) -> Result<(), Failure> {
    let text = pretty(spec)?;
    let file = OpenOptions::new().write(true).create_new(true).open(path);
    let mut file =
        file.named(format_args!("{}: create (a file that is there is not written over)", path.display()))?;
    file.write_all(text.as_bytes()).named(format_args!("{}: write", path.display()))
}

/// With tabs, as it is edited by hand.
fn pretty(value: &impl Serialize) -> Result<String, Failure> {
    let mut text = Vec::new();
    let format = serde_json::ser::PrettyFormatter::with_indent(b"\t");
    value.serialize(&mut serde_json::Serializer::with_formatter(&mut text, format)).named("as JSON")?;
    text.push(b'\n');
    String::from_utf8(text).map_err(|error| Failure::new(format!("as JSON: {error}")))
}

/// `features`: what this program can, as the specification has it.
#[inline(never)]
pub(crate) fn features() -> Outcome {
    let probe = libcontainer::Probe::current().named("look at this kernel")?;
    let mut features = libcontainer_oci::features(&probe);
    // Callers of runc look for it; whether there is a criu is another question.
    features.annotations.insert(CHECKPOINTS.to_owned(), "true".to_owned());
    say!("{}", serde_json::to_string_pretty(&features).named("the features as JSON")?)?;
    Ok(0)
}
