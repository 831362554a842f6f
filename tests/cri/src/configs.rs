//! Configs of pods and containers from words.

use anyhow::{Result, bail};
use k8s_cri::v1::security_profile::ProfileType;
use k8s_cri::v1::{
    ContainerConfig, ContainerMetadata, ImageSpec, Int64Value, KeyValue, LinuxContainerConfig,
    LinuxContainerResources, LinuxContainerSecurityContext, LinuxPodSandboxConfig,
    LinuxSandboxSecurityContext, NamespaceMode, NamespaceOption, PodSandboxConfig, PodSandboxMetadata,
    SecurityProfile,
};

const IMAGE: &str = "docker.io/library/box:latest";

/// What the options say of a pod or a container.
#[derive(Debug, Default)]
struct Options<'a> {
    logs: &'a str,
    parent: &'a str,
    host_network: bool,
    share_pids: bool,
    memory: i64,
    cpu: i64,
    tty: bool,
    user: Option<i64>,
    privileged: bool,
    read_only: bool,
    env: Vec<KeyValue>,
}

impl<'a> Options<'a> {
    fn parse(words: &[&'a str]) -> Result<Self> {
        let mut options = Self::default();
        for word in words {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            match name {
                "logs" => options.logs = value,
                "parent" => options.parent = value,
                "host-network" => options.host_network = true,
                "share-pids" => options.share_pids = true,
                "memory" => options.memory = value.parse()?,
                "cpu" => options.cpu = value.parse()?,
                "tty" => options.tty = true,
                "user" => options.user = Some(value.parse()?),
                "privileged" => options.privileged = true,
                "read-only" => options.read_only = true,
                "env" => {
                    let (key, value) = value.split_once('=').unwrap_or((value, ""));
                    options.env.push(KeyValue { key: key.to_owned(), value: value.to_owned() });
                }
                _ => bail!("no option {word}"),
            }
        }
        Ok(options)
    }

    /// Of a tenth of a second the time that `cpu` says.
    fn resources(&self) -> LinuxContainerResources {
        LinuxContainerResources {
            memory_limit_in_bytes: self.memory,
            cpu_quota: self.cpu,
            cpu_period: if self.cpu == 0 { 0 } else { 100_000 },
            ..Default::default()
        }
    }

    fn namespaces(&self) -> NamespaceOption {
        let network = if self.host_network { NamespaceMode::Node } else { NamespaceMode::Pod };
        let pid = if self.share_pids { NamespaceMode::Pod } else { NamespaceMode::Container };
        NamespaceOption {
            network: network.into(),
            pid: pid.into(),
            ipc: NamespaceMode::Pod.into(),
            ..Default::default()
        }
    }
}

pub(crate) fn pod_config(name: &str, options: &[&str]) -> Result<PodSandboxConfig> {
    let options = Options::parse(options)?;
    let metadata = PodSandboxMetadata {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        namespace: "tests".to_owned(),
        attempt: 0,
    };
    let context = LinuxSandboxSecurityContext {
        namespace_options: Some(options.namespaces()),
        privileged: options.privileged,
        ..Default::default()
    };
    let linux = LinuxPodSandboxConfig {
        cgroup_parent: options.parent.to_owned(),
        security_context: Some(context),
        ..Default::default()
    };
    Ok(PodSandboxConfig {
        metadata: Some(metadata),
        hostname: if options.host_network { String::new() } else { name.to_owned() },
        log_directory: options.logs.to_owned(),
        linux: Some(linux),
        ..Default::default()
    })
}

pub(crate) fn container_config(name: &str, options: &[&str], words: &[&str]) -> Result<ContainerConfig> {
    let options = Options::parse(options)?;
    let seccomp = SecurityProfile { profile_type: ProfileType::RuntimeDefault.into(), ..Default::default() };
    let context = LinuxContainerSecurityContext {
        namespace_options: Some(options.namespaces()),
        privileged: options.privileged,
        readonly_rootfs: options.read_only,
        run_as_user: options.user.map(|value| Int64Value { value }),
        seccomp: (!options.privileged).then_some(seccomp),
        ..Default::default()
    };
    let resources = options.resources();
    Ok(ContainerConfig {
        metadata: Some(ContainerMetadata { name: name.to_owned(), attempt: 0 }),
        image: Some(ImageSpec { image: IMAGE.to_owned(), ..Default::default() }),
        command: words.iter().map(|&word| word.to_owned()).collect(),
        log_path: if options.logs.is_empty() { String::new() } else { format!("{name}.log") },
        tty: options.tty,
        envs: options.env,
        linux: Some(LinuxContainerConfig { resources: Some(resources), security_context: Some(context) }),
        ..Default::default()
    })
}
