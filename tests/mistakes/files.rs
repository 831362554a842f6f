//! Mistakes in the bundle's files.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use libcontainer_tests::copy_program;
use serde_json::json;

use crate::scene::{Mistake, Scene, run, words};

pub(crate) fn all() -> Vec<Mistake> {
    vec![
        Mistake::new("bundle is not there", 1, &["/srv/nonesuch", "ENOENT", "config.json"], |_| {
            words(&["run", "--bundle", "/srv/nonesuch", "c"])
        }),
        Mistake::new("bundle is a file", 1, &["/b/tar", "not a directory", "config.json"], |scene| {
            fs::write(scene.place.join("tar"), "").unwrap();
            words(&["run", "--bundle", &scene.at("tar"), "c"])
        }),
        Mistake::new("bundle without config.json", 1, &["/b", "config.json", "ENOENT"], |scene| {
            scene.text = Some(None);
            run(scene)
        }),
        text("config.json is empty", "", &["/b/config.json"]),
        text(
            "config.json has a comma too many",
            "{\"ociVersion\": \"1.0.2\",\n}",
            &["/b/config.json", "line 2"],
        ),
        text("config.json is a list", "[]", &["/b/config.json"]),
        Mistake::new("rootfs is a file", 1, &["/b/rootfs", "ENOTDIR"], |scene| {
            fs::remove_dir_all(scene.place.join("rootfs")).unwrap();
            fs::write(scene.place.join("rootfs"), "").unwrap();
            run(scene)
        }),
        Mistake::new("rootfs is empty", 127, &["sleep", "ENOENT", "/bin/sleep"], |scene| {
            fs::remove_dir_all(scene.place.join("rootfs")).unwrap();
            fs::create_dir(scene.place.join("rootfs")).unwrap();
            run(scene)
        }),
        program("program is a script without #!", "true\n", 126, &["/app", "ENOEXEC", "#!"]),
        program(
            "interpreter of a script is not there",
            "#!/usr/bin/python9\n",
            127,
            &["/app", "ENOENT", "/usr/bin/python9"],
        ),
        program(
            "script has line ends of Windows",
            "#!/bin/sh\r\ntrue\r\n",
            127,
            &["/app", "ENOENT", "/bin/sh\\r"],
        ),
        program("program is of another architecture", FOREIGN, 126, &["/app", "ENOEXEC"]),
        Mistake::new(
            "dynamic linker of the program is not there",
            127,
            &["/app", "ENOENT", "/lib64/ld-linux"],
            |scene| {
                copy_program(Path::new("/bin/true"), &scene.place.join("rootfs/app")).unwrap();
                scene.config["process"]["args"] = json!(["/app"]);
                run(scene)
            },
        ),
        Mistake::new("rootfs lies on a noexec mount", 126, &["sleep", "EACCES", "noexec"], |scene| {
            noexec(scene);
            run(scene)
        }),
    ]
}

/// The head of a file in the format ELF for s390.
const FOREIGN: &str = "\x7fELF\x02\x02\x01\0\0\0\0\0\0\0\0\0\0\x02\0\x16\0\0\0\x01padding of which nothing is read, up to a full head";

fn text(name: &str, text: &'static str, wanted: &[&str]) -> Mistake {
    Mistake::new(name, 1, wanted, move |scene| {
        scene.text = Some(Some(text.to_owned()));
        run(scene)
    })
}

fn program(name: &str, text: &'static str, code: i32, wanted: &[&str]) -> Mistake {
    Mistake::new(name, code, wanted, move |scene| {
        let path = scene.place.join("rootfs/app");
        // By way of another file: nobody may have it open for writing.
        fs::write(scene.place.join("text"), text).unwrap();
        copy_program(&scene.place.join("text"), &path).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        scene.config["process"]["args"] = json!(["/app"]);
        run(scene)
    })
}

/// The rootfs on a tmpfs of its own.
fn noexec(scene: &Scene) {
    use nix::mount::{MsFlags, mount};
    let (root, none) = (scene.place.join("rootfs"), None::<&str>);
    let disk = scene.place.join("disk");
    fs::create_dir(&disk).unwrap();
    mount(Some("tmpfs"), &disk, Some("tmpfs"), MsFlags::MS_NOEXEC, none).unwrap();
    for dir in ["bin", "proc", "sys", "dev", "etc"] {
        fs::create_dir(disk.join(dir)).unwrap();
    }
    fs::copy(root.join("bin/busybox"), disk.join("bin/sleep")).unwrap();
    mount(Some(&disk), &root, none, MsFlags::MS_BIND, none).unwrap();
}
