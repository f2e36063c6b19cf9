use axum::extract::path::ErrorKind;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequestParts, Path};
use hookwright_pipeline::Page;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;
use crate::query::{self, Query};

const DEFAULT_LIMIT: usize = 50;
const MAX_LIMIT: usize = 500;

/// `?limit=` and `?cursor=` of a list.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

#[derive(Deserialize)]
struct RawPaging {
    limit: Option<String>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Window { limit, cursor } = Window::from_request_parts(parts, state).await?;
        Ok(Self { limit: limit.unwrap_or(DEFAULT_LIMIT), cursor })
    }
}

/// `?limit=` and `?cursor=` of a short list: without a limit it is returned whole.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    limit: Option<usize>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Window {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<RawPaging>::from_request_parts(parts, state).await?;
        let parse = |text: String| {
            text.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)).ok_or_else(|| {
                let shown = hookwright_model::abridged(&text);
                query::invalid(format!("limit `{shown}`: give a number from 1 to {MAX_LIMIT}"))
            })
        };
        let window = Self { limit: raw.limit.map(parse).transpose()?, cursor: raw.cursor };
        // Cursors consist of ids, names and numbers, which contain no blanks.
        window.checked(|cursor| !cursor.is_empty() && !cursor.chars().any(|c| c.is_whitespace() || c.is_control()))
    }
}

/// The error for a cursor that was not the `next` of a page of the list.
fn unknown_cursor() -> Problem {
    query::invalid("the cursor was not returned by this list: pass `next` of the previous page unchanged")
}

impl Window {
    /// Refuses a cursor that this list cannot have returned.
    pub(crate) fn checked(self, is_given: impl Fn(&str) -> bool) -> Result<Self, Problem> {
        if self.cursor.as_deref().is_none_or(is_given) { Ok(self) } else { Err(unknown_cursor()) }
    }

    /// The requested part of a list in ascending order of `place`. Places are unique.
    pub(crate) fn ascending<T>(self, items: Vec<T>, place: impl Fn(&T) -> String) -> axum::Json<Listed<T>> {
        self.part(items, place, |place, cursor| place > cursor)
    }

    /// The same in descending order.
    pub(crate) fn descending<T>(self, items: Vec<T>, place: impl Fn(&T) -> String) -> axum::Json<Listed<T>> {
        self.part(items, place, |place, cursor| place < cursor)
    }

    fn part<T>(
        self,
        items: Vec<T>,
        place: impl Fn(&T) -> String,
        is_after: impl Fn(&str, &str) -> bool,
    ) -> axum::Json<Listed<T>> {
        let begin = self.cursor.as_deref().map_or(0, |cursor| {
            let last = items.iter().position(|item| place(item) == cursor);
            // The last item of the previous page may have been deleted.
            let next = || items.iter().position(|item| is_after(&place(item), cursor));
            last.map_or_else(|| next().unwrap_or(items.len()), |last| last.saturating_add(1))
        });
        let limit = self.limit.unwrap_or(usize::MAX);
        let more = items.len().saturating_sub(begin) > limit;
        let data: Vec<T> = items.into_iter().skip(begin).take(limit).collect();
        let next = data.last().filter(|_| more).map(place);
        axum::Json(Listed { data, next })
    }
}

impl Paging {
    pub(crate) fn parse<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        self.cursor.as_ref().map(|text| text.parse()).transpose().map_err(|_| unknown_cursor())
    }

    /// The number of items to read for [`list`](Self::list): one more than the page has, which shows whether more
    /// follow.
    pub(crate) fn one_more(&self) -> usize {
        self.limit.saturating_add(1)
    }

    /// A page of the items that follow the cursor.
    pub(crate) fn list<T>(&self, mut data: Vec<T>, place: impl FnOnce(&T) -> Option<String>) -> axum::Json<Listed<T>> {
        let more = data.len() > self.limit;
        data.truncate(self.limit);
        let next = data.last().filter(|_| more).and_then(place);
        axum::Json(Listed { data, next })
    }

    pub(crate) fn page(&self) -> Result<Page, Problem> {
        Ok(Page { before: self.parse()?, limit: self.limit })
    }
}

/// The error for a path whose variable parts cannot be decoded.
pub(crate) fn invalid_path(rejection: &PathRejection) -> Problem {
    let detail = match rejection {
        PathRejection::FailedToDeserializePathParams(failed) => match failed.kind() {
            ErrorKind::InvalidUtf8InPathParam { key } => {
                format!("the `{key}` in the path is not valid UTF-8: percent-encode it as UTF-8")
            }
            other => format!("the path cannot be parsed: {other}"),
        },
        other => format!("the path cannot be parsed: {}", other.body_text()),
    };
    Problem::bad("path.invalid", detail)
}

/// The variable part of a route's path.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) =
            Path::<String>::from_request_parts(parts, state).await.map_err(|error| invalid_path(&error))?;
        Ok(Self(name))
    }
}

/// One page of a list, newest first. `next` is the cursor of the next page, if there is one.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next: Option<String>,
}

/// The parameters of a list beside `limit` and `cursor`, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Filters(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Filters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(mut raw) = Query::<Vec<(String, String)>>::from_request_parts(parts, state).await?;
        raw.retain(|(name, _)| name != "limit" && name != "cursor");
        Ok(Self(raw))
    }
}

impl Filters {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_list_is_paged_only_if_a_limit_is_given() {
        let page = |limit: Option<usize>, cursor: Option<&str>, items: &[&str]| {
            let window = Window { limit, cursor: cursor.map(str::to_owned) };
            let axum::Json(Listed { data, next }) = window.ascending(items.to_vec(), |item| (*item).to_owned());
            (data.concat(), next)
        };
        let all = ["a", "b", "c", "d"];
        let next = |place: &str| Some(place.to_owned());
        assert_eq!(page(None, None, &all), ("abcd".to_owned(), None));
        assert_eq!(page(Some(2), None, &all), ("ab".to_owned(), next("b")));
        assert_eq!(page(Some(2), Some("b"), &all), ("cd".to_owned(), None), "nothing follows");
        assert_eq!(page(Some(1), Some("b"), &["a", "c", "d"]), ("c".to_owned(), next("c")), "b was deleted");
        assert_eq!(page(None, Some("d"), &all), (String::new(), None));
        let window = Window { limit: Some(1), cursor: Some("c".to_owned()) };
        let axum::Json(listed) = window.descending(vec!["d", "b", "a"], |item| (*item).to_owned());
        assert_eq!((listed.data, listed.next), (vec!["b"], next("b")));
    }
}
