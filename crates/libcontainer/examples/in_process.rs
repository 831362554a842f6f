//! Makes a container from JSON on the rootfs given as argument, runs the rest of the arguments in it and prints what they wrote.
#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks")]

use libcontainer::{Config, Factory, ProcessConfig};

fn main() -> libcontainer::Result<()> {
    let mut args = std::env::args_os().skip(1);
    let rootfs = args.next().unwrap_or_else(|| "/srv/rootfs".into());
    let (mut config, _) = Config::from_json(
        br#"{"hostname":"demo","networks":[{"type":"loopback"}],"restrict_sys":true,"capabilities":["CHOWN","KILL"],
            "namespaces":{"NEWNS":true,"NEWPID":true,"NEWUTS":true,"NEWIPC":true,"NEWNET":true}}"#,
    )?;
    config.rootfs = rootfs.into();
    let directory = std::env::temp_dir().join(format!("container-{}", std::process::id()));
    let container = Factory::new()?.create(&directory, &config)?;
    let output = container.start(ProcessConfig::new(args).piped())?.output(1 << 20)?;
    print!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    println!("{}", output.status);
    container.destroy()
}
