//! What the numbers were taken on.

use std::fs::{File, read_to_string};
use std::io::Write as _;
use std::time::Instant;

use crate::Failed;
use crate::place::Place;
use crate::statistics::{median, millis, quantile};
use crate::table::short;

const SYNCS: usize = 10;

/// One line about the machine.
pub(crate) fn described() -> Result<String, Failed> {
    let processors = std::thread::available_parallelism()?;
    let memory = read_to_string("/proc/meminfo").ok().and_then(|text| number_after(&text, "MemTotal:"));
    let memory = memory.map_or_else(|| "?".to_owned(), |kib| format!("{:.0}", kib / 1024.0 / 1024.0));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: String = kernel.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    Ok(format!("{processors} processors, {memory} GiB of memory, Linux {version}, load {load} at the start."))
}

/// How long the disk takes to make 4 KiB durable, in milliseconds. It changes from minute to minute where the disk is
/// shared, so it is taken again and again.
pub(crate) fn sync_time(place: &Place) -> Result<f64, Failed> {
    let folder = place.fresh()?;
    let mut file = File::create(folder.path().join("sync"))?;
    let mut times = Vec::with_capacity(SYNCS);
    for _ in 0..SYNCS {
        file.write_all(&[1; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(millis(start.elapsed()));
    }
    Ok(median(times))
}

/// One line about how long it took.
pub(crate) fn sync_line(times: &[f64]) -> String {
    let mut sorted = times.to_vec();
    sorted.sort_by(f64::total_cmp);
    let [least, middle, most] = [0.0, 0.5, 1.0].map(|place| short(quantile(&sorted, place)));
    format!("One fsync of 4 KiB during the run: {middle} ms (median of {} samples, {least} to {most}).", sorted.len())
}

/// The first number after `name` in a file of `/proc`.
pub(crate) fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
