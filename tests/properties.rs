//! Every config that validates compiles to a plan that seals; damaged plans never crash the interpreter.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "a test ends by panicking"
)]

use libcontainer::mount::{Mount, MountConfig};
use libcontainer::plan::interpret::{self, Sys};
use libcontainer::plan::wire;
use libcontainer::{Config, Factory, Facts, NamespaceKind, Namespaces, Probe, ProcessConfig};
use proptest::prelude::*;

fn mounts() -> impl Strategy<Value = Vec<Mount>> {
    let kind = prop_oneof![Just("tmpfs"), Just("bind"), Just("proc"), Just("mqueue")];
    let option = prop_oneof![
        Just("ro"),
        Just("rro"),
        Just("nosuid"),
        Just("rslave"),
        Just("noatime"),
        Just("dest-nofollow")
    ];
    let one = (kind, "[a-z]{1,6}(/[a-z]{1,4}){0,2}", prop::collection::vec(option, 0..4), any::<bool>());
    let mount = |(kind, to, options, writable): (&str, String, Vec<&str>, bool)| Mount {
        kind: kind.to_owned(),
        source: "/etc".into(),
        destination: format!("/{to}").into(),
        options: options.into_iter().map(str::to_owned).collect(),
        writable,
        ..Mount::default()
    };
    prop::collection::vec(one.prop_map(mount), 0..8)
}

fn configs() -> impl Strategy<Value = Config> {
    let kinds = prop::sample::subsequence(NamespaceKind::ALL.to_vec(), 0..=8);
    let caps = prop::collection::vec(prop_oneof![Just("CHOWN"), Just("KILL"), Just("SYS_ADMIN")], 0..4);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (kinds, caps, mounts(), "[a-z]{0,8}", flags).prop_map(
        |(mut kinds, caps, mounts, hostname, (restrict, readonly, bare, nnp))| {
            kinds.extend([NamespaceKind::Mount, NamespaceKind::Uts]);
            let user = kinds.contains(&NamespaceKind::User);
            let map = if user {
                vec![libcontainer::mount::IdMapping { container_id: 0, host_id: 1000, size: 10 }]
            } else {
                Vec::new()
            };
            Config {
                rootfs: "/srv/rootfs".into(),
                hostname,
                namespaces: Namespaces::new(kinds),
                uid_mappings: map.clone(),
                gid_mappings: map,
                capabilities: caps.into_iter().map(str::to_owned).collect(),
                restrict_sys: restrict,
                no_new_privileges: nnp,
                mount_config: Some(MountConfig {
                    readonly_fs: readonly,
                    bare,
                    mounts,
                    ..MountConfig::default()
                }),
                ..Config::default()
            }
        },
    )
}

/// Answers every call at random, and checks that addresses lie in the plan.
struct Fake {
    answers: Vec<i32>,
    calls: usize,
    board: u64,
}

impl Sys for Fake {
    fn call(&mut self, _: usize, _: [usize; 6]) -> isize {
        self.calls += 1;
        let index = self.calls % self.answers.len().max(1);
        self.answers.get(index).map_or(-1, |answer| *answer as isize)
    }

    fn store(&mut self, _: usize, value: u64) {
        self.board = value;
    }

    fn load_aux(&mut self) -> u64 {
        self.board & 1
    }

    fn board_address(&mut self, word: usize) -> usize {
        word * 8
    }

    fn stamp(&mut self) -> u64 {
        0
    }

    fn alive(&self) -> bool {
        self.calls < 10_000
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn valid_configs_seal(config in configs()) {
        let facts = Facts { euid: 0 };
        prop_assume!(config.problems(&facts).is_empty());
        let factory = Factory::with_probe(Probe::linux(6, 1));
        for process in [None, Some(ProcessConfig::new(["sh"]))] {
            let plan = factory.explain(&config, process.as_ref());
            prop_assert!(plan.is_ok(), "{:?}", plan.err());
        }
    }

    #[test]
    fn damaged_plans_end(
        steps in prop::collection::vec(prop::collection::vec(any::<u8>(), wire::STEP), 0..20),
        kinds in prop::collection::vec(0_u8..12, 20),
        arena in 0_u32..256,
        answers in prop::collection::vec(prop_oneof![-40_i32..40, Just(0), Just(1)], 1..20),
        cut in 0_usize..64,
    ) {
        let header = wire::Header { steps: steps.len() as u32, arena, inject_step: 0, ..wire::Header::default() };
        let mut bytes = header.encode().to_vec();
        for (step, kind) in steps.iter().zip(kinds) {
            let mut step = step.clone();
            step[0] = kind;
            // Kinds of arguments that exist, so that the step gets past decoding.
            step[4..7].iter_mut().for_each(|byte| *byte &= 0x33);
            bytes.extend(step);
        }
        bytes.resize(header.arena_at() + arena as usize, 0);
        bytes.truncate(bytes.len().saturating_sub(cut / 8));
        let mut sys = Fake { answers, calls: 0, board: 0 };
        let (step, _) = interpret::run(&mut sys, &mut bytes);
        prop_assert!(step <= steps.len());
        prop_assert!(sys.calls <= 11_000, "{} calls", sys.calls);
    }

    #[test]
    fn json_of_any_bytes_is_an_error_or_a_config(text in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Config::from_json(&text);
    }
}
