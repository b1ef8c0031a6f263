//! What the gateway's process has used (Linux, `/proc`).

use std::time::Duration;

/// Clock ticks of `/proc/PID/stat` a second: fixed on Linux.
const TICKS: u64 = 100;

/// What a process has used until a moment.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    /// Processor time, in user and kernel mode.
    pub(crate) processor: Duration,
    /// Memory that is its own and in RAM, in bytes.
    pub(crate) memory: u64,
}

/// Reads it.
pub(crate) fn usage(pid: u32) -> anyhow::Result<Usage> {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{pid}/{name}"));
    let stat = read("stat").map_err(|error| anyhow::anyhow!("process {pid}: {error}"))?;
    // The name in parentheses may hold anything; the fields behind it are counted from the state, which is the third.
    let fields: Vec<_> = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace().collect();
    let ticks = |at: usize| fields.get(at).and_then(|text| text.parse::<u64>().ok()).unwrap_or_default();
    // Ticks are of 10 ms and include threads that have ended; the others tell more exactly what they used.
    let by_ticks = Duration::from_millis((ticks(11) + ticks(12)) * 1000 / TICKS);
    let processor = by_ticks.max(of_threads(pid));
    let rollup = read("smaps_rollup").unwrap_or_default();
    let kib = |name: &str| {
        let line = rollup.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    Ok(Usage { processor, memory: (kib("Private_Clean:") + kib("Private_Dirty:")) * 1024 })
}

/// What the threads that live have used.
fn of_threads(pid: u32) -> Duration {
    let threads = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let nanos = threads.filter_map(|thread| {
        let stat = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        stat.split_whitespace().next()?.parse::<u64>().ok()
    });
    Duration::from_nanos(nanos.sum())
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_looked_at_and_one_that_is_not_there_is_named() {
        let own = usage(std::process::id()).unwrap();
        assert!(own.memory > 100_000 && own.processor > Duration::ZERO, "{own:?}");
        assert!(usage(u32::MAX).unwrap_err().to_string().starts_with("process 4294967295: "));
    }
}
