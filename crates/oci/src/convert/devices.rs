//! `linux.devices`, and the rules of devices.

use std::path::Path;

use libcontainer::cgroups::devices::{Access, Kind, Rule};
use libcontainer::mount::{DeviceKind, DeviceNode, default_simple_devices};

use super::found::Found;
use crate::spec::{Device, Spec};

/// The nodes of the config, and those that every container has unless the config has them; one whose mounts are others' has theirs.
pub(super) fn nodes(spec: &Spec, own_mounts: bool, found: &mut Found) -> Vec<DeviceNode> {
    let devices = devices(spec);
    let mut all = Vec::new();
    for index in kept(spec) {
        all.extend(
            devices.get(index).and_then(|device| node(device, &format!("/linux/devices/{index}"), found)),
        );
    }
    let is_usual = |usual: &DeviceNode| devices.iter().all(|device| device.path != usual.path);
    if own_mounts {
        all.extend(default_simple_devices().into_iter().filter(is_usual));
    }
    all
}

/// Which of the config's nodes are made: of two on one path the last, and never `/dev/ptmx`, which is a link to that of the container's own devpts.
pub(super) fn kept(spec: &Spec) -> Vec<usize> {
    let devices = devices(spec);
    let again =
        |index: usize, device: &Device| devices.iter().skip(index + 1).any(|other| other.path == device.path);
    let all = devices.iter().enumerate();
    let all = all.filter(|(index, device)| !again(*index, device) && device.path != Path::new("/dev/ptmx"));
    all.map(|(index, _)| index).collect()
}

fn devices(spec: &Spec) -> &[Device] {
    spec.linux.as_ref().map_or(&[], |linux| &linux.devices)
}

fn node(device: &Device, at: &str, found: &mut Found) -> Option<DeviceNode> {
    let kind = match device.kind.as_str() {
        "c" | "u" => DeviceKind::Character,
        "b" => DeviceKind::Block,
        "p" => DeviceKind::Fifo,
        other => {
            found.problem(&format!("{at}/type"), format!("{other:?}: none of c, b, u, p"));
            return None;
        }
    };
    // The bits of the kind may come along, as in st_mode.
    let mode = device.file_mode.unwrap_or(0o666) & 0o7777;
    if mode == 0 {
        found.problem(&format!("{at}/fileMode"), "0: nobody could open it");
    }
    let path = Path::new(&device.path).to_owned();
    let (major_number, minor_number) =
        if kind == DeviceKind::Fifo { (0, 0) } else { (device.major, device.minor) };
    let (uid, gid) = (device.uid.unwrap_or(0), device.gid.unwrap_or(0));
    Some(DeviceNode {
        kind,
        path,
        major_number,
        minor_number,
        file_mode: mode,
        uid,
        gid,
        cgroup_permissions: "rwm".to_owned(),
    })
}

/// The rules of the config, between "nothing" and those without which no container works: the nodes that every container has, terminals,
/// mknod(2) of anything, and `/dev/net/tun`, as in runc.
pub(super) fn rules(asked: &[Rule]) -> Vec<Rule> {
    let all = Access::READ | Access::WRITE | Access::MKNOD;
    let allow = |kind, major, minor, access| Rule { allow: true, kind, major, minor, access };
    let character = |major, minor| allow(Kind::Char, Some(major), minor, all);
    let simple = [3, 5, 7, 8, 9].map(|minor| character(1, Some(minor)));
    let terminals = [character(5, Some(0)), character(5, Some(2)), character(136, None)];
    let made = [Kind::Char, Kind::Block].map(|kind| allow(kind, None, None, Access::MKNOD));
    let tun = character(10, Some(200));
    let first =
        if asked.first().is_some_and(Rule::is_everything) { None } else { Some(Rule::everything(false)) };
    let own = first.into_iter().chain(asked.iter().copied());
    own.chain(made).chain(simple).chain(terminals).chain([tun]).collect()
}
