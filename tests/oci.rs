//! nsinit as callers of OCI runtimes use it: bundles with config.json, sockets, logs, what is printed.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test ends by panicking"
)]

#[path = "oci/as_others.rs"]
mod as_others;
#[path = "oci/bundles.rs"]
mod bundles;
#[path = "oci/handing.rs"]
mod handing;
#[path = "oci/joined.rs"]
mod joined;
#[path = "oci/limits.rs"]
mod limits;
#[path = "oci/mounts.rs"]
mod mounts;
#[path = "oci/notify.rs"]
mod notify;
#[path = "oci/printed.rs"]
mod printed;
#[path = "oci/reported.rs"]
mod reported;
#[path = "oci/validated.rs"]
mod validated;

use std::fs;
use std::ops::Deref;

use libcontainer_tests::operator::Operator;
use serde_json::{Value, json};

/// A bundle with a config.json, and no container.json.
struct Oci {
    operator: Operator,
    spec: Value,
}

impl Oci {
    fn new(name: &str, args: &[&str]) -> Option<Self> {
        let operator = Operator::new(name)?;
        fs::remove_file(operator.place.join("container.json")).unwrap();
        let group = operator.place.cgroup();
        let spec = json!({
            "ociVersion": "1.0.2",
            "process": {
                "user": {"uid": 0, "gid": 0},
                "args": args,
                "env": ["PATH=/bin", "OF=config"],
                "cwd": "/",
                "capabilities": {"bounding": ["CAP_KILL"], "effective": ["CAP_KILL"], "permitted": ["CAP_KILL"]},
                "noNewPrivileges": true,
            },
            "root": {"path": operator.config.rootfs},
            "hostname": "oci",
            "annotations": {"org.example.of": "the bundle"},
            "mounts": [
                {"destination": "/proc", "type": "proc", "source": "proc"},
                {"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": ["nosuid", "mode=755", "size=65536k"]},
                {"destination": "/dev/pts", "type": "devpts", "source": "devpts", "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"]},
            ],
            "linux": {
                "cgroupsPath": std::path::Path::new("/").join(&group.path),
                "namespaces": [{"type": "pid"}, {"type": "mount"}, {"type": "uts"}, {"type": "ipc"}, {"type": "network"}],
                "maskedPaths": ["/proc/kcore"],
                "readonlyPaths": ["/proc/sys"],
            },
        });
        let this = Self { operator, spec };
        this.write();
        Some(this)
    }

    fn write(&self) {
        fs::write(self.operator.place.join("config.json"), self.spec.to_string()).unwrap();
    }

    fn state(&self, id: &str) -> Value {
        self.json(&["state", id])
    }
}

impl Deref for Oci {
    type Target = Operator;

    fn deref(&self) -> &Operator {
        &self.operator
    }
}
