//! What the numbers were taken on.

use std::fs::{File, read_to_string};
use std::io::Write as _;
use std::time::Instant;

use crate::Failed;
use crate::place::Place;
use crate::statistics::{median, millis};
use crate::table::short;

const SYNCS: usize = 40;

/// One line about the machine. How long the disk takes to make 4 KiB durable bounds all that waits for it.
pub(crate) fn described(place: &Place) -> Result<String, Failed> {
    let processors = std::thread::available_parallelism()?;
    let memory = read_to_string("/proc/meminfo").ok().and_then(|text| number_after(&text, "MemTotal:"));
    let memory = memory.map_or_else(|| "?".to_owned(), |kib| format!("{:.0}", kib / 1024.0 / 1024.0));
    let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let version: String = kernel.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
    let load = read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or("?");
    Ok(format!(
        "{processors} processors, {memory} GiB of memory, Linux {version}, one fsync of 4 KiB {} ms (median), load {load} at the start.",
        short(sync_time(place)?)
    ))
}

fn sync_time(place: &Place) -> Result<f64, Failed> {
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

/// The first number after `name` in a file of `/proc`.
pub(crate) fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
