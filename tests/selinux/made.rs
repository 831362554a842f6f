//! Labels for a new container, and of what a thread makes.

use std::fs;

use libcontainer::mount::{DeviceNode, default_simple_devices};
use libcontainer::security::selinux::{
    self, Attribute, Context, Levels, SelinuxError, dup_sec_opt, file_label, init_labels,
};

use libcontainer::{Factory, ProcessConfig};
use libcontainer_tests::config_with_mounts;

use super::{Ground, OWN, file, labelled, own};

#[test]
fn labels_of_the_policy_are_those_of_a_container() {
    let Some(ground) = Ground::new("labels_of_the_policy_are_those_of_a_container") else { return };
    let levels = Levels::new(ground.place.join("mcs"));
    let labels = init_labels([], &levels).unwrap();
    let (process, mount) = (labels.process.unwrap(), labels.mount.unwrap());
    let level = labels.reservation.as_ref().unwrap().level();
    assert_eq!((process.range(), mount.range()), (Some(level.into()), Some(level.into())));
    let mut config = ground.config("s0");
    (config.process_label, config.mount_config.as_mut().unwrap().mount_label) =
        (process.to_string(), mount.to_string());
    assert_eq!(own(&ground.run(&config, OWN)), process.to_string());
    // Who joins it gets the same by options; others don't.
    let options = dup_sec_opt(&process);
    let same = init_labels(options.iter().map(String::as_str), &levels).unwrap();
    assert_eq!((same.process, same.mount), (Some(process.clone()), Some(mount)));
    assert_ne!(init_labels([], &levels).unwrap().process, Some(process));
    let none = init_labels(["disable"], &levels).unwrap();
    assert!(none.process.is_none() && none.mount.is_none() && none.reservation.is_none());
}

#[test]
fn a_thread_labels_what_it_makes() {
    let Some(ground) = Ground::new("a_thread_labels_what_it_makes") else { return };
    let host: Context = "system_u:system_r:kernel_t:s0-s0:c0.c1023".parse().unwrap();
    assert_eq!(selinux::current(), Ok(host.clone()));
    assert_eq!(selinux::of_process(libcontainer::Pid::new(1).unwrap()), Ok(host));
    let label = file("s0:c5,c6");
    for attribute in [Attribute::FileCreate, Attribute::SocketCreate, Attribute::KeyCreate, Attribute::Exec] {
        selinux::set_to_come(attribute, Some(&label)).unwrap();
        assert_eq!(selinux::to_come(attribute), Ok(Some(label.clone())), "{attribute:?}");
        let other = std::thread::spawn(move || selinux::to_come(attribute));
        let inherited = other.join().unwrap().unwrap();
        assert_eq!(inherited, Some(label.clone()), "{attribute:?}: a thread begins as its maker is");
    }
    let made = fs::File::create(ground.place.join("made")).unwrap();
    let socket = std::os::unix::net::UnixDatagram::unbound().unwrap();
    for attribute in [Attribute::FileCreate, Attribute::SocketCreate, Attribute::KeyCreate, Attribute::Exec] {
        selinux::set_to_come(attribute, None).unwrap();
        assert_eq!(selinux::to_come(attribute), Ok(None), "{attribute:?}");
    }
    assert_eq!(file_label(&made), Ok(Some(label.clone())));
    assert_eq!(file_label(&socket), Ok(Some(label)));
    let plain = fs::File::create(ground.place.join("plain")).unwrap();
    assert_eq!(file_label(plain).unwrap().unwrap().kind(), "file_t");
    let wrong: Context = "system_u:object_r:nosuch_t:s0".parse().unwrap();
    let refused = |attribute| selinux::set_to_come(attribute, Some(&wrong)).unwrap_err();
    assert_eq!(refused(Attribute::KeyCreate).errno(), Some(libc::EINVAL));
    // The kernel gives it to root, and it is not what was asked for.
    refused(Attribute::FileCreate);
    assert_eq!(selinux::to_come(Attribute::FileCreate), Ok(None));
    assert_eq!(selinux::check(&wrong), Err(SelinuxError::Invalid { context: wrong.to_string() }));
}

/// In a user namespace: on a filesystem of the host's making, which the container sees by a bind.
#[test]
fn a_device_that_the_host_makes_has_the_containers_label() {
    let Some(ground) = Ground::new("a_device_that_the_host_makes_has_the_containers_label") else { return };
    let mut config = labelled(config_with_mounts(&ground.rootfs), "s0:c1,c2");
    let mounts = config.mount_config.as_mut().unwrap();
    mounts.mounts.remove(1);
    mounts.masked_paths.clear();
    mounts.device_nodes = default_simple_devices();
    let node = DeviceNode { path: "/dev/lct-none".into(), ..mounts.device_nodes[0].clone() };
    mounts.device_nodes.push(node);
    let program = ProcessConfig::new(["sleep", "60"]);
    let (container, mut process) =
        Factory::new().unwrap().run(ground.place.join("c"), &config, program).unwrap();
    let made = format!("/proc/{}/root/dev/lct-none", process.pid());
    let opened =
        nix::fcntl::open(made.as_str(), nix::fcntl::OFlag::O_PATH, nix::sys::stat::Mode::empty()).unwrap();
    assert_eq!(file_label(opened).unwrap(), Some(file("s0:c1,c2")));
    process.signal(libc::SIGKILL).unwrap();
    process.wait().unwrap();
    container.destroy().unwrap();
}
