//! Memory that another processor has in its cache.

#[cfg(all(target_arch = "x86_64", not(miri)))]
#[expect(unsafe_code, reason = "a hint to the processor is an instruction")]
mod hint {
    /// Bytes that processors move between them at once.
    const LINE: usize = 64;
    /// Lines that are worth asking for. What is longer is written for a while, and seen to come.
    const MOST: usize = 6;

    #[inline(always)]
    pub(super) fn expect_write<T: ?Sized>(value: &T) {
        let start = std::ptr::from_ref(value).cast::<u8>();
        let before = start.addr() % LINE;
        for line in 0..(before + size_of_val(value)).div_ceil(LINE).min(MOST) {
            let at = start.wrapping_add(line * LINE);
            // SAFETY: the instruction reads and writes nothing that a program can see, and fails at no
            // address. All processors of x86-64 know it, or pass over it.
            unsafe {
                std::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags));
            }
        }
    }
}

/// Asks for the memory of a value that will be written soon, the first 256 bytes of it.
///
/// Where another processor has it, a write waits for it, and all that comes behind the write. Asked for
/// some hundred nanoseconds before, it is there. What the value points to is not asked for. Changes
/// nothing that a program can see; where there is no such instruction, it does nothing.
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
