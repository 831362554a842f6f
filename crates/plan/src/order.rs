//! What may follow what: one rule, kept by the verifier on the host and again by the init for each part of a plan that it enters.
//!
//! Like [`crate::wire`] this file is compiled into both.

/// What a step means for the order of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// Allowed anywhere before a seccomp filter.
    #[default]
    Plain = 0,
    /// Needs a capability: not allowed once privileges were dropped.
    Privileged = 1,
    /// Gives up user, group or capabilities.
    Drops = 2,
    /// Sets `no_new_privs`.
    NoNewPrivs = 3,
    /// Loads a filter: nothing but exec may follow, or one knock and then exec.
    Seccomp = 4,
    /// Replaces the program.
    Exec = 5,
    /// Gives up all but `CAP_SYS_ADMIN`, by which a filter can still be loaded.
    DropsToAdmin = 6,
    /// Waits until the host has taken the listener of the filter before it.
    Knock = 7,
    /// Restricts itself by Landlock: nothing privileged may follow, as the kernel would refuse mounts.
    Landlock = 8,
}

impl Class {
    /// The class with this number, if there is one.
    #[must_use]
    pub fn from_u8(number: u8) -> Option<Self> {
        Some(match number {
            0 => Self::Plain,
            1 => Self::Privileged,
            2 => Self::Drops,
            3 => Self::NoNewPrivs,
            4 => Self::Seccomp,
            5 => Self::Exec,
            6 => Self::DropsToAdmin,
            7 => Self::Knock,
            8 => Self::Landlock,
            _ => return None,
        })
    }
}

/// How a step breaks the order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Breach {
    /// Something but exec stands after the filter.
    AfterSeccomp,
    /// A knock that no filter answers.
    NoListener,
    /// It needs what was given up before.
    Unprivileged,
    /// A filter after the loss of privileges needs `no_new_privs` or `CAP_SYS_ADMIN`.
    SeccompUnprivileged,
    /// Something privileged stands after Landlock.
    AfterLandlock,
    /// Landlock after the loss of privileges needs `no_new_privs` or `CAP_SYS_ADMIN`.
    LandlockUnprivileged,
}

/// What the steps so far have done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Order {
    dropped: bool,
    admin: bool,
    filtered: bool,
    knocked: bool,
    no_new_privs: bool,
    restricted: bool,
}

impl Order {
    /// Goes past one more step.
    ///
    /// # Errors
    /// If it may not stand there.
    pub fn pass(&mut self, class: Class) -> Result<(), Breach> {
        let knocks = class == Class::Knock && !self.knocked;
        if self.filtered && class != Class::Exec && !knocks {
            return Err(Breach::AfterSeccomp);
        }
        let may_restrict = !self.dropped || self.no_new_privs || self.admin;
        match class {
            Class::Knock if !self.filtered => return Err(Breach::NoListener),
            Class::Privileged if self.dropped => return Err(Breach::Unprivileged),
            Class::Privileged if self.restricted => return Err(Breach::AfterLandlock),
            Class::Seccomp if !may_restrict => return Err(Breach::SeccompUnprivileged),
            Class::Landlock if !may_restrict => return Err(Breach::LandlockUnprivileged),
            Class::Drops => (self.dropped, self.admin) = (true, false),
            Class::DropsToAdmin => (self.dropped, self.admin) = (true, true),
            Class::NoNewPrivs => self.no_new_privs = true,
            Class::Seccomp => self.filtered = true,
            Class::Knock => self.knocked = true,
            Class::Landlock => self.restricted = true,
            Class::Plain | Class::Privileged | Class::Exec => {}
        }
        Ok(())
    }
}
