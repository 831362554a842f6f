//! The three levels of confinement: what a program sees in each.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, text};

/// Lines that say how a program is confined, and attempts that some levels refuse.
const LOOK: &str = "grep -E '^(Cap(Prm|Eff|Bnd|Inh|Amb)|NoNewPrivs|Seccomp):' /proc/self/status | tr -d '\\t'; \
    try() { what=$1; shift; if \"$@\" >/dev/null 2>&1; then echo \"$what: yes\"; else echo \"$what: no\"; fi; }; \
    try mount mount -t tmpfs x /dev; try root-write touch /file; try tmp-write touch /tmp/file; try sysctl sh -c 'echo 1 > /proc/sys/net/ipv4/ip_forward'; \
    try keys test -s /proc/keys; try core test $(ulimit -c) = 0; try sethostname hostname other";

fn look(place: &Place, config: Config) -> Vec<String> {
    let config = Config {
        rootfs: place.join("rootfs"),
        hostname: "inside".to_owned(),
        environment: vec!["PATH=/bin".to_owned()],
        ..config
    };
    let process = ProcessConfig::new(["sh", "-c", LOOK]).piped();
    let (container, process) = Factory::new().unwrap().run(place.join("c"), &config, process).unwrap();
    let output = text(&process.output(1 << 20).unwrap());
    container.destroy().unwrap();
    output.lines().map(str::to_owned).collect()
}

fn check(place: &Place, config: Config, wanted: &[&str]) {
    let found = look(place, config);
    for line in wanted {
        assert!(found.iter().any(|found| found == line), "{line}: {found:#?}");
    }
}

#[test]
fn each_level_is_what_the_table_says() {
    if !able("each_level_is_what_the_table_says") {
        return;
    }
    let place = Place::new("levels");
    place.rootfs().unwrap();
    let none = "0000000000000000";
    let own = libcontainer::security::thread::capabilities().unwrap();
    let all = format!("{:016x}", own.permitted.and(own.bounding).bits());
    let status = |caps: &str, inheritable: &str, privs: u8, seccomp: u8| {
        vec![
            format!("CapPrm:{caps}"),
            format!("CapEff:{caps}"),
            format!("CapBnd:{caps}"),
            format!("CapInh:{inheritable}"),
            format!("CapAmb:{none}"),
            format!("NoNewPrivs:{privs}"),
            format!("Seccomp:{seccomp}"),
        ]
    };
    let with = |status: Vec<String>, config: Config, rest: &[&str]| {
        let wanted: Vec<&str> = status.iter().map(String::as_str).chain(rest.iter().copied()).collect();
        check(&place, config, &wanted);
    };
    with(
        status(none, none, 1, 2),
        Config::confined(),
        &[
            "mount: no",
            "root-write: no",
            "tmp-write: yes",
            "sysctl: no",
            "keys: no",
            "core: yes",
            "sethostname: no",
        ],
    );
    // 2014's config with nothing in it but namespaces: all capabilities dropped, and the filter.
    let default = Config { namespaces: Config::privileged().namespaces, ..Config::default() };
    with(status(none, none, 0, 2), default, &["mount: no", "root-write: yes", "sethostname: no"]);
    with(
        status(&all, none, 0, 0),
        Config::privileged(),
        &["mount: yes", "root-write: yes", "sysctl: yes", "sethostname: yes"],
    );
}
