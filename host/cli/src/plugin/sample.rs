//! Calls of a component that are measured.

use std::path::Path;
use std::time::Duration;

use hookwright_cases::{Case, Stage};
use hookwright_model::{InstancePolicy, Limits};
use hookwright_plugin::Plugin;

use super::artifact::Artifact;
use crate::failed::{Failed, problem};

/// The case whose call is measured.
pub(crate) struct Sample {
    /// Its name, for people.
    pub(crate) name: String,
    case: Case,
}

impl Sample {
    /// The case of a file; without one, the first of the component's cases that says what the plugin achieves; without
    /// that, a call without parameters.
    pub(crate) fn of(artifact: &Artifact, given: Option<&Path>) -> Result<Self, Failed> {
        if let Some(path) = given {
            let file = hookwright_cases::read_one(path);
            return Ok(Self { name: file.name, case: file.case? });
        }
        if let Some(folder) = artifact.cases_folder() {
            let files = hookwright_cases::read(&folder)?;
            let achieves = |file: hookwright_cases::CaseFile| {
                let case = file.case.ok().filter(Case::achieves)?;
                Some(Self { name: file.name, case })
            };
            if let Some(sample) = files.into_iter().find_map(achieves) {
                return Ok(sample);
            }
        }
        Ok(Self { name: "a call without parameters".to_owned(), case: Case::default() })
    }

    /// The stage for its calls, with fresh or kept instances.
    pub(crate) fn stage(&self, plugin: &Plugin, policy: InstancePolicy) -> Result<Stage, Failed> {
        let stage = Stage::new(plugin, &self.case, Limits::default());
        let stage = stage.map_err(|mistakes| problem("case.invalid", format!("{}: {mistakes}", self.name)))?;
        Ok(stage.with_instances(policy))
    }
}

/// The share `part` of 100 of the times, in order, that is not above it.
pub(crate) fn percentile(sorted: &[Duration], part: usize) -> Duration {
    let place = sorted.len().saturating_mul(part).div_ceil(100).saturating_sub(1);
    sorted.get(place.min(sorted.len().saturating_sub(1))).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_measured_values() {
        let times: Vec<Duration> = (1..=200).map(Duration::from_micros).collect();
        assert_eq!(percentile(&times, 50), Duration::from_micros(100));
        assert_eq!(percentile(&times, 99), Duration::from_micros(198));
        assert_eq!(percentile(&times[..1], 99), Duration::from_micros(1));
        assert_eq!(percentile(&[], 50), Duration::ZERO);
    }
}
