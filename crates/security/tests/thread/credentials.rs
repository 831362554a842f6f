//! Ids, groups, death signal, keyring.

use std::fs;

use libcontainer_security::plan::Identity;
use libcontainer_security::thread;
use libcontainer_security::{CapSet, Capabilities, Ids};

use super::{able, alone, set, skip, status_of_program};

#[test]
fn eight_threads_are_eight_users() {
    if !able("eight_threads_are_eight_users") {
        return;
    }
    let barrier = std::sync::Barrier::new(8);
    alone(|| {
        std::thread::scope(|scope| {
            for user in 1..=8_u32 {
                let barrier = &barrier;
                scope.spawn(move || {
                    let identity = Identity {
                        uid: 1000 + user,
                        gid: 2000 + user,
                        groups: vec![user, 7, 3],
                        setgroups_denied: false,
                    };
                    thread::become_identity(&identity).unwrap();
                    barrier.wait();
                    let status = thread::status().unwrap();
                    assert_eq!(status.uids, Ids::all(1000 + user));
                    assert_eq!(status.gids, Ids::all(2000 + user));
                    let mut groups = vec![user, 7, 3];
                    groups.sort_unstable();
                    assert_eq!((status.groups, thread::groups().unwrap()), (groups.clone(), groups));
                    assert_eq!(status.capabilities.effective, CapSet::EMPTY);
                    assert_eq!(thread::set_user_ids(0, 0, 0).unwrap_err().errno(), Some(libc::EPERM));
                    assert_eq!(thread::set_groups(&[]).unwrap_err().errno(), Some(libc::EPERM));
                });
            }
        });
        assert_eq!(thread::user_ids().unwrap().real, 0);
    });
}

#[test]
fn ids_are_set_one_by_one() {
    if !able("ids_are_set_one_by_one") {
        return;
    }
    alone(|| {
        thread::set_group_ids(5, 6, 7).unwrap();
        thread::set_user_ids(1, 2, 3).unwrap();
        assert_eq!(thread::group_ids().unwrap(), Ids { real: 5, effective: 6, saved: 7, filesystem: 6 });
        assert_eq!(thread::user_ids().unwrap(), Ids { real: 1, effective: 2, saved: 3, filesystem: 2 });
    });
}

#[test]
fn what_the_kernel_would_take_for_leave_it_is_refused() {
    for error in [
        thread::set_user_ids(0, u32::MAX, 0).unwrap_err(),
        thread::set_group_ids(u32::MAX, 0, 0).unwrap_err(),
        thread::become_identity(&Identity { groups: vec![1], setgroups_denied: true, ..Identity::default() })
            .unwrap_err(),
    ] {
        assert_eq!(error.errno(), Some(libc::EINVAL), "{error}");
    }
}

#[test]
fn groups_may_be_none_and_many_but_not_more() {
    if !able("groups_may_be_none_and_many_but_not_more") {
        return;
    }
    alone(|| {
        thread::set_groups(&[]).unwrap();
        assert!(thread::groups().unwrap().is_empty() && thread::status().unwrap().groups.is_empty());
        let many: Vec<u32> = (100_000..165_536).collect();
        thread::set_groups(&many).unwrap();
        assert_eq!(thread::groups().unwrap(), many);
        assert_eq!(thread::status().unwrap().groups, many);
        let error = thread::set_groups(&vec![1; 65537]).unwrap_err();
        assert_eq!(error.to_string(), "setgroups(65537 groups): EINVAL: Invalid argument");
    });
}

#[test]
fn kept_capabilities_survive_the_change_of_user_and_reach_a_program() {
    if !able("kept_capabilities_survive_the_change_of_user_and_reach_a_program") {
        return;
    }
    alone(|| {
        let keep = set(&["KILL"]);
        thread::keep_bounding(keep).unwrap();
        thread::keep_capabilities(true).unwrap();
        thread::become_identity(&Identity { uid: 1234, gid: 1234, ..Identity::default() }).unwrap();
        assert!(!thread::capabilities().unwrap().permitted.is_empty());
        let sets = Capabilities { inheritable: keep, ambient: keep, ..Capabilities::keep(keep) };
        thread::confine(&sets).unwrap();
        let program = status_of_program();
        assert_eq!((program.uids, program.capabilities), (Ids::all(1234), sets));
        assert!(program.groups.is_empty());
    });
}

#[test]
fn the_death_signal_is_cleared_by_a_change_of_user() {
    alone(|| {
        thread::set_parent_death_signal(Some(10)).unwrap();
        assert_eq!(thread::parent_death_signal().unwrap(), Some(10));
        assert_eq!(thread::set_parent_death_signal(Some(65)).unwrap_err().errno(), Some(libc::EINVAL));
        thread::set_parent_death_signal(None).unwrap();
        assert_eq!(thread::parent_death_signal().unwrap(), None);
    });
    if !able("the_death_signal_is_cleared_by_a_change_of_user") {
        return;
    }
    alone(|| {
        thread::set_parent_death_signal(Some(10)).unwrap();
        thread::set_user_ids(1, 1, 1).unwrap();
        assert_eq!(thread::parent_death_signal().unwrap(), None);
    });
}

#[test]
fn every_join_makes_a_new_session_keyring() {
    if !fs::exists("/proc/keys").unwrap() {
        skip("every_join_makes_a_new_session_keyring", "the kernel has no keyrings");
        return;
    }
    alone(|| {
        let mine = format!("lct-keyring-{}", std::process::id());
        let first = match thread::join_session_keyring(Some(mine.as_bytes())) {
            Err(error) if [Some(libc::ENOSYS), Some(libc::EPERM)].contains(&error.errno()) => {
                return skip("every_join_makes_a_new_session_keyring", &error.to_string());
            }
            result => result.unwrap(),
        };
        let listed = fs::read_to_string("/proc/keys").unwrap();
        assert!(listed.contains(&format!("{:08x}", first.serial())) && listed.contains(&mine), "{listed}");
        // Nobody but its holder may search it, so that the name alone does not lead back into it.
        assert_ne!(thread::join_session_keyring(Some(mine.as_bytes())).unwrap(), first);
        let second = thread::join_session_keyring(None).unwrap();
        assert_ne!(second, first);
        assert_ne!(thread::join_session_keyring(None).unwrap(), second);
    });
    let error = thread::join_session_keyring(Some(b"a\0b")).unwrap_err();
    assert_eq!(error.errno(), Some(libc::EINVAL));
    assert!(error.to_string().contains(r#""a\x00b""#), "{error}");
}
