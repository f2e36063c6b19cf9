//! What the numbers were taken on.

use std::fmt;
use std::fs::{File, read_to_string};
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use hookwright_model::Timestamp;
use serde_json::{Map, Value, json};

use crate::Failed;
use crate::figures::{Row, Sheet, Unit};
use crate::place::Place;
use crate::statistics::{median, millis};

const SYNCS: usize = 10;

/// The machine, and the checkout that the benchmarks were built from.
pub(crate) struct Machine {
    processors: usize,
    memory_gib: Option<f64>,
    kernel: String,
    /// How many processes were running or waiting to run at the start, over a minute.
    load: Option<f64>,
    /// The commit, with `-dirty` if files differ from it; `None` where git says nothing.
    commit: Option<String>,
    date: String,
}

impl Machine {
    /// Looks at it now.
    pub(crate) fn look() -> Result<Self, Failed> {
        let memory = read_to_string("/proc/meminfo").ok().and_then(|text| number_after(&text, "MemTotal:"));
        let kernel = read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let load = read_to_string("/proc/loadavg").unwrap_or_default();
        let millis = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
        Ok(Self {
            processors: std::thread::available_parallelism()?.get(),
            memory_gib: memory.map(|kib| kib / 1024.0 / 1024.0),
            kernel: kernel.trim().chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect(),
            load: load.split(' ').next().and_then(|load| load.parse().ok()),
            commit: commit(),
            date: Timestamp::from_millis(i64::try_from(millis)?).to_string(),
        })
    }

    /// For reports.
    pub(crate) fn as_json(&self) -> Map<String, Value> {
        let mut about = Map::new();
        about.insert("date".to_owned(), self.date.as_str().into());
        about.insert("commit".to_owned(), json!(self.commit));
        let machine = json!({
            "processors": self.processors,
            "memory_gib": self.memory_gib,
            "kernel": self.kernel,
            "load_at_start": self.load,
        });
        about.insert("machine".to_owned(), machine);
        about
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let number =
            |value: Option<f64>, digits: usize| value.map_or("?".to_owned(), |value| format!("{value:.digits$}"));
        let (memory, load) = (number(self.memory_gib, 0), number(self.load, 2));
        let Self { processors, kernel, .. } = self;
        write!(f, "{processors} processors, {memory} GiB of memory, Linux {kernel}, load {load} at the start.")
    }
}

fn commit() -> Option<String> {
    let mut git = Command::new("git");
    git.args(["-C", env!("CARGO_MANIFEST_DIR"), "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"])
        .stdin(Stdio::null());
    let output = git.stderr(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    Some(String::from_utf8_lossy(&output.stdout).trim().to_owned())
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

/// How long it took, as a sheet.
pub(crate) fn sync_sheet(section: &'static str, millis: Vec<f64>) -> Sheet {
    let row = Row::new(["4 KiB".to_owned()]).with("takes", Unit::MILLIS, millis);
    Sheet::single(section, "The disk during the run", "one fsync of", row)
}

/// The first number after `name` in a file of `/proc`.
pub(crate) fn number_after(text: &str, name: &str) -> Option<f64> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
