//! Pages by number, with links in a header field (RFC 8288), as in the reference systems.

use axum::extract::FromRequestParts;
use axum::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderValue, header};
use serde::Deserialize;

use crate::Shared;
use crate::problem::Problem;
use crate::query::{self, Query};
use crate::sources::base_of;

/// The maximum number of items on one page.
const MAX_PER_PAGE: usize = 100;

/// The requested page of a list: `?page=` from 1, and `?per_page=` (Xurrent) or `?perPage=` (Capsule).
#[derive(Clone, Debug)]
pub(crate) struct Numbered {
    page: usize,
    per_page: Option<usize>,
    /// The URL of the list, without a query.
    address: String,
}

#[derive(Deserialize)]
struct RawNumbered {
    page: Option<String>,
    #[serde(alias = "perPage")]
    per_page: Option<String>,
}

impl FromRequestParts<Shared> for Numbered {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &Shared) -> Result<Self, Problem> {
        let Query(raw) = Query::<RawNumbered>::from_request_parts(parts, state).await?;
        let number = |name: &str, text: Option<String>, most: usize| {
            let Some(text) = text else { return Ok(None) };
            let number = text.parse().ok().filter(|number| (1..=most).contains(number));
            number.map(Some).ok_or_else(|| {
                let shown = hookwright_model::abridged(&text);
                query::invalid(format!("{name} `{shown}`: give a number from 1 to {most}"))
            })
        };
        let page = number("page", raw.page, 1_000_000)?.unwrap_or(1);
        let address = format!("{}{}", base_of(state, &parts.headers), parts.uri.path());
        Ok(Self { page, per_page: number("per_page", raw.per_page, MAX_PER_PAGE)?, address })
    }
}

/// The items of the requested page, and links to the other pages.
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
    /// The page of `all`. `usual` is the default page size, and `name` the parameter for it.
    pub(crate) fn of<T>(&self, all: Vec<T>, usual: usize, name: &str) -> Slice<T> {
        let per_page = self.per_page.unwrap_or(usual).max(1);
        let entries = all.len();
        let pages = entries.div_ceil(per_page).max(1);
        let before = self.page.saturating_sub(1).saturating_mul(per_page);
        let items = all.into_iter().skip(before).take(per_page).collect();
        let mut links = Vec::new();
        let mut link = |page: usize, relation: &str| {
            let address = &self.address;
            links.push(format!("<{address}?page={page}&{name}={per_page}>; rel=\"{relation}\""));
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

/// A response with links to the other pages, if there are any.
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
        let wanted = |page, per_page| Numbered { page, per_page, address: "https://h.example/webhooks".to_owned() };
        let first = wanted(1, Some(2)).of(vec![1, 2, 3, 4, 5], 20, "per_page");
        assert_eq!((first.items, first.pages, first.entries), (vec![1, 2], 3, 5));
        let links = first.links.unwrap();
        assert_eq!(
            links,
            concat!(
                "<https://h.example/webhooks?page=2&per_page=2>; rel=\"next\", ",
                "<https://h.example/webhooks?page=3&per_page=2>; rel=\"last\""
            )
        );
        let last = wanted(3, Some(2)).of(vec![1, 2, 3, 4, 5], 20, "per_page");
        assert_eq!(last.items, [5]);
        let links = last.links.unwrap();
        assert_eq!(
            links,
            concat!(
                "<https://h.example/webhooks?page=1&per_page=2>; rel=\"first\", ",
                "<https://h.example/webhooks?page=2&per_page=2>; rel=\"prev\""
            )
        );
        let whole = wanted(1, None).of(vec![1], 20, "per_page");
        assert!(whole.links.is_none());
        assert_eq!(wanted(9, None).of(vec![1], 20, "per_page").items, Vec::<i32>::new());
    }
}
