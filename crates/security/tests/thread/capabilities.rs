//! Sets, securebits, `no_new_privs`.

use libcontainer_security::thread::{self, SecureBits};
use libcontainer_security::{CapSet, Capabilities, Capability};

use super::{able, alone, set, status_of_program};

#[test]
fn the_sets_are_those_of_the_status_file() {
    let sets = thread::capabilities().unwrap();
    assert_eq!(sets, thread::status().unwrap().capabilities);
    let known = std::fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap();
    assert_eq!(thread::last_capability().unwrap().number().to_string(), known.trim());
}

#[test]
fn a_dropped_bounding_capability_is_gone_for_this_thread_and_its_programs() {
    if !able("a_dropped_bounding_capability_is_gone_for_this_thread_and_its_programs") {
        return;
    }
    alone(|| {
        let before = thread::capabilities().unwrap();
        thread::drop_bounding("KILL".parse().unwrap()).unwrap();
        let wanted = Capabilities { bounding: before.bounding.without(set(&["KILL"])), ..before };
        assert_eq!(thread::capabilities().unwrap(), wanted);
        // Root's exec takes the bounding set: without it, KILL is gone there.
        let program = status_of_program().capabilities;
        assert_eq!(program.bounding, wanted.bounding);
        assert!(program.effective.and(set(&["KILL"])).is_empty());
        assert!(!program.effective.is_empty());
    });
}

#[test]
fn a_capability_that_no_kernel_has_is_refused_by_name() {
    if !able("a_capability_that_no_kernel_has_is_refused_by_name") {
        return;
    }
    let none = Capability::from_number(63).unwrap();
    for (error, call) in [
        (thread::drop_bounding(none), "prctl(PR_CAPBSET_DROP, CAP_63)"),
        (thread::raise_ambient(none), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_63)"),
        (thread::lower_ambient(none), "prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_LOWER, CAP_63)"),
    ] {
        let error = error.unwrap_err();
        assert_eq!(error.errno(), Some(libc::EINVAL), "{call}");
        assert!(error.to_string().starts_with(&format!("{call}: EINVAL: ")), "{error}");
    }
}

#[test]
fn ambient_needs_permitted_and_inheritable_and_reaches_programs() {
    if !able("ambient_needs_permitted_and_inheritable_and_reaches_programs") {
        return;
    }
    alone(|| {
        let chown: Capability = "CHOWN".parse().unwrap();
        assert_eq!(thread::raise_ambient(chown).unwrap_err().errno(), Some(libc::EPERM));
        let all = thread::capabilities().unwrap();
        let both = set(&["CHOWN", "KILL"]);
        thread::set_capabilities(all.effective, all.permitted, both).unwrap();
        thread::raise_ambient(chown).unwrap();
        thread::raise_ambient("KILL".parse().unwrap()).unwrap();
        assert_eq!(thread::capabilities().unwrap().ambient, both);
        thread::lower_ambient(chown).unwrap();
        assert_eq!(thread::capabilities().unwrap().ambient, set(&["KILL"]));
        // What leaves inheritable leaves ambient.
        thread::set_capabilities(all.effective, all.permitted, set(&["CHOWN"])).unwrap();
        assert!(thread::capabilities().unwrap().ambient.is_empty());
        thread::raise_ambient(chown).unwrap();
        thread::clear_ambient().unwrap();
        assert!(thread::capabilities().unwrap().ambient.is_empty());
    });
}

#[test]
fn capset_never_adds() {
    if !able("capset_never_adds") {
        return;
    }
    alone(|| {
        let some = set(&["CHOWN", "KILL"]);
        thread::set_capabilities(some, some, CapSet::EMPTY).unwrap();
        let cases = [
            (some, set(&["CHOWN"]), CapSet::EMPTY),
            (CapSet::EMPTY, set(&["CHOWN", "SETUID"]), CapSet::EMPTY),
            (CapSet::EMPTY, CapSet::EMPTY, set(&["SETUID"])),
        ];
        for (effective, permitted, inheritable) in cases {
            let error = thread::set_capabilities(effective, permitted, inheritable).unwrap_err();
            assert_eq!(error.errno(), Some(libc::EPERM), "{error}");
        }
        assert_eq!(thread::capabilities().unwrap().permitted, some);
        // Nothing is left that could change the bounding set.
        let error = thread::keep_bounding(some).unwrap_err();
        assert!(error.to_string().starts_with("prctl(PR_CAPBSET_DROP, DAC_OVERRIDE): EPERM"), "{error}");
    });
}

#[test]
fn confine_sets_all_five_and_reads_them_back() {
    if !able("confine_sets_all_five_and_reads_them_back") {
        return;
    }
    let wanted = Capabilities {
        bounding: set(&["CHOWN", "KILL", "SETUID"]),
        effective: set(&["CHOWN"]),
        permitted: set(&["CHOWN", "KILL"]),
        inheritable: set(&["KILL"]),
        ambient: set(&["KILL"]),
    };
    alone(|| {
        thread::confine(&wanted).unwrap();
        assert_eq!(thread::capabilities().unwrap(), wanted);
        assert_eq!(thread::status().unwrap().capabilities, wanted);
    });
    alone(|| {
        thread::drop_bounding("SETUID".parse().unwrap()).unwrap();
        let error = thread::confine(&wanted).unwrap_err();
        let text = "read back bounding set of the thread: wanted {CHOWN,KILL,SETUID}, found {CHOWN,KILL}";
        assert_eq!(error.to_string(), text);
        assert_eq!(error.errno(), None);
    });
}

#[test]
fn secure_bits_lock() {
    if !able("secure_bits_lock") {
        return;
    }
    alone(|| {
        let locked = SecureBits::NOROOT | SecureBits::NOROOT_LOCKED | SecureBits::NO_CAP_AMBIENT_RAISE;
        thread::set_secure_bits(locked).unwrap();
        assert_eq!(thread::secure_bits().unwrap(), locked);
        assert_eq!(thread::set_secure_bits(SecureBits::empty()).unwrap_err().errno(), Some(libc::EPERM));
        let all = thread::capabilities().unwrap();
        thread::set_capabilities(all.effective, all.permitted, set(&["CHOWN"])).unwrap();
        assert_eq!(thread::raise_ambient("CHOWN".parse().unwrap()).unwrap_err().errno(), Some(libc::EPERM));
        // With NOROOT, user id 0 alone gives a program nothing.
        let program = status_of_program();
        assert_eq!((program.uids.effective, program.capabilities.permitted), (0, CapSet::EMPTY));
    });
    alone(|| {
        thread::set_secure_bits(SecureBits::KEEP_CAPS_LOCKED).unwrap();
        let error = thread::keep_capabilities(true).unwrap_err();
        assert_eq!(error.to_string().split(':').next(), Some("prctl(PR_SET_KEEPCAPS, 1)"));
        assert_eq!(error.errno(), Some(libc::EPERM));
    });
}

#[test]
fn no_new_privs_is_the_threads_and_stays() {
    alone(|| {
        assert!(!thread::no_new_privs().unwrap(), "run without no_new_privs");
        thread::set_no_new_privs().unwrap();
        assert!(thread::no_new_privs().unwrap());
        assert!(thread::status().unwrap().no_new_privs);
        assert!(status_of_program().no_new_privs);
        std::thread::scope(|scope| {
            scope.spawn(|| assert!(thread::no_new_privs().unwrap(), "threads made later have it too"));
        });
    });
}
