//! What a process has beside its rights: scheduler, input and output, CPUs, memory, execution domain, securebits. Seen from inside.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test ends by panicking"
)]

use libcontainer::{Config, Factory, ProcessConfig};
use libcontainer_tests::{Place, able, config, skip, text};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

/// The program of the table below: nice, policy, CPUs, input and output, machine, personality, memory of the first mapping.
const SHOW: &str = "set -- $(cat /proc/self/stat); echo nice ${19} rt ${40} policy ${41}; busybox ionice -p $$; \
    grep Cpus_allowed_list /proc/self/status; busybox uname -m; cat /proc/self/personality; head -n 1 /proc/self/numa_maps";

fn changed(good: &Config, json: &str) -> Config {
    let mut value = serde_json::to_value(good).unwrap();
    let more: serde_json::Value = serde_json::from_str(json).unwrap();
    more.as_object().unwrap().iter().for_each(|(key, field)| value[key] = field.clone());
    Config::from_json_with(value.to_string().as_bytes(), libcontainer::Mode::Strict, "test").unwrap().0
}

/// What the first process shows, and one that joins.
fn seen(place: &Place, config: &Config, script: &str) -> [String; 2] {
    let factory = Factory::new().unwrap();
    let program = || ProcessConfig::new(["sh", "-c", script]).piped();
    let (first, process) = factory.run(place.join("a"), config, program()).unwrap();
    let one = text(&process.output(1 << 20).unwrap());
    first.destroy().unwrap();
    let reaper = factory.create(place.join("b"), config).unwrap();
    let other = text(&reaper.start(program()).unwrap().output(1 << 20).unwrap());
    reaper.destroy().unwrap();
    [one, other]
}

fn check(name: &str, json: &str, wanted: &[&str]) {
    if !able(name) {
        return;
    }
    let place = Place::new(name);
    let config = changed(&config(&place.rootfs().unwrap()), json);
    for found in seen(&place, &config, SHOW) {
        for wanted in wanted {
            assert!(found.contains(wanted), "{name}: {wanted:?} is not in\n{found}");
        }
    }
}

#[test]
fn schedulers() {
    check("batch", r#"{"scheduler":{"policy":"SCHED_BATCH","nice":7}}"#, &["nice 7 rt 0 policy 3\n"]);
    check("idle", r#"{"scheduler":{"policy":"SCHED_IDLE"}}"#, &["policy 5\n"]);
    check("nice", r#"{"scheduler":{"policy":"SCHED_OTHER","nice":-5}}"#, &["nice -5 rt 0 policy 0\n"]);
    check(
        "round-robin",
        r#"{"scheduler":{"policy":"SCHED_RR","priority":2,"flags":["SCHED_FLAG_RESET_ON_FORK"]},"args":["x"]}"#,
        // Children of the shell begin with the default policy, and they are what is looked at.
        &["rt 0 policy 0\n"],
    );
    check("fifo", r#"{"scheduler":{"policy":"SCHED_FIFO","priority":3}}"#, &["rt 3 policy 1\n"]);
}

/// With this policy the kernel leaves niceness as it was, here that of the thread that starts the program.
#[test]
fn an_idle_program_of_a_caller_that_is_nice() {
    let idle = |nice: &str| format!(r#"{{"scheduler":{{"policy":"SCHED_IDLE"{nice}}}}}"#);
    let thread = move || {
        // Linux keeps it for each thread.
        rustix::process::setpriority_process(None, 5).unwrap();
        check("nice-idle", &idle(""), &["nice 5 rt 0 policy 5\n"]);
        check("nicer-idle", &idle(r#","nice":7"#), &["nice 7 rt 0 policy 5\n"]);
    };
    std::thread::spawn(thread).join().unwrap();
}

/// The policy that no child may have: the program itself tells.
#[test]
fn deadlines() {
    if !able("deadlines") {
        return;
    }
    let place = Place::new("deadlines");
    let json = r#"{"scheduler":{"policy":"SCHED_DEADLINE","runtime":1000000,"deadline":20000000}}"#;
    let config = changed(&config(&place.rootfs().unwrap()), json);
    let factory = Factory::new().unwrap();
    let program = ProcessConfig::new(["cat", "/proc/self/stat"]).piped();
    match factory.run(place.join("c"), &config, program) {
        Ok((container, process)) => {
            let found = text(&process.output(1 << 16).unwrap());
            container.destroy().unwrap();
            assert_eq!(found.split(' ').nth(40), Some("6"), "{found}");
        }
        Err(error) if error.errno() == Some(libc::EBUSY) => {
            skip("deadlines", "no processor time is left to promise");
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn input_output_and_domains() {
    check("io", r#"{"io_priority":{"class":"IOPRIO_CLASS_BE","priority":6}}"#, &["best-effort: prio 6\n"]);
    check("io-idle", r#"{"io_priority":{"class":"IOPRIO_CLASS_IDLE"}}"#, &["idle"]);
    let name = if cfg!(target_arch = "x86_64") { "i686\n" } else { "armv8l\n" };
    check(
        "domain",
        r#"{"personality":{"domain":"LINUX32","flags":["ADDR_NO_RANDOMIZE"]}}"#,
        &[name, "00040008\n"],
    );
}

#[test]
fn memory_nodes() {
    if !std::path::Path::new("/proc/self/numa_maps").exists() {
        skip("memory_nodes", "this kernel has no memory policies");
        return;
    }
    check(
        "memory",
        r#"{"memory_policy":{"mode":"MPOL_BIND","nodes":"0","flags":["MPOL_F_STATIC_NODES"]}}"#,
        &[" bind=static:0"],
    );
}

/// CPUs are those of processes that join; the first has its control group's.
#[test]
fn cpus_of_joining_processes() {
    let online = std::fs::read_to_string("/sys/devices/system/cpu/online").unwrap_or_default();
    if !able("cpus") || !online.starts_with("0-") {
        skip("cpus_of_joining_processes", "needs two processors");
        return;
    }
    let place = Place::new("cpus");
    let good = config(&place.rootfs().unwrap());
    let script = "grep Cpus_allowed_list /proc/self/status";
    let list = |list: &str| format!("Cpus_allowed_list:\t{list}\n");
    let [first, joined] =
        seen(&place, &changed(&good, r#"{"cpu_affinity":{"initial":"0-1","final":"1"}}"#), script);
    assert_ne!(first, list("1"));
    assert_eq!(joined, list("1"));
    let initial = changed(&good, r#"{"cpu_affinity":{"initial":"0"}}"#);
    let [_, joined] = seen(&place, &initial, script);
    assert_eq!(joined, list("0"));
    // The CPUs of the caller are its own affair.
    let bound = || {
        let mut set = CpuSet::new();
        set.set(1).and_then(|()| sched_setaffinity(Pid::from_raw(0), &set)).unwrap();
        [seen(&place, &good, script), seen(&place, &initial, script)]
    };
    let all = std::thread::scope(|scope| scope.spawn(bound).join().unwrap());
    assert_eq!(all, [[first.clone(), first.clone()], [first, list("0")]]);
}

/// What can't be had in full is refused, not taken in part.
#[test]
fn processors_that_are_not_there() {
    if !able("no-cpus") {
        return;
    }
    let place = Place::new("no-cpus");
    let config = changed(&config(&place.rootfs().unwrap()), r#"{"cpu_affinity":{"final":"0,8191"}}"#);
    let container = Factory::new().unwrap().create(place.join("c"), &config).unwrap();
    let error = container.start(ProcessConfig::new(["true"])).unwrap_err().to_string();
    assert!(error.contains("sched_getaffinity") && error.contains("{0,8191}"), "{error}");
    container.destroy().unwrap();
}

/// Root gets no capabilities by being root, and can't take that back.
#[test]
fn securebits() {
    if !able("securebits") {
        return;
    }
    let place = Place::new("securebits");
    let good = config(&place.rootfs().unwrap());
    let script = "grep -E 'Cap(Prm|Eff|Amb)' /proc/self/status";
    let lines = |set: &str, ambient: &str| format!("CapPrm:\t{set}\nCapEff:\t{set}\nCapAmb:\t{ambient}\n");
    let none = "0000000000000000";
    let bits = r#"{"securebits":["NOROOT","noroot_locked","SECBIT_NO_SETUID_FIXUP","NO_CAP_AMBIENT_RAISE","NO_CAP_AMBIENT_RAISE_LOCKED"]}"#;
    for found in seen(&place, &changed(&good, bits), script) {
        assert_eq!(found, lines(none, none));
    }
    // The ambient set is made before the bit that closes it.
    let sets = r#"{"capability_sets":{"bounding":["KILL"],"permitted":["KILL"],"effective":["KILL"],"inheritable":["KILL"],"ambient":["KILL"]},"user":"u"}"#;
    let kill = "0000000000000020";
    for found in seen(&place, &changed(&changed(&good, bits), sets), script) {
        assert_eq!(found, lines(kill, kill));
    }
}

/// It is the end of the thread that counts. One that ends before the signal is set sends no commit, and the init leaves.
#[test]
fn the_end_of_the_starting_thread() {
    if !able("the_end_of_the_starting_thread") {
        return;
    }
    let place = Place::new("parent-death");
    // The one signal that the first process of a pid namespace can't miss.
    let config = changed(&config(&place.rootfs().unwrap()), r#"{"parent_death_signal":9}"#);
    let at = place.join("c");
    let start = move || Factory::new().unwrap().run(at, &config, ProcessConfig::new(["sleep", "1000"]));
    let (container, mut process) = std::thread::spawn(start).join().unwrap().unwrap();
    assert_eq!(process.wait().unwrap().signal(), Some(9));
    drop(process);
    container.destroy().unwrap();
}

/// A program with capabilities of its own gets them, as far as the bounding set goes; with `no_new_privs` it gets none.
#[test]
fn capabilities_of_files() {
    use libcontainer::security::{CapSet, FileCapabilities};
    if !able("capabilities_of_files") {
        return;
    }
    let place = Place::new("file-capabilities");
    let mut config = config(&place.rootfs().unwrap());
    let program = config.rootfs.join("bin/busybox-own");
    libcontainer_tests::copy_program(libcontainer_tests::BUSYBOX.as_ref(), &program).unwrap();
    let permitted = CapSet::from_names(["KILL", "CHOWN"]).unwrap();
    let own = FileCapabilities { permitted, effective: true, ..FileCapabilities::default() };
    if let Err(error) = own.set(std::fs::File::open(&program).unwrap()) {
        return skip("capabilities_of_files", &error.to_string());
    }
    config.user = "u".into();
    for (no_new_privileges, wanted) in
        [(false, "CapEff:\t0000000000000021\n"), (true, "CapEff:\t0000000000000000\n")]
    {
        config.no_new_privileges = no_new_privileges;
        for found in seen(&place, &config, "exec busybox-own grep CapEff /proc/self/status") {
            assert_eq!(found, wanted);
        }
    }
}
