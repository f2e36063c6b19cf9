//! The steps of an automation or a workflow.

use std::collections::{BTreeSet, HashSet};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};

use crate::nullable::required;
use crate::variables::{Names, check_names, mentions};
use crate::whole::whole_or_null;
use crate::{Mistake, Mistakes, RetrySchedule, Timestamp, When, check_display_name};

/// What a step calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepKind {
    /// An action plugin.
    Action,
    /// A transform plugin, whose result later steps use.
    Transform,
    /// Nothing: it waits.
    Wait,
}

/// What happens when a step fails.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OnError {
    /// The later steps are executed.
    #[default]
    Continue,
    /// The later steps are not executed.
    Stop,
    /// It is retried by its schedule, even if the plugin reports a permanent failure; then as with `continue`.
    Retry,
}

/// How long a step waits. The values may contain variables.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase", try_from = "Value")]
pub enum Wait {
    /// A duration in seconds, from 0 to [`Wait::MOST_SECONDS`].
    Seconds(Value),
    /// Until this time (RFC 3339), at most [`Wait::MOST_SECONDS`] from now. A time in the past ends at once.
    Until(Value),
}

impl TryFrom<Value> for Wait {
    type Error = String;

    fn try_from(mut given: Value) -> Result<Self, String> {
        if let Some(members) = given.as_object_mut().filter(|members| members.len() == 1) {
            if let Some(seconds) = members.shift_remove("seconds") {
                return Ok(Self::Seconds(seconds));
            }
            if let Some(until) = members.shift_remove("until") {
                return Ok(Self::Until(until));
            }
        }
        let text = given.to_string();
        let is_number = given.is_number() || given.as_str().is_some_and(|text| text.trim().parse::<f64>().is_ok());
        let example = match &given {
            _ if text.len() > 40 => None,
            value if is_number => Some(format!("{{\"seconds\": {value}}}")),
            Value::String(time) if Timestamp::read(time).is_some() => Some(format!("{{\"until\": {text}}}")),
            _ => None,
        };
        let example = example.unwrap_or_else(|| "{\"seconds\": 60}".to_owned());
        let shown = crate::abridged(&text);
        Err(format!(
            "`{shown}` is not a valid wait: give an object with either `seconds` or `until`, such as {example}"
        ))
    }
}

impl Wait {
    /// The longest wait: 366 days, in seconds.
    pub const MOST_SECONDS: u32 = 366 * 86_400;

    /// The value, which may contain variables.
    pub fn value(&self) -> &Value {
        match self {
            Self::Seconds(value) | Self::Until(value) => value,
        }
    }

    /// When it ends if it begins `now`. `value` is its value with the variables filled in.
    ///
    /// # Errors
    /// A sentence about what is wrong with the value.
    pub fn end(&self, value: &Value, now: Timestamp) -> Result<Timestamp, String> {
        let latest = now.millis().saturating_add(i64::from(Self::MOST_SECONDS).saturating_mul(1000));
        let wrong = |wanted: String| {
            let shown = crate::abridged(&value.to_string());
            format!("it is {shown}: give {wanted}")
        };
        let end = match self {
            Self::Seconds(_) => {
                let seconds = match value {
                    Value::String(text) => text.trim().parse().ok(),
                    other => other.as_f64(),
                };
                let fits = seconds.filter(|seconds| (0.0..=f64::from(Self::MOST_SECONDS)).contains(seconds));
                let seconds =
                    fits.ok_or_else(|| wrong(format!("seconds from 0 to {} (366 days)", Self::MOST_SECONDS)))?;
                now.after(std::time::Duration::from_secs_f64(seconds))
            }
            Self::Until(_) => until(value)
                .ok_or_else(|| wrong("a time with an offset (RFC 3339), such as 2026-01-31T12:00:00Z".to_owned()))?,
        };
        if end.millis() > latest {
            return Err(wrong("a time at most 366 days from now".to_owned()));
        }
        Ok(end)
    }
}

/// The instant of a value: a string in any form that [`Timestamp::read`] accepts, or a number since 1970.
fn until(value: &Value) -> Option<Timestamp> {
    match value {
        Value::String(text) => Timestamp::read(text),
        Value::Number(number) => Timestamp::read(&number.to_string()),
        _ => None,
    }
}

/// A step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "StepInput", into = "StepInput")]
pub struct Step {
    /// What it calls.
    pub kind: StepKind,
    /// The plugin's name; `wait` if it calls none.
    pub plugin: String,
    /// The name by which later steps refer to it, in `steps.NAME.result`; by default the plugin's name.
    pub name: Option<String>,
    /// Parameters, which may contain variables.
    pub with: Map<String, Value>,
    /// The input of a transform; by default the event's data.
    pub input: Option<Value>,
    /// What happens when it fails.
    pub on_error: OnError,
    /// The conditions under which it is executed. `None`: always. Written `if`.
    pub when: Option<When>,
    /// A list for each item of which it is executed once.
    pub for_each: Option<Value>,
    /// Its retry schedule; by default the server's.
    pub retry: Option<RetrySchedule>,
    /// Timeout of one call of its plugin, in milliseconds, if less than the plugin's own limit.
    pub timeout_ms: Option<u32>,
    /// How long it waits.
    pub wait: Option<Wait>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a step: an object with `action`, `transform` or `wait`, such as {\"action\": \"NAME\", \"with\": {}}"
)]
struct StepInput {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    action: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    transform: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    wait: Option<Wait>,
    #[serde(rename = "if", default, skip_serializing_if = "Option::is_none")]
    when: Option<When>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    for_each: Option<Value>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    with: Option<Map<String, Value>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input: Option<Value>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retry: Option<RetrySchedule>,
    #[serde(
        default,
        deserialize_with = "whole_or_null::<_, LEAST_TIMEOUT_MS, MOST_TIMEOUT_MS>",
        skip_serializing_if = "Option::is_none"
    )]
    timeout_ms: Option<u32>,
    #[serde(default)]
    on_error: OnError,
}

/// Reads a field that may be absent but not null.
fn present<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// A step from a caller: one that waits has no `with`. Earlier versions stored such steps with an empty one.
#[derive(Deserialize)]
#[serde(try_from = "StepInput")]
struct SentStep(Step);

impl TryFrom<StepInput> for SentStep {
    type Error = String;

    fn try_from(input: StepInput) -> Result<Self, String> {
        let has_with = input.with.is_some();
        let step = Step::try_from(input)?;
        if has_with && step.kind == StepKind::Wait { Err(not_of_a_wait("with")) } else { Ok(Self(step)) }
    }
}

/// Reads steps from a caller. Null is refused.
pub(crate) fn sent_steps<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Vec<Step>>, D::Error> {
    let steps: Option<Vec<SentStep>> = required(deserializer)?;
    Ok(steps.map(|steps| steps.into_iter().map(|sent| sent.0).collect()))
}

fn not_of_a_wait(field: &str) -> String {
    format!("`{field}` belongs to a step that calls a plugin; this one waits: leave it out")
}

/// The default name of a step that waits.
const WAIT: &str = "wait";

impl TryFrom<StepInput> for Step {
    type Error = String;

    fn try_from(input: StepInput) -> Result<Self, String> {
        let (kind, plugin) = match (input.action, input.transform, &input.wait) {
            (Some(plugin), None, None) => (StepKind::Action, plugin),
            (None, Some(plugin), None) => (StepKind::Transform, plugin),
            (None, None, Some(_)) => (StepKind::Wait, WAIT.to_owned()),
            _ => return Err("requires exactly one of `action`, `transform` or `wait`".to_owned()),
        };
        if kind == StepKind::Action && input.input.is_some() {
            return Err("`input` belongs to a transform; an action takes all in `with`: leave it out".to_owned());
        }
        if kind == StepKind::Wait {
            let others = [
                ("with", input.with.as_ref().is_some_and(|with| !with.is_empty())),
                ("input", input.input.is_some()),
                ("for_each", input.for_each.is_some()),
                ("retry", input.retry.is_some()),
                ("timeout_ms", input.timeout_ms.is_some()),
            ];
            if let Some((name, _)) = others.iter().find(|(_, given)| *given) {
                return Err(not_of_a_wait(name));
            }
        }
        Ok(Self {
            kind,
            plugin,
            name: input.name,
            with: input.with.unwrap_or_default(),
            input: input.input,
            on_error: input.on_error,
            when: input.when,
            for_each: input.for_each,
            retry: input.retry,
            timeout_ms: input.timeout_ms,
            wait: input.wait,
        })
    }
}

impl From<Step> for StepInput {
    fn from(step: Step) -> Self {
        let (action, transform) = match step.kind {
            StepKind::Action => (Some(step.plugin), None),
            StepKind::Transform => (None, Some(step.plugin)),
            StepKind::Wait => (None, None),
        };
        Self {
            name: step.name,
            action,
            transform,
            wait: step.wait,
            when: step.when,
            for_each: step.for_each,
            with: (step.kind != StepKind::Wait).then_some(step.with),
            input: step.input,
            retry: step.retry,
            timeout_ms: step.timeout_ms,
            on_error: step.on_error,
        }
    }
}

const MAX_STEPS: usize = 100;
const LEAST_TIMEOUT_MS: u32 = 10;
const MOST_TIMEOUT_MS: u32 = 300_000;

/// Expressions whose value is stable, so that a list of them is stable, too.
const CHANGING: [&str; 5] = ["ticket", "record", "now", "item", "index"];

impl Step {
    /// The variables that are available to it, after steps with the names `earlier`.
    pub fn names<'a>(&self, earlier: &'a [String], input: bool) -> Names<'a> {
        Names { steps: earlier, item: self.for_each.is_some(), input, ..Names::default() }
    }

    /// Whether it calls the plugin, not counting its conditions.
    pub fn calls(&self, plugin: &str) -> bool {
        self.kind != StepKind::Wait && self.plugin == plugin
    }

    fn check(&self, path: &str, earlier: &[String], input: bool, mistakes: &mut Mistakes) {
        let names = self.names(earlier, input);
        let before = Names { item: false, ..names };
        if let Some(name) = &self.name {
            let path = format!("{path}.name");
            let known = mistakes.0.len();
            check_display_name(&path, name, mistakes);
            if mistakes.0.len() == known
                && let Some(wrong) = unnameable(name)
            {
                mistakes.add(path, wrong);
            }
        }
        if let Some(wrong) = self.retry.as_ref().and_then(RetrySchedule::mistake) {
            mistakes.add(format!("{path}.retry"), wrong);
        }
        let fits = |timeout: &u32| (LEAST_TIMEOUT_MS..=MOST_TIMEOUT_MS).contains(timeout);
        if let Some(timeout) = self.timeout_ms.filter(|timeout| !fits(timeout)) {
            let message = format!("is {timeout}: give {LEAST_TIMEOUT_MS} to {MOST_TIMEOUT_MS}");
            mistakes.add(format!("{path}.timeout_ms"), message);
        }
        if let Some(when) = &self.when {
            when.check(&format!("{path}.if"), names, mistakes);
        }
        if let Some(list) = &self.for_each {
            let path = format!("{path}.for_each");
            let variable = |text: &str| text.starts_with("{{") && text.ends_with("}}");
            if !(list.is_array() || list.as_str().is_some_and(variable)) {
                mistakes.add(&path, "give a list, or one variable whose value is a list: \"{{event.data.items}}\"");
            }
            if let Some(changing) = CHANGING.iter().find(|root| mentions(list, root)) {
                let message =
                    format!("`{changing}` may change while the run waits: use event, analytics_event, input or steps");
                mistakes.add(&path, message);
            }
            mistakes.0.extend(check_names(list, &path, before));
        }
        if let Some(wait) = &self.wait {
            let (path, value) = (format!("{path}.wait"), wait.value());
            mistakes.0.extend(check_names(value, &path, before));
            if !crate::has_variables(value)
                && let Err(wrong) = wait.end(value, Timestamp::from_millis(0))
                // How far away a time is depends on when it is checked.
                && (matches!(wait, Wait::Seconds(_)) || until(value).is_none())
            {
                mistakes.add(&path, wrong);
            }
        }
    }
}

/// Why no variable can refer to a step with this name, and the remedy. `None`: a variable can.
fn unnameable(name: &str) -> Option<String> {
    let what = if name.contains('.') {
        "a dot, which separates the words of a variable"
    } else if name.contains("}}") {
        "`}}`, which ends a variable"
    } else if name.trim() != name {
        "a blank at its start or its end"
    } else {
        return None;
    };
    let better = name.replace("}}", "-").replace('.', "-");
    let (shown, better) = (crate::abridged(name), crate::abridged(better.trim()));
    Some(format!(
        "`{shown}` has {what}, so that later steps could not refer to its result: call it `{better}`, for instance, \
         and refer to `{{{{steps.{better}.result}}}}`"
    ))
}

/// The validation errors of steps, without those about plugins.
pub(crate) fn check_steps(steps: &[Step], path: &str, names: Names<'_>, mistakes: &mut Mistakes) {
    if steps.is_empty() || steps.len() > MAX_STEPS {
        mistakes.add(path, format!("{} steps: give 1 to {MAX_STEPS}", steps.len()));
    }
    let known = step_names(steps);
    for (place, step) in steps.iter().enumerate() {
        let earlier = known.get(..place).unwrap_or_default();
        step.check(&format!("{path}[{place}]"), earlier, names.input, mistakes);
    }
}

/// The plugins that steps need, by name.
pub(crate) fn plugins_of(steps: &[Step]) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    for step in steps {
        if step.kind != StepKind::Wait {
            names.insert(step.plugin.as_str());
        }
        if let Some(when) = &step.when {
            when.plugins(&mut names);
        }
    }
    names
}

/// Duplicate names.
pub(crate) fn repeated_names(steps: &[Step], path: &str) -> Vec<Mistake> {
    let mut seen = HashSet::new();
    steps
        .iter()
        .enumerate()
        .filter_map(|(place, step)| step.name.as_ref().map(|name| (place, name)))
        .filter(|(_, name)| !seen.insert(name.as_str()))
        .map(|(place, name)| {
            Mistake::new(format!("{path}[{place}].name"), format!("`{name}` is taken: choose another"))
        })
        .collect()
}

/// The names of steps: the given one, else the plugin's, with a number from the second on.
pub fn step_names(steps: &[Step]) -> Vec<String> {
    let mut names: Vec<String> = Vec::with_capacity(steps.len());
    for step in steps {
        let base = step.name.as_ref().unwrap_or(&step.plugin);
        let mut name = base.clone();
        let mut number = 2_u32;
        while names.contains(&name) {
            name = format!("{base}-{number}");
            number = number.saturating_add(1);
        }
        names.push(name);
    }
    names
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(value: Value) -> Result<Step, String> {
        serde_json::from_value(value).map_err(|error| error.to_string())
    }

    #[test]
    fn a_step_reads_back_as_it_was_written() {
        for step in [
            json!({"action": "a", "with": {"x": 1}, "on_error": "retry", "retry": {"delays_seconds": [1], "jitter": 0.0},
                "timeout_ms": 500, "for_each": "{{event.data.items}}", "if": {"condition": "c", "with": {}}}),
            json!({"wait": {"seconds": 60}, "on_error": "continue"}),
            json!({"wait": {"until": "{{event.data.due}}"}, "name": "due", "on_error": "stop"}),
        ] {
            assert_eq!(serde_json::to_value(read(step.clone()).unwrap()).unwrap(), step);
        }
        let stored = read(json!({"wait": {"seconds": 60}, "with": {}})).unwrap();
        assert_eq!(stored, read(json!({"wait": {"seconds": 60}})).unwrap(), "as it was stored at first");
    }

    #[test]
    fn a_step_that_cannot_be_meant_is_refused() {
        for (step, part) in [
            (json!({"action": "a", "transform": "b"}), "exactly one of"),
            (json!({}), "exactly one of"),
            (json!({"wait": {"seconds": 1}, "with": {"x": 1}}), "`with` belongs"),
            (json!({"wait": {"seconds": 1}, "for_each": []}), "`for_each` belongs"),
            (
                json!({"wait": {"seconds": 1}, "input": 1}),
                "`input` belongs to a step that calls a plugin; this one waits",
            ),
            (json!({"action": "a", "with": null}), "expected a map"),
            (json!({"action": "a", "timeout_ms": "x"}), "expected a whole number from 10 to 300000"),
            (json!({"wait": {"minutes": 1}}), "`{\"minutes\":1}` is not a valid wait"),
            (
                json!({"wait": 5}),
                "`5` is not a valid wait: give an object with either `seconds` or `until`, such as {\"seconds\": 5}",
            ),
            (json!({"wait": "5"}), "such as {\"seconds\": \"5\"}"),
            (json!({"wait": "2100-01-01T00:00:00Z"}), "such as {\"until\": \"2100-01-01T00:00:00Z\"}"),
            (json!({"wait": []}), "`[]` is not a valid wait"),
            (json!({"wait": {}}), "`{}` is not a valid wait"),
            (json!({"wait": {"seconds": 1, "until": "x"}}), "with either `seconds` or `until`"),
            (json!("note-add"), "expected a step: an object with `action`, `transform` or `wait`"),
            (json!({"action": "a", "if": "c"}), "expected an object such as {\"condition\": \"NAME\""),
            (json!({"action": "a", "retry": 5}), "such as {\"delays_seconds\": [5, 60]}"),
            (json!({"action": "a", "input": 1}), "`input` belongs"),
            (json!({"action": "a", "on_error": "ignore"}), "ignore"),
        ] {
            let error = read(step.clone()).unwrap_err();
            assert!(error.contains(part), "{step}: {error}");
        }
    }

    #[test]
    fn errors_in_steps_are_reported_with_their_paths() {
        for (step, path, part) in [
            (json!({"action": "a", "retry": {"delays_seconds": [9_000_000]}}), "then[0].retry", "at most 30 days"),
            (json!({"action": "a", "timeout_ms": 5}), "then[0].timeout_ms", "give 10 to 300000"),
            (json!({"action": "a", "name": "a.b"}), "then[0].name", "refer to `{{steps.a-b.result}}`"),
            (json!({"action": "a", "name": "a}}b"}), "then[0].name", "call it `a-b`"),
            (json!({"action": "a", "name": " a"}), "then[0].name", "a blank at its start or its end"),
            (json!({"action": "a", "name": "\u{200b}"}), "then[0].name", "invisible characters only"),
            (json!({"action": "a", "for_each": "x"}), "then[0].for_each", "give a list"),
            (json!({"action": "a", "for_each": "{{ticket.tags}}"}), "then[0].for_each", "may change"),
            (json!({"action": "a", "for_each": ["{{steps.b.result}}"]}), "then[0].for_each[0]", "no earlier step"),
            (json!({"wait": {"seconds": -1}}), "then[0].wait", "from 0"),
            (json!({"wait": {"seconds": 40_000_000}}), "then[0].wait", "366 days"),
            (json!({"wait": {"until": "noon"}}), "then[0].wait", "RFC 3339"),
            (json!({"wait": {"until": "{{item}}"}}), "then[0].wait", "for_each"),
            (
                json!({"action": "a", "if": {"condition": "c", "with": {"x": "{{item}}"}}}),
                "then[0].if.with.x",
                "for_each",
            ),
        ] {
            let mut mistakes = Mistakes::default();
            check_steps(&[read(step.clone()).unwrap()], "then", Names::default(), &mut mistakes);
            assert_eq!(mistakes.0.len(), 1, "{step}: {mistakes}");
            assert_eq!(mistakes.0[0].path, path);
            assert!(mistakes.0[0].message.contains(part), "{step}: {mistakes}");
        }
        let mut mistakes = Mistakes::default();
        let good = json!({"action": "a", "for_each": "{{event.data.x}}", "if": {"condition": "c", "with": {"x": "{{item.id}}"}}});
        let until = json!({"wait": {"until": "2100-01-01T00:00:00Z"}});
        check_steps(&[read(good).unwrap(), read(until).unwrap()], "then", Names::default(), &mut mistakes);
        assert!(mistakes.0.is_empty(), "{mistakes}");
    }

    #[test]
    fn the_end_of_a_wait_is_read_as_everywhere_else() {
        let table: Value = serde_json::from_str(include_str!("../../../plugins/sdk/dates.json")).unwrap();
        let end = |value: &Value| {
            // Far in the future, so that no time is more than a year away.
            Wait::Until(Value::Null).end(value, Timestamp::parse("9990-01-01T00:00:00Z").unwrap())
        };
        for row in table["read"].as_array().unwrap() {
            let instant = Timestamp::parse(row[1].as_str().unwrap());
            assert_eq!(end(&row[0]).ok(), instant, "{row}");
        }
        for row in table["refused"].as_array().unwrap() {
            assert!(end(row).unwrap_err().contains("a time with an offset"), "{row}");
        }
        assert_eq!(end(&json!(1_717_243_200_123_u64)).ok(), Timestamp::parse("2024-06-01T12:00:00.123Z"));
    }

    #[test]
    fn a_wait_ends_at_its_time() {
        let now = Timestamp::from_millis(1_000);
        let seconds = |value: Value| Wait::Seconds(Value::Null).end(&value, now).map(Timestamp::millis);
        assert_eq!(seconds(json!(1.5)), Ok(2_500));
        assert_eq!(seconds(json!("2")), Ok(3_000));
        for wrong in [json!(-1), json!("soon"), json!(null), json!(f64::from(Wait::MOST_SECONDS) + 1.0)] {
            assert!(seconds(wrong.clone()).is_err(), "{wrong}");
        }
        let until = |text: &str| Wait::Until(Value::Null).end(&json!(text), now).map(Timestamp::millis);
        assert_eq!(until("1970-01-01T00:00:00Z"), Ok(0));
        assert!(until("1971-06-01T00:00:00Z").unwrap_err().contains("366 days"));
        assert!(until("tomorrow").unwrap_err().contains("RFC 3339"));
    }
}
