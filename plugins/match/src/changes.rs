//! The change of a field, according to an event.
//!
//! Events of updates have `changes` in their data, each field with `from` and `to`; those that tell of one field, such as
//! `ticket.status-changed` and `deal.moved`, have `from` and `to` themselves.

use hookwright_sdk::{Event, Path, shorten};

use crate::ask::Answer;
use crate::compare::{self, Case, Rules};
use crate::json::Json;
use crate::operator::{Check, Test};
use crate::tell;

/// What the field is called whose change is told as `moved`, from kind to kind.
const STAGES: [&str; 5] = ["stage", "milestone", "agile_board_column", "kanban_stage_id", "kanbanStageId"];
/// How many changed fields a reason names.
const NAMED: usize = 12;

/// The change of a field.
enum Change<'j> {
    /// `None`: there was, or is, nothing.
    Changed { from: Option<Json<'j>>, to: Option<Json<'j>> },
    /// It stayed as it was; others changed.
    Stayed(String),
    /// The event does not tell of changes.
    Untold(String),
}

/// The verdict of a test that is about a change.
pub(crate) fn ask(test: &Test, event: &Event, path: &Path) -> (bool, String) {
    let change = of(event, path);
    let said = match &change {
        Change::Changed { from, to } => format!("it changed from {} to {}", told(*from), told(*to)),
        Change::Stayed(said) | Change::Untold(said) => said.clone(),
    };
    let answer = match (&test.check, &change) {
        (Check::Changed(wanted), Change::Changed { .. }) => Answer::plain(*wanted),
        (Check::Changed(wanted), _) => Answer::plain(!*wanted),
        (Check::ChangedBetween { from: wanted, to: then }, Change::Changed { from, to }) => {
            let fits = |wanted: Option<Json<'_>>, is: Option<Json<'_>>| {
                wanted.is_none_or(|wanted| compare::same(is.unwrap_or(NOTHING), wanted, test.rules) == Some(true))
            };
            let both = fits(wanted.as_deref().map(|one| Json(one.get())), *from)
                && fits(then.as_deref().map(|one| Json(one.get())), *to);
            Answer::plain(both)
        }
        _ => Answer::plain(false),
    };
    (answer.holds, format!("{}: {said}", test.describe()))
}

const NOTHING: Json<'static> = Json("null");

fn told(value: Option<Json<'_>>) -> String {
    value.map_or_else(|| "nothing".to_owned(), tell::brief)
}

fn of<'e>(event: &'e Event, path: &Path) -> Change<'e> {
    let (kind, verb) = event.event_type.rsplit_once('.').unwrap_or(("", &event.event_type));
    // Where the field's name stands: after the words that lead to the record.
    let payload = match (path.name(0), path.name(1)) {
        (Some("event"), Some("data")) | (Some("analytics_event"), Some("attributes")) => 2,
        (Some("data"), _) => 1,
        _ => 0,
    };
    let leads = |name: &str| name == kind || (payload == 0 && name == "record");
    let place = match (path.name(payload), path.name(payload + 1)) {
        (Some(name), Some(_)) if leads(name) => payload + 1,
        _ => payload,
    };
    let Some(field) = path.name(place) else {
        return Change::Untold("the path names no field".to_owned());
    };
    let data = Json(&event.data_json).members().unwrap_or_default();
    if let Some(changes) = data.get("changes").and_then(|changes| changes.members()) {
        let Some(change) = changes.get(field) else {
            let count = changes.len();
            let mut names: Vec<String> = changes.keys().take(NAMED).map(|name| shorten(name, 40)).collect();
            if count > names.len() {
                names.push(format!("{} more", count - names.len()));
            }
            return Change::Stayed(format!("it did not change; changed are {}", names.join(", ")));
        };
        let Some(change) = change.members().filter(|change| change.contains_key("from") || change.contains_key("to"))
        else {
            let field = shorten(field, 60);
            return Change::Untold(format!("the event's data has no `from` and `to` in its changes of {field}"));
        };
        return between(path, place + 1, change.get("from").copied(), change.get("to").copied());
    }
    let told = verb.strip_suffix("-changed").map(|field| field.replace('-', "_"));
    let is_told = match &told {
        Some(told) => *told == field.replace('-', "_"),
        None => verb == "moved" && STAGES.contains(&field),
    };
    let only = told.unwrap_or_else(|| "the stage".to_owned());
    match (data.get("from"), data.get("to")) {
        (None, None) => {
            Change::Untold(format!("{} is not an update: its data has no changes", shorten(&event.event_type, 100)))
        }
        (from, to) if is_told => between(path, place + 1, from.copied(), to.copied()),
        _ => Change::Stayed(format!("{} reports {only} only", shorten(&event.event_type, 100))),
    }
}

/// The change of what lies in the field, where the path goes on.
fn between<'j>(path: &Path, done: usize, from: Option<Json<'j>>, to: Option<Json<'j>>) -> Change<'j> {
    if path.name(done).is_none() {
        return Change::Changed { from, to };
    }
    let within = |value: Option<Json<'j>>| value.and_then(|value| path.seek_quietly(done, value.0)).map(Json);
    let (from, to) = (within(from), within(to));
    let rules = Rules { given: None, case: Case::Exact };
    match (from, to) {
        (None, None) => Change::Stayed("the field changed, but has no such part".to_owned()),
        (Some(from), Some(to)) if compare::same(from, to, rules) == Some(true) => {
            Change::Stayed(format!("the field changed, but this part of it is still {}", tell::brief(to)))
        }
        _ => Change::Changed { from, to },
    }
}
