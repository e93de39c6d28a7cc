//! What a server's processes cost: CPU time and memory, read from /proc.

use std::fs;

/// Kernel clock ticks a second; fixed at 100 on every Linux that Rust's std runs on.
const TICKS: f64 = 100.0;

/// CPU seconds used so far by a process, its living descendants and those it has waited for. What a server does
/// not wait for is lost when it ends, so ask while the session is still there.
pub(crate) fn cpu_seconds(root: u32) -> f64 {
    family(root)
        .into_iter()
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            // utime, stime, cutime and cstime are fields 14 to 17; the name before may hold spaces.
            let after = stat.rsplit_once(") ")?.1;
            let fields: Vec<&str> = after.split(' ').collect();
            let ticks: u64 = fields
                .get(11..15)?
                .iter()
                .filter_map(|f| f.parse::<u64>().ok())
                .sum();
            #[expect(clippy::cast_precision_loss, reason = "ticks of one run are few")]
            Some(ticks as f64 / TICKS)
        })
        .sum()
}

/// Proportional set size of a process and its living descendants, in KiB: shared pages count once in all.
pub(crate) fn pss_kib(root: u32) -> u64 {
    family(root)
        .into_iter()
        .filter_map(|pid| {
            let rollup = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).ok()?;
            let line = rollup.lines().find(|l| l.starts_with("Pss:"))?;
            line.split_whitespace().nth(1)?.parse::<u64>().ok()
        })
        .sum()
}

/// The process and all that descend from it.
fn family(root: u32) -> Vec<u32> {
    let parents: Vec<(u32, u32)> = fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok())
        .filter_map(|pid| {
            let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
            let parent = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
            Some((pid, parent))
        })
        .collect();
    let mut all = vec![root];
    let mut at = 0;
    while let Some(&parent) = all.get(at) {
        all.extend(
            parents
                .iter()
                .filter(|(_, p)| *p == parent)
                .map(|(c, _)| *c),
        );
        at += 1;
    }
    all
}

/// Jiffies that every process of the machine used, in seconds: what is not ours was somebody else's.
pub(crate) fn machine_busy_seconds() -> f64 {
    let stat = fs::read_to_string("/proc/stat").unwrap_or_default();
    let line = stat.lines().next().unwrap_or_default();
    let fields: Vec<u64> = line
        .split_whitespace()
        .skip(1)
        .filter_map(|f| f.parse().ok())
        .collect();
    let busy: u64 = fields
        .iter()
        .enumerate()
        .filter(|(at, _)| ![3, 4].contains(at)) // idle and iowait
        .map(|(_, v)| v)
        .sum();
    #[expect(clippy::cast_precision_loss, reason = "seconds since boot are few")]
    let seconds = busy as f64 / TICKS;
    seconds
}
