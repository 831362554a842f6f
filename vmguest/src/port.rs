//! QEMU's `isa-debug-exit` device: a byte written to its port ends the machine with a status of our choice.

/// Where `xtask` puts the device.
const PORT: u16 = 0xf4;

/// Ends the machine: QEMU's exit status becomes `2 * value + 1`. Returns if there is no such device.
#[cfg(target_arch = "x86_64")]
pub(crate) fn end(value: u8) {
    // SAFETY: ioperm takes numbers only, and concerns this thread's right to use one port.
    let allowed = unsafe { libc::ioperm(PORT.into(), 4, 1) };
    if allowed != 0 {
        return;
    }
    // SAFETY: the port was just allowed, it belongs to a device that ends the machine, and no memory is touched.
    unsafe {
        std::arch::asm!("out dx, al", in("dx") PORT, in("al") value, options(nomem, nostack, preserves_flags));
    }
}

/// Other machines have no such port.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn end(_value: u8) {
    let _ = PORT;
}
