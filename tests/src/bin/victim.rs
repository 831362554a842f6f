//! Makes a container and kills itself on the way: `victim DIR ROOTFS MODE STEP`, where a step of `-` means never.
#![forbid(unsafe_code)]

use libcontainer::{Factory, ProcessConfig};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, rootfs, mode, step] = args.as_slice() else { return Err("four arguments".into()) };
    let mut config = libcontainer_tests::config(rootfs.as_ref());
    config.cgroups = Some(libcontainer_tests::group_of(dir.as_ref()));
    if let Ok(bridge) = std::env::var("VICTIM_BRIDGE") {
        let nat = std::env::var_os("VICTIM_NAT").is_some();
        let port = libcontainer::Port { host_port: 8080, port: 80, ..libcontainer::Port::default() };
        config.networks.push(libcontainer::Network {
            nat,
            forward: nat,
            ports: vec![port].into_iter().filter(|_| nat).collect(),
            kind: "veth".to_owned(),
            bridge,
            create_bridge: true,
            veth_prefix: "vic".to_owned(),
            address: "10.0.0.2/24".to_owned(),
            ..libcontainer::Network::default()
        });
    }
    let step: Option<usize> = step.parse().ok();
    let own = nix::unistd::Pid::this();
    let factory = Factory::new()?.observe(move |index| {
        if step == Some(index) {
            let _ = nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let process = || ProcessConfig::new(["sleep", "300"]);
    if mode == "once" {
        let (container, mut process) =
            factory.run(format!("{dir}/0"), &config, ProcessConfig::new(["true"]))?;
        process.wait()?;
        return Ok(container.destroy()?);
    }
    for number in 0.. {
        let path = format!("{dir}/{number}");
        let container = match mode.as_str() {
            "reaper" => factory.create(path, &config)?,
            "created" => factory.create_with(path, &config, process())?.0,
            _ => factory.run(path, &config, process())?.0,
        };
        if step.is_some() {
            break;
        }
        container.destroy()?;
    }
    Ok(())
}
