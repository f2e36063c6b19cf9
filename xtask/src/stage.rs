//! A task in stages, each told with how long it took.

use std::time::{Duration, Instant};

use crate::stop::Stop;

/// Tells the stages of a task.
pub(crate) struct Stages {
    total: usize,
    begun: usize,
    started: Instant,
}

impl Stages {
    /// A task of `total` stages.
    pub(crate) fn new(total: usize) -> Self {
        Self { total, begun: 0, started: Instant::now() }
    }

    /// Carries out one stage and says how long it took. What goes wrong is told with the stage's name.
    pub(crate) fn run<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        let began = Instant::now();
        let done = self.last(name, work)?;
        println!("    {name}: done in {}", told(began.elapsed()));
        Ok(done)
    }

    /// Runs the last stage without a closing line, so that its output is the end.
    pub(crate) fn last<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T, Stop>) -> Result<T, Stop> {
        self.begun = self.begun.saturating_add(1);
        let so_far = told(self.started.elapsed());
        println!("==> [{}/{}] {name} ({so_far} so far)", self.begun, self.total);
        let began = Instant::now();
        work().map_err(|stop| Stop::new(format!("the stage `{name}` failed after {}: {stop}", told(began.elapsed()))))
    }
}

/// A duration as a person says it.
pub(crate) fn told(duration: Duration) -> String {
    let seconds = duration.as_secs();
    if seconds < 60 {
        return format!("{:.1} s", duration.as_secs_f64());
    }
    format!("{} min {} s", seconds / 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failing_stage_is_named() {
        let mut stages = Stages::new(2);
        assert_eq!(stages.run("first", || Ok(7)), Ok(7));
        let stop = stages.run("second", || Err::<(), _>(Stop::new("no disk"))).unwrap_err().to_string();
        assert!(stop.contains("`second`") && stop.ends_with("no disk"), "{stop}");
    }

    #[test]
    fn durations_are_human_readable() {
        for (milliseconds, text) in
            [(40, "0.0 s"), (59_940, "59.9 s"), (61_000, "1 min 1 s"), (3_600_000, "60 min 0 s")]
        {
            assert_eq!(told(Duration::from_millis(milliseconds)), text);
        }
    }
}
