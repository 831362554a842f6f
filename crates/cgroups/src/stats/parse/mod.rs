//! The formats of the control files, one function each, over bytes. No input makes one panic.

pub(super) mod cpu;
pub(super) mod devices;
pub(super) mod io;
pub(super) mod memory;
