//! What is the calling thread's alone.

use libcontainer::security::thread::{self, SecureBits};
use libcontainer_tests::{Place, able};

use super::{PATIENCE, shell, template};

/// What the kernel hands on from thread to thread: the inits that stand by have it of the one that asked for them, whoever starts a program.
#[test]
fn a_program_does_not_depend_on_the_thread_that_had_its_container_kept_ready() {
    let name = "a_program_does_not_depend_on_the_thread_that_had_its_container_kept_ready";
    if !able(name) {
        return;
    }
    let bits = SecureBits::NOROOT | SecureBits::NO_SETUID_FIXUP;
    let securebits = || thread::set_secure_bits(bits).unwrap();
    let no_new_privs = || thread::set_no_new_privs().unwrap();
    for (index, (restrict, expected)) in
        [(&securebits as &(dyn Fn() + Sync), "0"), (&no_new_privs, "1")].into_iter().enumerate()
    {
        let place = Place::new(&format!("restricted-{index}"));
        let template = template(&place, |_| ());
        let keep = || {
            restrict();
            template.keep_ready(1).unwrap();
            assert!(template.settle(PATIENCE), "{:?}", template.stats());
        };
        std::thread::scope(|scope| scope.spawn(keep).join().unwrap());
        // The second is foreseen.
        for _ in 0..2 {
            let seen = shell(&template, "grep -E '^(CapEff|NoNewPrivs)' /proc/self/status");
            assert_eq!(seen, format!("CapEff:\t00000000000000e3\nNoNewPrivs:\t{expected}\n"), "{index}");
            assert!(template.settle(PATIENCE), "{:?}", template.stats());
        }
        assert_eq!(template.stats().handed_over, 2);
    }
}
