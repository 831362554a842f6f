//! Makes a container and kills itself on the way: `victim DIR ROOTFS MODE STEP`, where a step of `-` means never.
#![forbid(unsafe_code)]

use libcontainer::{Config, Factory, Hook, Hooks, ProcessConfig, Resctrl, Template};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let [dir, rootfs, mode, step] = args.as_slice() else { return Err("four arguments".into()) };
    let mut config = match mode.as_str() {
        "once-mounts" => libcontainer_tests::config_with_mounts(rootfs.as_ref()),
        _ => libcontainer_tests::config(rootfs.as_ref()),
    };
    config.cgroups = Some(libcontainer_tests::group_of(dir.as_ref()));
    if mode == "hooked" {
        config.hooks = hooks(rootfs);
    }
    with_networks(&mut config);
    let step: Option<usize> = step.parse().ok();
    let own = nix::unistd::Pid::this();
    let factory = with_class(Factory::new()?, &mut config).observe(move |index| {
        if step == Some(index) {
            let _ = nix::sys::signal::kill(own, nix::sys::signal::Signal::SIGKILL);
        }
    });
    let process = || ProcessConfig::new(["sleep", "300"]);
    if mode == "warm" {
        let template = factory.template(dir, &config)?;
        template.keep_ready(2)?;
        // Killed on the way, or while they stand by and one is handed over after the other.
        loop {
            let (container, mut program) = template.start(ProcessConfig::new(["true"]))?;
            program.wait()?;
            container.destroy()?;
        }
    }
    if mode == "once-warm" {
        // The group has a name: all of them would be in it, and end with the first.
        config.cgroups = None;
        return once_warm(&factory.template(dir, &config)?);
    }
    if mode.starts_with("once") {
        return once(&factory, &format!("{dir}/0"), &config, mode);
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

/// A bridge or a device of the host's, if one is told.
fn with_networks(config: &mut Config) {
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
    if let Ok(device) = std::env::var("VICTIM_DEVICE") {
        let kind = "host-device".to_owned();
        config.networks.push(libcontainer::Network { kind, device, ..libcontainer::Network::default() });
        // Then the init is known by the record alone.
        config.cgroups = None;
    }
}

/// In a class of what stands in for resctrl, if that is told.
fn with_class(factory: Factory, config: &mut Config) -> Factory {
    let Some(root) = std::env::var_os("VICTIM_RESCTRL") else { return factory };
    config.resctrl = Some(Resctrl::default());
    // A group of version 2 would be in the way.
    config.cgroups = None;
    factory.resctrl(libcontainer_tests::resctrl_at(root))
}

/// All six lists, each of which takes some milliseconds and says that it ran. The rootfs has that shell too.
fn hooks(rootfs: &str) -> Hooks {
    let one = |name: &str, script: &str| {
        let script = format!("sleep 0.003; {script}");
        let args = ["sh", "-c", &script, name].map(str::to_owned).to_vec();
        vec![Hook {
            path: "/bin/sh".into(),
            args,
            env: vec!["PATH=/bin:/usr/bin".to_owned()],
            timeout: Some(20),
            ..Hook::default()
        }]
    };
    let told = |name: &str| one(name, &format!("echo {name} >> {rootfs}/told"));
    Hooks {
        prestart: told("prestart"),
        create_runtime: told("createRuntime"),
        create_container: told("createContainer"),
        start_container: one("startContainer", "true"),
        poststart: told("poststart"),
        poststop: told("poststop"),
    }
}

/// Three starts in containers that stand by, each between two calls that nobody else makes, and each but the first of a program that was foreseen.
fn once_warm(template: &Template) -> Result<(), Box<dyn std::error::Error>> {
    // With one left over the template's thread is not in a hurry.
    template.keep_ready(2)?;
    for _ in 0..3 {
        if !template.settle(std::time::Duration::from_secs(20)) {
            return Err(format!("{:?}", template.stats()).into());
        }
        nix::unistd::getppid();
        let (container, mut process) = template.start(ProcessConfig::new(["true"]))?;
        nix::unistd::getppid();
        process.wait()?;
        container.destroy()?;
    }
    Ok(())
}

/// One start, or a container and a join of it, and its end.
fn once(
    factory: &Factory,
    path: &str,
    config: &libcontainer::Config,
    mode: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let process = ProcessConfig::new(["true"]);
    let container = match mode {
        "once-reaper" => {
            let container = factory.create(path, config)?;
            // The reaper has closed everything: no step is left.
            let pid = container.init_pid()?.ok_or("no init")?;
            while std::fs::read_dir(format!("/proc/{pid}/fd"))?.next().is_some() {
                std::thread::sleep(std::time::Duration::from_millis(2));
            }
            container
        }
        "once-join" => {
            let container = factory.create(path, config)?;
            container.start(process)?.wait()?;
            container
        }
        _ => {
            // As `explain` shows it: with a start of its own.
            let (container, mut process) = factory.create_with(path, config, process)?;
            container.run()?;
            process.wait()?;
            container
        }
    };
    Ok(container.destroy()?)
}
