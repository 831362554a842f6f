//! The first notification of a filter, by which a host takes the listener out of the process that has loaded it.

use libcontainer_plan::KNOCK;
use rustix::rand::{GetRandomFlags, getrandom};

use super::error::NotifyError;
use crate::seccomp::error::CompileError;
use crate::seccomp::filter::Filter;
use crate::seccomp::instruction::{ARCH, ARGUMENTS, Instruction, JEQ, LOAD, MOST, NUMBER, RETURN};
use crate::seccomp::interpret::Data;
use crate::seccomp::{Action, Arch, Outcome};

/// 128 random bits that one process and its host know: `prctl(KNOCK, words)` of it is a notification whatever the profile says. A program that runs
/// under the filter later does not know them, and can't read its own filter without `CAP_SYS_ADMIN` in the first user namespace.
#[derive(Clone, PartialEq, Eq)]
pub struct Knock([u64; 2]);

impl std::fmt::Debug for Knock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Knock")
    }
}

impl Knock {
    /// New bits of getrandom(2).
    ///
    /// # Errors
    /// That of the call.
    pub fn new() -> Result<Self, NotifyError> {
        let mut words = [0; 2];
        for word in &mut words {
            let mut bytes = [0; 8];
            let failed = |error: rustix::io::Errno| NotifyError::call("getrandom", &error.into());
            let len = getrandom(&mut bytes, GetRandomFlags::empty()).map_err(failed)?;
            if len != bytes.len() {
                return Err(NotifyError::Unexpected(format!("getrandom: {len} bytes of 8")));
            }
            *word = u64::from_ne_bytes(bytes);
        }
        Ok(Self(words))
    }

    /// Bits for a plan that is only shown.
    #[must_use]
    pub fn shown() -> Self {
        Self([0; 2])
    }

    /// The bits.
    #[must_use]
    pub fn words(&self) -> [u64; 2] {
        self.0
    }

    /// Whether a call is this knock.
    #[must_use]
    pub fn is(&self, data: &Data) -> bool {
        let [option, first, second, ..] = data.args;
        option == u64::from(KNOCK) && [first, second] == self.0
    }

    /// The program of `filter` behind instructions that turn the knock into a notification: as an array of `struct sock_filter`.
    ///
    /// # Errors
    /// [`CompileError::TooLong`] if the two are longer than the kernel takes.
    pub fn before(&self, filter: &Filter, native: Arch) -> Result<Vec<u8>, CompileError> {
        behind(&self.prefix(native), filter)
    }

    /// The same, and of sendmsg(2) that call is let through which has [`KNOCK`] and the bits in the three arguments that the kernel does not look at: by it the
    /// process sends the listener to its host ([`libcontainer_plan::Builder::listen_and_send`]).
    ///
    /// # Errors
    /// [`CompileError::TooLong`] if all is longer than the kernel takes.
    pub fn before_and_sending(&self, filter: &Filter, native: Arch) -> Result<Vec<u8>, CompileError> {
        let sending = self.only(native, "sendmsg", 3, Outcome::new(Action::Allow, None));
        behind(&[self.prefix(native), sending].concat(), filter)
    }

    fn prefix(&self, native: Arch) -> Vec<Instruction> {
        self.only(native, "prctl", 0, Outcome::new(Action::Notify, None))
    }

    /// What comes of the one call with the option and the bits in its arguments from `first_argument` on. Loads and compares one half after the other; whatever differs leads past it.
    fn only(&self, native: Arch, call: &str, first_argument: u32, outcome: Outcome) -> Vec<Instruction> {
        let low = if native.is_big_endian() { 4 } else { 0 };
        let mut wanted = vec![(NUMBER, native.number(call).unwrap_or(u32::MAX)), (ARCH, native.token())];
        let [first, second] = self.0;
        for (at, value) in (first_argument..).zip([u64::from(KNOCK), first, second]) {
            let (at, [a, b, c, d, e, f, g, h]) = (ARGUMENTS + 8 * at, value.to_le_bytes());
            wanted.push((at + low, u32::from_le_bytes([a, b, c, d])));
            wanted.push((at + (4 - low), u32::from_le_bytes([e, f, g, h])));
        }
        let mut lines = vec![Instruction { code: RETURN, jt: 0, jf: 0, k: outcome.code() }];
        for (offset, value) in wanted.into_iter().rev() {
            let past = u8::try_from(lines.len()).unwrap_or(u8::MAX);
            lines.insert(0, Instruction { code: JEQ, jt: 0, jf: past, k: value });
            lines.insert(0, Instruction { code: LOAD, jt: 0, jf: 0, k: offset });
        }
        lines
    }
}

fn behind(prefix: &[Instruction], filter: &Filter) -> Result<Vec<u8>, CompileError> {
    let instructions = prefix.len() + filter.instructions().len();
    if instructions > MOST {
        return Err(CompileError::TooLong { instructions });
    }
    Ok(prefix.iter().chain(filter.instructions()).flat_map(|line| line.bytes()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seccomp::{Options, Profile, Rule, compile, from_bytes, run};

    /// Of so many bits, and of so many processors, one is tried.
    const STEP: usize = if cfg!(miri) { 16 } else { 1 };

    /// Filters that allow execve(2) alone.
    fn filters() -> impl Iterator<Item = (Arch, Filter)> {
        let mut profile = Profile::new(Action::Errno);
        profile.syscalls.push(Rule::new(&["execve"], Action::Allow));
        let all = [Arch::X86_64, Arch::Aarch64, Arch::S390X].into_iter().step_by(STEP);
        all.map(move |native| (native, compile(&profile, &Options::new(native)).unwrap()))
    }

    #[test]
    fn only_the_knock_passes_by_the_filter() {
        for (native, filter) in filters() {
            let knock = Knock([0x0102_0304_0506_0708, u64::MAX - 5]);
            let program = from_bytes(&knock.before(&filter, native).unwrap()).unwrap();
            let outcome = |number: &str, args: [u64; 6]| {
                let data = Data::new(native, native.number(number).unwrap(), args);
                let (with, without) =
                    (run(&program, &data).unwrap(), run(filter.instructions(), &data).unwrap());
                (with.outcome.action(), with.outcome == without.outcome)
            };
            let [first, second] = knock.words();
            let args = [u64::from(KNOCK), first, second, 0, 0, 0];
            assert_eq!(outcome("prctl", args), (Action::Notify, false));
            assert!(knock.is(&Data::new(native, 0, args)));
            assert!(outcome("execve", args).1);
            for (index, bit) in (0..3).flat_map(|index| (0..64).map(move |bit| (index, bit))).step_by(STEP) {
                let mut other = args;
                other[index] ^= 1 << bit;
                assert!(outcome("prctl", other).1, "{index} {bit}");
                assert!(!knock.is(&Data::new(native, 0, other)));
            }
        }
    }

    #[test]
    fn only_what_has_the_bits_is_sent() {
        for (native, filter) in filters() {
            let knock = Knock([0x0102_0304_0506_0708, u64::MAX - 5]);
            let program = from_bytes(&knock.before_and_sending(&filter, native).unwrap()).unwrap();
            let outcome = |number: &str, args: [u64; 6]| {
                let data = Data::new(native, native.number(number).unwrap(), args);
                run(&program, &data).unwrap().outcome.action()
            };
            let [first, second] = knock.words();
            let args = [5, 6, 7, u64::from(KNOCK), first, second];
            assert_eq!(outcome("sendmsg", args), Action::Allow);
            assert_eq!(outcome("sendmsg", [0, 0, 0, u64::from(KNOCK), first, second]), Action::Allow);
            assert_eq!(outcome("prctl", [u64::from(KNOCK), first, second, 0, 0, 0]), Action::Notify);
            assert_eq!(outcome("execve", args), Action::Allow);
            for other in ["prctl", "write", "sendto", "sendmmsg", "recvmsg"] {
                assert_eq!(outcome(other, args), Action::Errno, "{other}");
            }
            assert_eq!(outcome("sendmsg", [u64::from(KNOCK), first, second, 0, 0, 0]), Action::Errno);
            for (index, bit) in (3..6).flat_map(|index| (0..64).map(move |bit| (index, bit))).step_by(STEP) {
                let mut other = args;
                other[index] ^= 1 << bit;
                assert_eq!(outcome("sendmsg", other), Action::Errno, "{index} {bit}");
            }
        }
    }

    #[test]
    fn a_filter_that_leaves_no_room_is_told() {
        let mut profile = Profile::new(Action::Allow);
        profile.syscalls.push(Rule::new(&["mount"], Action::Notify));
        let lines = vec![Instruction { code: RETURN, jt: 0, jf: 0, k: 0 }; MOST];
        let room = MOST - Knock::shown().prefix(Arch::X86_64).len();
        let filled =
            |len: usize| Filter::new(lines.iter().take(len).copied().collect(), &profile, Vec::new());
        assert!(Knock::shown().before(&filled(room), Arch::X86_64).is_ok());
        let error = Knock::shown().before(&filled(room + 1), Arch::X86_64).unwrap_err();
        assert!(matches!(error, CompileError::TooLong { instructions: 4097 }), "{error}");
        let error = Knock::shown().before_and_sending(&filled(room), Arch::X86_64).unwrap_err();
        assert!(matches!(error, CompileError::TooLong { instructions: 4113 }), "{error}");
    }

    #[test]
    fn bits_are_new_each_time_and_never_shown() {
        let (one, other) = (Knock::new().unwrap(), Knock::new().unwrap());
        assert_ne!(one, other);
        assert_eq!(format!("{one:?}"), "Knock");
    }
}
