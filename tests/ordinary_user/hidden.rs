//! A `/proc` that hides processes from ordinary users: its option `hidepid`, proc(5).

use std::process::{Command, Stdio};

use super::{Ordinary, USER, told};

impl Ordinary {
    /// The same in a mount namespace of its own, with such a `/proc`.
    fn nsinit_in(&self, hidepid: &str, args: &str) -> (Option<i32>, String) {
        let script = format!(
            "mount -t proc -o hidepid={hidepid} proc /proc && \
             exec setpriv --reuid {USER} --regid {USER} --clear-groups ./nsinit --root ./state {args}"
        );
        let mut command = Command::new("unshare");
        told(
            command
                .args(["--mount", "sh", "-c", &script])
                .current_dir(self.place.path())
                .stdin(Stdio::null()),
        )
    }
}

/// An init that joins belongs to its user, is not dumpable, and so is hidden from him.
#[test]
fn a_container_is_used_where_proc_hides_its_init() {
    let Some(mut ordinary) = Ordinary::new("a_container_is_used_where_proc_hides_its_init") else { return };
    ordinary.user_namespace(&[(0, i64::from(USER), 1)]);
    for hidepid in ["noaccess", "invisible", "ptraceable"] {
        let steps = [
            ("create web sleep 600 >./made 2>&1", ""),
            ("start web", ""),
            ("exec web sh -c 'echo inside'", "inside\n"),
            ("delete --force web", ""),
        ];
        for (args, wanted) in steps {
            let (code, text) = ordinary.nsinit_in(hidepid, args);
            assert_eq!((code, text.as_str()), (Some(0), wanted), "{hidepid}: {args}");
        }
    }
}
