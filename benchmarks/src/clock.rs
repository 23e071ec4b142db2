//! The thread's CPU clock and CPU affinity, which std does not offer.

use std::io;
use std::mem::MaybeUninit;

/// Returns the CPU time that the calling thread has used, in nanoseconds.
///
/// This is not wall time: on a shared machine, wall time would include the time in which the thread
/// is preempted.
pub(crate) fn thread_cpu_ns() -> u64 {
    let mut time = MaybeUninit::<libc::timespec>::uninit();
    // SAFETY: the pointer is valid for a write of one timespec.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, time.as_mut_ptr()) };
    assert_eq!(
        result, 0,
        "the thread CPU clock exists on each target that this program builds for"
    );
    // SAFETY: the call above succeeded, so it wrote the value.
    let time = unsafe { time.assume_init() };
    let seconds = u64::try_from(time.tv_sec).expect("CPU time is not negative");
    let nanos = u64::try_from(time.tv_nsec).expect("CPU time is not negative");
    seconds * 1_000_000_000 + nanos
}

/// Returns the CPUs on which this process may run.
#[cfg(target_os = "linux")]
pub(crate) fn allowed_cpus() -> Vec<usize> {
    let mut set = MaybeUninit::<libc::cpu_set_t>::zeroed();
    // SAFETY: the pointer is valid for a write of the size that is passed with it.
    let result = unsafe { libc::sched_getaffinity(0, CPU_SET_BYTES, set.as_mut_ptr()) };
    if result != 0 {
        return Vec::new();
    }
    // SAFETY: the call succeeded, and a zeroed set is a valid set as well.
    let set = unsafe { set.assume_init() };
    let limit = usize::try_from(libc::CPU_SETSIZE).expect("a positive constant");
    // SAFETY: each index is below CPU_SETSIZE, the number of bits in the set.
    (0..limit)
        .filter(|&cpu| unsafe { libc::CPU_ISSET(cpu, &set) })
        .collect()
}

/// Pins the calling thread to one CPU.
#[cfg(target_os = "linux")]
pub(crate) fn pin_to(cpu: usize) -> io::Result<()> {
    // SAFETY: a zeroed cpu_set_t is the empty set.
    let mut set = unsafe { MaybeUninit::<libc::cpu_set_t>::zeroed().assume_init() };
    // SAFETY: the CPU came from `allowed_cpus`, hence its bit lies within the set.
    unsafe { libc::CPU_SET(cpu, &mut set) };
    // SAFETY: the pointer is valid for a read of the size that is passed with it.
    let result = unsafe { libc::sched_setaffinity(0, CPU_SET_BYTES, &raw const set) };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// Returns as many numbers as there are CPUs: pinning is not supported here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn allowed_cpus() -> Vec<usize> {
    (0..std::thread::available_parallelism().map_or(1, usize::from)).collect()
}

/// Does nothing: pinning is not supported here.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pin_to(_cpu: usize) -> io::Result<()> {
    Ok(())
}

#[cfg(target_os = "linux")]
const CPU_SET_BYTES: usize = size_of::<libc::cpu_set_t>();
