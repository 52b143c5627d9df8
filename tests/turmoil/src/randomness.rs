//! Every random number that this process would take from the system comes from the day's seed: hash maps and their order, the
//! pauses of the product, the branches of `select!`. So a day that breaks a promise breaks it again.

use std::sync::atomic::{AtomicU64, Ordering};

static STATE: AtomicU64 = AtomicU64::new(0);

/// From now on.
pub(crate) fn seed(seed: u64) {
    STATE.store(seed, Ordering::Relaxed);
}

/// The next number of SplitMix64.
fn next() -> u64 {
    const STEP: u64 = 0x9E37_79B9_7F4A_7C15;
    let mut it = STATE.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
    it = (it ^ (it >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    it = (it ^ (it >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    it ^ (it >> 31)
}

/// Stands in for libc's function of this name, which the standard library and the crate `getrandom` call.
///
/// # Safety
/// As that of libc: `buffer` holds `length` bytes.
#[allow(unsafe_code, reason = "there is no safe way to take the place of a function of libc")]
#[unsafe(no_mangle)]
pub(crate) unsafe extern "C" fn getrandom(buffer: *mut u8, length: usize, _flags: u32) -> isize {
    for at in 0..length {
        // SAFETY: `at` is below `length`.
        unsafe { buffer.add(at).write(next() as u8) };
    }
    isize::try_from(length).unwrap_or(isize::MAX)
}
