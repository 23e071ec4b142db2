//! Prefetching of memory that another processor has in its cache.

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "a hint to the processor is an instruction")]
mod hint {
    /// The bytes in a cache line.
    const LINE: usize = 64;
    /// The number of lines that are worth a prefetch. Writing a longer value takes a while, and the
    /// processor predicts its later lines.
    const MOST: usize = 6;

    #[inline(always)]
    pub(crate) fn expect_write<T: ?Sized>(value: &T) {
        let start = std::ptr::from_ref(value).cast::<u8>();
        let before = start.addr() % LINE;
        for line in 0..(before + size_of_val(value)).div_ceil(LINE).min(MOST) {
            let at = start.wrapping_add(line * LINE);
            // SAFETY: the instruction reads and writes nothing that a program can see, and faults at no
            // address. All x86-64 processors know it or ignore it.
            unsafe {
                std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags));
            }
        }
    }
}

/// Prefetches, for writing, the memory of a value that will be written soon: its first cache lines, six
/// at most.
///
/// If another processor has the memory in its cache, a write waits for it, and so does everything
/// behind the write. Prefetched some hundred nanoseconds earlier, the memory is there in time. Memory
/// that the value points to is not prefetched. The call has no effect that a program can see; on
/// targets without such an instruction it does nothing.
#[inline(always)]
pub fn expect_write<T: ?Sized>(value: &T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    hint::expect_write(value);
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = value;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_value_may_be_expected() {
        let values = vec![7_u64; 1000];
        expect_write(&values);
        expect_write(values.as_slice());
        expect_write("");
        expect_write(&());
        assert!(values.iter().all(|value| *value == 7));
    }
}
