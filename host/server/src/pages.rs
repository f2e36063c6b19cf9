//! Pages by number, with links in a header field (RFC 8288), as the other systems have them.

use axum::extract::{FromRequestParts, Query};
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, Uri, header};
use serde::Deserialize;

use crate::problem::Problem;

/// The most on one page.
const MOST: usize = 100;

/// Which page of a list is wanted: `?page=` from 1, and `?per_page=` (Xurrent) or `?perPage=` (Capsule).
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    page: usize,
    per_page: Option<usize>,
    uri: Uri,
}

#[derive(Deserialize)]
struct Raw {
    page: Option<String>,
    #[serde(alias = "perPage")]
    per_page: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Numbered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(raw) = Query::<Raw>::from_request_parts(parts, state)
            .await
            .map_err(|error| Problem::bad("query.invalid", format!("the query cannot be read: {error}")))?;
        let number = |name: &str, text: Option<String>, most: usize| {
            let Some(text) = text else { return Ok(None) };
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.map(Some).ok_or_else(|| {
                let shown: String = text.chars().take(40).collect();
                Problem::bad("query.invalid", format!("{name} `{shown}`: a number from 1 to {most}"))
            })
        };
        let page = number("page", raw.page, 1_000_000)?.unwrap_or(1);
        Ok(Self { page, per_page: number("per_page", raw.per_page, MOST)?, uri: parts.uri.clone() })
    }
}

/// The items of the page that was asked for, and where the others are.
#[derive(Debug)]
pub(crate) struct Slice<T> {
    pub(crate) items: Vec<T>,
    pub(crate) links: Option<HeaderValue>,
    pub(crate) page: usize,
    pub(crate) per_page: usize,
    pub(crate) pages: usize,
    pub(crate) entries: usize,
}

impl Numbered {
    /// The page of `all`; `usual` is how many one has if the caller does not say. `name` is what it calls that.
    pub(crate) fn of<T>(&self, all: Vec<T>, usual: usize, name: &str) -> Slice<T> {
        let per_page = self.per_page.unwrap_or(usual).max(1);
        let entries = all.len();
        let pages = entries.div_ceil(per_page).max(1);
        let before = self.page.saturating_sub(1).saturating_mul(per_page);
        let items = all.into_iter().skip(before).take(per_page).collect();
        let mut links = Vec::new();
        let mut link = |page: usize, relation: &str| {
            let path = self.uri.path();
            links.push(format!("<{path}?page={page}&{name}={per_page}>; rel=\"{relation}\""));
        };
        if self.page > 1 {
            link(1, "first");
            link(self.page.saturating_sub(1).min(pages), "prev");
        }
        if self.page < pages {
            link(self.page.saturating_add(1), "next");
            link(pages, "last");
        }
        let links = (!links.is_empty()).then(|| HeaderValue::from_str(&links.join(", ")).ok()).flatten();
        Slice { items, links, page: self.page, per_page, pages, entries }
    }
}

/// An answer with links to the other pages, if there are any.
pub(crate) fn linked(links: Option<HeaderValue>, body: impl IntoResponse) -> Response {
    let mut response = body.into_response();
    if let Some(links) = links {
        response.headers_mut().insert(header::LINK, links);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_links_to_the_others() {
        let wanted = |page, per_page| Numbered { page, per_page, uri: Uri::from_static("/webhooks?x=1") };
        let first = wanted(1, Some(2)).of(vec![1, 2, 3, 4, 5], 20, "per_page");
        assert_eq!((first.items, first.pages, first.entries), (vec![1, 2], 3, 5));
        let links = first.links.unwrap();
        assert_eq!(links, "</webhooks?page=2&per_page=2>; rel=\"next\", </webhooks?page=3&per_page=2>; rel=\"last\"");
        let last = wanted(3, Some(2)).of(vec![1, 2, 3, 4, 5], 20, "per_page");
        assert_eq!(last.items, [5]);
        let links = last.links.unwrap();
        assert_eq!(links, "</webhooks?page=1&per_page=2>; rel=\"first\", </webhooks?page=2&per_page=2>; rel=\"prev\"");
        let whole = wanted(1, None).of(vec![1], 20, "per_page");
        assert!(whole.links.is_none());
        assert_eq!(wanted(9, None).of(vec![1], 20, "per_page").items, Vec::<i32>::new());
    }
}
