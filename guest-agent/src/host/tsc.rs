//! `tsc-khz`: how fast this machine's time stamp counter runs.

use std::process::ExitCode;

#[cfg(target_arch = "x86_64")]
pub fn print_khz() -> ExitCode {
    println!("{}", measure_khz());
    ExitCode::SUCCESS
}

#[cfg(not(target_arch = "x86_64"))]
pub fn print_khz() -> ExitCode {
    eprintln!("there is no time stamp counter on this architecture");
    ExitCode::FAILURE
}

#[cfg(target_arch = "x86_64")]
fn measure_khz() -> u64 {
    let (ticks_before, nanos_before) = sample();
    std::thread::sleep(std::time::Duration::from_millis(60));
    let (ticks_after, nanos_after) = sample();
    let ticks = u128::from(ticks_after - ticks_before);
    let nanos = u128::from(nanos_after - nanos_before).max(1);
    ((ticks * 1_000_000 + nanos / 2) / nanos) as u64
}

/// The narrowest of some tries: between the two counter reads the thread may have been set aside.
#[cfg(target_arch = "x86_64")]
fn sample() -> (u64, u64) {
    let mut best = (u64::MAX, 0, 0);
    for _ in 0..32 {
        let before = ticks();
        let time = nanos();
        let after = ticks();
        let width = after.wrapping_sub(before);
        if width < best.0 {
            best = (width, before + width / 2, time);
        }
    }
    (best.1, best.2)
}

#[cfg(target_arch = "x86_64")]
fn ticks() -> u64 {
    // SAFETY: every x86-64 processor has rdtsc.
    unsafe { core::arch::x86_64::_rdtsc() }
}

#[cfg(target_arch = "x86_64")]
fn nanos() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: a live local to write to.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC_RAW, &mut time) };
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}
