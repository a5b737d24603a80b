//! What a process and its threads cost, as the kernel counts it.

/// Ticks of processor time per second in /proc, on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// Processor seconds of a process so far, by its id or `"self"`; zero where there is no /proc.
pub fn cpu_seconds(process: &str) -> f64 {
    cpu_of(&format!("/proc/{process}/stat"))
}

/// Processor seconds of the calling thread so far; zero where there is no /proc.
pub fn thread_cpu_seconds() -> f64 {
    cpu_of("/proc/thread-self/stat")
}

/// The most memory that a process ever had resident, in bytes, by its id or `"self"`; zero where there is no /proc.
pub fn peak_resident_bytes(process: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = peak.and_then(|rest| rest.trim().strip_suffix("kB")).and_then(|kib| kib.trim().parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

/// `utime` and `stime`, the 14th and 15th field; the second one, a name, may hold blanks and ends in a parenthesis.
fn cpu_of(path: &str) -> f64 {
    let stat = std::fs::read_to_string(path).unwrap_or_default();
    let Some((_, rest)) = stat.rsplit_once(')') else { return 0.0 };
    let ticks = rest.split_ascii_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok());
    ticks.sum::<u64>() as f64 / TICKS_PER_SECOND
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn work_is_counted() {
        let before = (cpu_seconds("self"), thread_cpu_seconds());
        let mut sum = 0u64;
        while thread_cpu_seconds() - before.1 < 0.03 {
            sum = std::hint::black_box(sum.wrapping_add((0..100_000u64).sum::<u64>()));
        }
        assert!(cpu_seconds("self") - before.0 >= 0.03 && peak_resident_bytes("self") > 1 << 20, "{sum}");
    }
}
