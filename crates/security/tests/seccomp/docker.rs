//! Docker's form of a profile: what hangs on the container.

use libcontainer_security::CapSet;
use libcontainer_security::seccomp::{Action, Arch, DockerProfile, Profile};

fn read(rest: &str) -> DockerProfile {
    serde_json::from_str(&format!(r#"{{"defaultAction":"SCMP_ACT_ERRNO",{rest}}}"#)).unwrap()
}

fn resolved(rest: &str) -> Result<Profile, String> {
    read(rest)
        .resolve(&CapSet::from_names(["KILL"]).unwrap(), Arch::X86_64, (5, 14))
        .map_err(|error| error.to_string())
}

/// Whether a rule with these circumstances is for a container with CAP_KILL on x86_64 and Linux 5.14.
fn applies(circumstances: &str) -> bool {
    let rule = format!(r#""syscalls":[{{"names":["read"],"action":"SCMP_ACT_ALLOW",{circumstances}}}]"#);
    resolved(&rule).unwrap().syscalls.len() == 1
}

#[test]
fn rules_hang_on_circumstances() {
    for (circumstances, wanted) in [
        (r#""includes":{}"#, true),
        (r#""includes":null,"excludes":{"caps":null}"#, true),
        (r#""includes":{"caps":["CAP_KILL"]}"#, true),
        (r#""includes":{"caps":["CAP_KILL","CAP_CHOWN"]}"#, false),
        (r#""includes":{"arches":["arm64"]}"#, false),
        (r#""includes":{"arches":["x32","amd64"]}"#, true),
        (r#""includes":{"minKernel":"5.14"}"#, true),
        (r#""includes":{"minKernel":"5.15"}"#, false),
        (r#""includes":{"minKernel":"4.99"}"#, true),
        (r#""excludes":{"caps":["CAP_CHOWN","CAP_KILL"]}"#, false),
        (r#""excludes":{"caps":["CAP_CHOWN"]}"#, true),
        (r#""excludes":{"arches":["amd64"]}"#, false),
        (r#""excludes":{"minKernel":"4.8"}"#, false),
        (r#""excludes":{"minKernel":"6.0"}"#, true),
        (r#""includes":{"caps":["CAP_KILL"]},"excludes":{"arches":["amd64"]}"#, false),
    ] {
        assert_eq!(applies(circumstances), wanted, "{circumstances}");
    }
}

#[test]
fn architectures_come_with_their_families() {
    let map = r#""archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":null}]"#;
    assert_eq!(resolved(map).unwrap().architectures, [Arch::X86_64, Arch::X86]);
    assert_eq!(resolved(r#""architectures":["SCMP_ARCH_ARM"]"#).unwrap().architectures, [Arch::Arm]);
}

#[test]
fn errors_have_names_too() {
    let profile = resolved(
        r#""defaultErrno":"ENOSYS","defaultErrnoRet":1,"syscalls":[{"name":"read","action":"SCMP_ACT_ERRNO","errno":"EINVAL"}]"#,
    );
    let profile = profile.unwrap();
    assert_eq!(profile.default_errno_ret, Some(38));
    assert_eq!(
        (profile.syscalls[0].names.as_slice(), profile.syscalls[0].errno_ret),
        (&["read".to_owned()][..], Some(22))
    );
}

#[test]
fn ocis_form_is_read_too() {
    let json = r#"{"defaultAction":"SCMP_ACT_KILL_PROCESS","architectures":["SCMP_ARCH_X86"],"flags":["SECCOMP_FILTER_FLAG_LOG"],
        "listenerPath":"/run/x","listenerMetadata":"m","syscalls":[{"names":["read"],"action":"SCMP_ACT_NOTIFY"}]}"#;
    let plain: Profile = serde_json::from_str(json).unwrap();
    let docker: DockerProfile = serde_json::from_str(json).unwrap();
    assert_eq!(docker.resolve(&CapSet::EMPTY, Arch::X86_64, (6, 0)).unwrap(), plain);
    assert_eq!(plain.default_action, Action::KillProcess);
    // And written again.
    let again: Profile = serde_json::from_str(&serde_json::to_string(&plain).unwrap()).unwrap();
    assert_eq!(again, plain);
}

#[test]
fn what_contradicts_itself_is_refused() {
    let rule =
        |text: &str| resolved(&format!(r#""syscalls":[{{"action":"SCMP_ACT_ALLOW",{text}}}]"#)).unwrap_err();
    for (error, wanted) in [
        (
            resolved(r#""architectures":["SCMP_ARCH_ARM"],"archMap":[{"architecture":"SCMP_ARCH_ARM"}]"#)
                .unwrap_err(),
            "seccomp/archMap: ",
        ),
        (resolved(r#""defaultErrno":"EWHAT""#).unwrap_err(), "seccomp/defaultErrno: \"EWHAT\""),
        (rule(r#""name":"a","names":["b"]"#), "seccomp/syscalls/0/name: "),
        (rule(r#""errnoRet":null"#), "seccomp/syscalls/0: neither"),
        (rule(r#""name":"a","includes":{"caps":["CAP_FLY"]}"#), "/syscalls/0/includes/caps: \"CAP_FLY\""),
        (rule(r#""name":"a","excludes":{"minKernel":"new"}"#), "/syscalls/0/excludes/minKernel: \"new\""),
    ] {
        assert!(error.contains(wanted), "{error}");
    }
}
