//! A profile of Docker or OCI: what compiles is a program that the kernel takes, and every call ends. Or, behind a NUL, a program.
#![no_main]

use libcontainer::security::CapSet;
use libcontainer::security::seccomp::{
    Arch, CompileError, Data, DockerProfile, Options, check, compile, explain, from_bytes, run,
};

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    if let Some((0, program)) = bytes.split_first() {
        let Ok(program) = from_bytes(program) else { return };
        run(&program, &Data::new(Arch::X86_64, 0, [1; 6])).expect("what is checked runs to its end");
        return;
    }
    let Ok(profile) = serde_json::from_slice::<DockerProfile>(bytes) else { return };
    for arch in [Arch::X86_64, Arch::S390X, Arch::Arm] {
        let Ok(profile) = profile.resolve(&CapSet::all(20), arch, (6, 1)) else { return };
        let options = Options::new(arch);
        let filter = match compile(&profile, &options) {
            Ok(filter) => filter,
            Err(CompileError::TooLong { .. }) => continue,
            Err(error) => {
                assert_eq!(explain(&profile, &options).err(), Some(error));
                continue;
            }
        };
        check(filter.instructions()).expect("the kernel takes it");
        for (_, number) in arch.syscalls().step_by(40) {
            let args = [0, u64::MAX, u64::from(number), 1 << 32, 0x8000_0000, 5];
            run(filter.instructions(), &Data::new(arch, number, args)).expect("a call ends");
        }
        explain(&profile, &options).expect("what compiles can be explained");
    }
});
