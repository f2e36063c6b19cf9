use axum::extract::{FromRequestParts, Path, Query};
use hookwright_store::Page;
use http::request::Parts;
use serde::{Deserialize, Serialize};

use crate::problem::Problem;

const DEFAULT: usize = 50;
const MOST: usize = 500;

/// `?limit=` and `?cursor=` of a list.
#[derive(Clone, Debug)]
pub(crate) struct Paging {
    pub(crate) limit: usize,
    pub(crate) cursor: Option<String>,
}

#[derive(Deserialize)]
struct Raw {
    limit: Option<String>,
    cursor: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Paging {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<Raw>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad("query.invalid", format!("the query cannot be read: {error}")))?;
        let limit = match raw.limit {
            None => DEFAULT,
            Some(text) => text.parse().ok().filter(|limit| (1..=MOST).contains(limit)).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                Problem::bad("query.invalid", format!("limit `{shown}`: a number from 1 to {MOST}"))
            })?,
        };
        Ok(Self { limit, cursor: raw.cursor })
    }
}

impl Paging {
    pub(crate) fn parse<T: std::str::FromStr>(&self) -> Result<Option<T>, Problem> {
        self.cursor.as_ref().map(|text| text.parse()).transpose().map_err(|_| {
            Problem::bad(
                "query.invalid",
                "the cursor is none that a list gave: take `next` of the page before as it is",
            )
        })
    }

    pub(crate) fn page(&self) -> Result<Page, Problem> {
        Ok(Page { before: self.parse()?, limit: self.limit })
    }
}

/// What varies in a route's path.
#[derive(Clone, Debug)]
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Path(name) = Path::<String>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad("path.invalid", format!("the path cannot be read: {}", error.body_text())))?;
        Ok(Self(name))
    }
}

/// One page of a list, newest first. `next` is the cursor of the page that follows, if one does.
#[derive(Debug, Serialize)]
pub(crate) struct Listed<T> {
    pub(crate) data: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Listed<T> {
    pub(crate) fn whole(data: Vec<T>) -> axum::Json<Self> {
        axum::Json(Self { data, next: None })
    }
}

/// The parameters of a list beside `limit` and `cursor`, decoded.
#[derive(Clone, Debug)]
pub(crate) struct Filters(pub(crate) Vec<(String, String)>);

impl<S: Send + Sync> FromRequestParts<S> for Filters {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(mut raw) = Query::<Vec<(String, String)>>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad("query.invalid", format!("the query cannot be read: {error}")))?;
        raw.retain(|(name, _)| name != "limit" && name != "cursor");
        Ok(Self(raw))
    }
}

impl Filters {
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}
