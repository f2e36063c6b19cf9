//! The items of an answer, and the events of those that are new.

use std::cmp::Ordering;

use hookwright_sdk::http::Response;
use hookwright_sdk::inbound::{Stop, event_id};
use hookwright_sdk::json;
use hookwright_sdk::{Draft, Failure, Path, Request, shorten};
use serde_json::value::RawValue;

use crate::address;
use crate::cursor;
use crate::parameters::{Next, Parameters, invalid};
use crate::state::{REMEMBERED, State, short};

/// Maximum number of events of one poll, and of bytes of their data. The host accepts at most a mebibyte.
const EVENTS: usize = 1000;
const BYTES: usize = 700_000;

/// One answer.
pub(crate) struct Page<'a> {
    items: Vec<&'a RawValue>,
    /// The cursor that the answer itself names.
    cursor: Option<String>,
    pub(crate) next: Option<String>,
}

fn path(name: &str, text: &str) -> Result<Path, Failure> {
    Path::parse(text).map_err(|problem| invalid(format!("parameter {name}: {problem}")))
}

impl<'a> Page<'a> {
    pub(crate) fn read(parameters: &Parameters, response: &'a Response, url: &str) -> Result<Self, Failure> {
        let shown = shorten(url.split('?').next().unwrap_or_default(), 200);
        let wrong = |code: &str, what: String| Failure::permanent(code, format!("the answer of {shown} {what}"));
        let body = json::without_mark(&response.body);
        let json = json::check(body).map_err(|refused| {
            let start = || shorten(&String::from_utf8_lossy(body.get(..200).unwrap_or(body)), 200);
            let what = match refused.rule {
                json::Rule::Syntax | json::Rule::Utf8 => format!("is not JSON: {}", start()),
                _ => format!("cannot be read: {}", shorten(&refused.to_string(), 400)),
            };
            wrong("poll.answer_invalid", what)
        })?;
        let list = match &parameters.items {
            None => json,
            Some(items) => path("`items`", items)?
                .seek(json, "the answer")
                .map_err(|missing| wrong("poll.items_missing", format!("has no list where `items` says: {missing}")))?,
        };
        let items: Vec<&'a RawValue> = serde_json::from_str(list).map_err(|_| {
            wrong("poll.items_missing", format!("has no list where `items` says, but {}", shorten(list, 100)))
        })?;
        if items.len() > REMEMBERED {
            let what = format!("has {} items: let it have at most {REMEMBERED}, by `query` or pages", items.len());
            return Err(wrong("poll.too_many_items", what));
        }
        let text_at = |name: &str, at: &str| {
            let found = path(name, at)?.seek_quietly(0, json).and_then(cursor::text);
            Ok::<_, Failure>(found.filter(|text| !text.is_empty()))
        };
        let next = match &parameters.next {
            None | Some(Next::Link(false)) => None,
            Some(Next::Link(true)) => address::next_link(&response.headers),
            Some(Next::Path(at)) => text_at("`path` of `next`", at)?,
        };
        let named = parameters.cursor.as_ref().and_then(|cursor| cursor.answer.as_deref());
        let cursor = named.map(|at| text_at("`answer` of `cursor`", at)).transpose()?.flatten();
        // Checked before any item of the page is used.
        let next = next.map(|next| address::joined(url, &next)).transpose()?;
        Ok(Self { items, cursor, next })
    }
}

/// The items that a poll has read so far.
#[derive(Default)]
pub(crate) struct Taken {
    pub(crate) drafts: Vec<Draft>,
    /// Ids of all items that it saw, new or not.
    pub(crate) ids: Vec<String>,
    bytes: usize,
}

impl Taken {
    /// Takes what is new of a page. False: there was no more room, and the rest is left.
    pub(crate) fn take(
        &mut self,
        request: &Request,
        parameters: &Parameters,
        state: &mut State,
        page: &Page<'_>,
    ) -> Result<bool, Stop> {
        let version = parameters.version.as_deref().map(|text| path("`version`", text)).transpose()?;
        let greatest = parameters.cursor.as_ref().and_then(|cursor| cursor.greatest.as_deref());
        let greatest = greatest.map(|text| path("`greatest` of `cursor`", text)).transpose()?;
        for (place, item) in page.items.iter().enumerate() {
            let json = item.get();
            let mut draft = parameters.event.draft(request, json, "poll.type_missing")?;
            let Some(mut id) = draft.id.take() else {
                let message = format!(
                    "item {place} has no id where `event.id` looks for it: {}; correct the path",
                    shorten(json, 200)
                );
                return Err(Failure::permanent("poll.id_missing", message).into());
            };
            if let Some(version) = &version {
                let found = version.seek_quietly(0, json).and_then(cursor::text).unwrap_or_default();
                id = event_id(&format!("{id}@{found}")).unwrap_or(id);
            }
            // It occurs in paths of the API.
            let id = id.replace('/', "-");
            let known = short(&id);
            let is_new = !state.knows(&known);
            if is_new {
                let bytes = self.bytes.saturating_add(json.len()).saturating_add(512);
                if !self.drafts.is_empty() && (self.drafts.len() >= EVENTS || bytes > BYTES) {
                    return Ok(false);
                }
                self.bytes = bytes;
                self.drafts.push(Draft { id: Some(id), ..draft });
            }
            state.know(&known);
            self.ids.push(known);
            if let Some(found) = greatest.as_ref().and_then(|path| path.seek_quietly(0, json)).and_then(cursor::text) {
                let before = state.pending.as_deref().or(state.cursor.as_deref());
                if before.is_none_or(|before| cursor::order(&found, before) == Ordering::Greater) {
                    state.pending = Some(found);
                }
            }
        }
        if let Some(cursor) = &page.cursor {
            state.pending = Some(cursor.clone());
        }
        Ok(true)
    }
}
