//! The row of a run: what decides how it goes on, in a short binary form, and behind it the run as JSON. The writer needs the
//! former only, and the caller has written the latter before.
//!
//! ```text
//! 1 | flags: 1 resumed, 2 fired, 4 first retry, 8 since, 16 plugin | state | version, 8 bytes
//!   | first retry, until or end, since: 8 bytes each, those that there are | plugin: length, 2 bytes, and text | JSON
//! ```
//!
//! All numbers are little endian, times in milliseconds. Before format 6 a row was the JSON alone.

use hookwright_model::{Run, RunState, RunStateName, Timestamp};

use super::{corrupt, read};
use crate::StoreError;

const FORM: u8 = 1;
const RESUMED: u8 = 1;
const FIRED: u8 = 2;
const FIRST_RETRY: u8 = 4;
const SINCE: u8 = 8;
const PLUGIN: u8 = 16;

/// The states by their numbers in rows, which stay as they are.
const STATES: [RunStateName; 8] = [
    RunStateName::Skipped,
    RunStateName::Running,
    RunStateName::Waiting,
    RunStateName::Parked,
    RunStateName::Queued,
    RunStateName::Done,
    RunStateName::Failed,
    RunStateName::Cancelled,
];

/// What decides how a run goes on. Where the JSON of a row says something else, this holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) version: u64,
    pub(crate) resumed: bool,
    fired: bool,
    first_retry: Option<Timestamp>,
    pub(crate) state: RunState,
}

impl Head {
    pub(crate) fn of(run: &Run) -> Self {
        Self {
            version: run.version,
            resumed: run.resumed,
            fired: run.decision.fired,
            first_retry: run.first_retry(),
            state: run.state.clone(),
        }
    }

    pub(crate) fn in_work(&self) -> bool {
        self.state.in_work(self.resumed)
    }

    pub(crate) fn undecided(&self) -> bool {
        self.state.undecided(self.fired)
    }

    pub(crate) fn due_at(&self) -> Option<Timestamp> {
        self.state.due_at(self.resumed, self.first_retry)
    }

    /// The row of a run with this head.
    pub(crate) fn row(&self, json: &[u8]) -> Vec<u8> {
        let (time, since, plugin) = match &self.state {
            RunState::Waiting { until, since, plugin } => (Some(*until), *since, plugin.as_deref()),
            RunState::Parked { plugin } => (None, None, Some(plugin.as_str())),
            ended => (ended.finished_at(), None, None),
        };
        let flags = [
            (RESUMED, self.resumed),
            (FIRED, self.fired),
            (FIRST_RETRY, self.first_retry.is_some()),
            (SINCE, since.is_some()),
            (PLUGIN, plugin.is_some()),
        ];
        let flags = flags.into_iter().filter(|(_, set)| *set).fold(0, |flags, (flag, _)| flags | flag);
        let state = STATES.iter().zip(0_u8..).find(|(name, _)| **name == self.state.name());
        let mut row = Vec::with_capacity(json.len().saturating_add(48));
        row.extend([FORM, flags, state.map_or(u8::MAX, |(_, number)| number)]);
        row.extend(self.version.to_le_bytes());
        for time in [self.first_retry, time, since].into_iter().flatten() {
            row.extend(time.millis().to_le_bytes());
        }
        if let Some(plugin) = plugin {
            // Names of plugins are short; a longer one would only not be released by its name.
            let length = u16::try_from(plugin.len()).unwrap_or_default();
            row.extend(length.to_le_bytes());
            row.extend_from_slice(plugin.as_bytes().get(..length.into()).unwrap_or_default());
        }
        row.extend_from_slice(json);
        row
    }
}

/// The head of a run's row.
pub(crate) fn read_head(row: &[u8]) -> Result<Head, StoreError> {
    Ok(parts(row)?.0)
}

/// The run of a row.
pub(crate) fn read_run(row: &[u8]) -> Result<Run, StoreError> {
    if row.first() != Some(&FORM) {
        return read(row);
    }
    let (Head { version, resumed, state, .. }, json) = parts(row)?;
    Ok(Run { version, resumed, state, ..read::<Run>(json)? })
}

fn parts(row: &[u8]) -> Result<(Head, &[u8]), StoreError> {
    if row.first() != Some(&FORM) {
        return Ok((Head::of(&read(row)?), row));
    }
    parse(row).ok_or_else(|| corrupt("a run whose row has no complete head"))
}

fn parse(row: &[u8]) -> Option<(Head, &[u8])> {
    let ([_, flags, state], mut rest) = row.split_first_chunk()?;
    let has = |flag: u8| flags & flag != 0;
    let name = STATES.get(usize::from(*state))?;
    let version = u64::from_le_bytes(*take(&mut rest)?);
    let mut time = |there: bool| {
        if !there {
            return Some(None);
        }
        take(&mut rest).map(|bytes| Some(Timestamp::from_millis(i64::from_le_bytes(*bytes))))
    };
    let first_retry = time(has(FIRST_RETRY))?;
    let at = time(!matches!(name, RunStateName::Running | RunStateName::Queued | RunStateName::Parked))?;
    let since = time(has(SINCE))?;
    let mut plugin = None;
    if has(PLUGIN) {
        let length = u16::from_le_bytes(*take(&mut rest)?);
        let (name, json) = rest.split_at_checked(length.into())?;
        (plugin, rest) = (Some(std::str::from_utf8(name).ok()?.to_owned()), json);
    }
    let state = match (name, at) {
        (RunStateName::Running, _) => RunState::Running,
        (RunStateName::Queued, _) => RunState::Queued,
        (RunStateName::Parked, _) => RunState::Parked { plugin: plugin? },
        (RunStateName::Waiting, until) => RunState::Waiting { until: until?, since, plugin },
        (RunStateName::Skipped, at) => RunState::Skipped { at: at? },
        (RunStateName::Done, at) => RunState::Done { at: at? },
        (RunStateName::Failed, at) => RunState::Failed { at: at? },
        (RunStateName::Cancelled, at) => RunState::Cancelled { at: at? },
    };
    Some((Head { version, resumed: has(RESUMED), fired: has(FIRED), first_retry, state }, rest))
}

fn take<'r, const N: usize>(bytes: &mut &'r [u8]) -> Option<&'r [u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(taken)
}

#[cfg(test)]
mod tests {
    use hookwright_model::{AutomationId, EventDraft, OpenStep, RunId, SpaceId, StepWait};
    use proptest::prelude::*;

    use super::*;

    fn run(state: RunState) -> Run {
        let draft =
            EventDraft { event_type: "a.b".into(), source: "s".into(), payload: "{}".into(), ..EventDraft::default() };
        let event = draft.accept(&SpaceId::main(), Timestamp::from_millis(5)).unwrap();
        let id = RunId { seq: 7, ordinal: 1 };
        Run { state, ..Run::undecided_for(&event, id, AutomationId::from("aut_1"), "name".into()) }
    }

    fn time() -> impl Strategy<Value = Timestamp> {
        (-9_000_000_000_000_i64..9_000_000_000_000).prop_map(Timestamp::from_millis)
    }

    fn state() -> impl Strategy<Value = RunState> {
        let plugin = "[a-z-]{1,60}";
        prop_oneof![
            Just(RunState::Running),
            Just(RunState::Queued),
            plugin.prop_map(|plugin| RunState::Parked { plugin }),
            (time(), prop::option::of(time()), prop::option::of(plugin))
                .prop_map(|(until, since, plugin)| RunState::Waiting { until, since, plugin }),
            time().prop_map(|at| RunState::Skipped { at }),
            time().prop_map(|at| RunState::Done { at }),
            time().prop_map(|at| RunState::Failed { at }),
            time().prop_map(|at| RunState::Cancelled { at }),
        ]
    }

    proptest! {
        #[test]
        fn a_head_holds_whatever_the_json_behind_it_says(
            state in state(), resumed in any::<bool>(), fired in any::<bool>(), version in any::<u64>(),
            retry in prop::option::of(time()),
        ) {
            let mut run = run(state);
            (run.resumed, run.decision.fired, run.version) = (resumed, fired, version);
            run.wait = Some(StepWait { until: Timestamp::from_millis(9), since: None });
            run.open_steps.extend(retry.map(|at| OpenStep {
                step: 0, item: None, tries: 1, retry_at: Some(at), since: Timestamp::default(),
            }));
            let other = Run { state: RunState::Running, resumed: !resumed, version: 0, ..run.clone() };
            let head = Head::of(&run);
            let row = head.row(&super::super::json(&other).unwrap());
            prop_assert_eq!(&read_head(&row).unwrap(), &head);
            prop_assert_eq!(
                (head.in_work(), head.undecided(), head.due_at()), (run.in_work(), run.undecided(), run.due_at()),
            );
            let again = read_run(&row).unwrap();
            prop_assert_eq!((again.version, again.resumed, &again.state), (version, resumed, &run.state));
            prop_assert_eq!((again.wait, again.open_steps.len()), (run.wait, run.open_steps.len()));
        }

        #[test]
        fn no_bytes_make_reading_panic(row in prop::collection::vec(any::<u8>(), 0..100), first in 0_u8..2) {
            let row = [&[first], row.as_slice()].concat();
            prop_assert!(read_run(&row).is_err());
            let _ = read_head(&row);
        }
    }

    #[test]
    fn a_row_of_an_earlier_format_is_read() {
        let mut run = run(RunState::Waiting { until: Timestamp::from_millis(9), since: None, plugin: None });
        (run.version, run.resumed) = (3, true);
        let row = super::super::json(&run).unwrap();
        assert_eq!(read_head(&row).unwrap(), Head::of(&run));
        assert_eq!(read_run(&row).unwrap().state, run.state);
    }

    #[test]
    fn a_truncated_head_is_an_error() {
        let state = RunState::Waiting {
            until: Timestamp::from_millis(9),
            since: Some(Timestamp::from_millis(8)),
            plugin: Some("p".into()),
        };
        let row = Head::of(&run(state)).row(b"");
        for end in 1..row.len() {
            assert!(matches!(read_head(&row[..end]), Err(StoreError::Corrupt(_))), "{end}");
        }
        assert!(read_head(&row).is_ok());
    }
}
