//! What the operator sets, and the request that comes of it.

use std::collections::BTreeMap;

use hookwright_sdk::inbound::Mapping;
use hookwright_sdk::outbound::{Part, encode, header};
use hookwright_sdk::{Failure, Pairs, Text, first, shorten};
use serde::Deserialize;

use crate::address;

/// How many pages one poll reads by default, and at most.
const PAGES: u32 = 10;
const MOST_PAGES: u32 = 50;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    pub(crate) url: String,
    #[serde(default)]
    query: BTreeMap<String, Part>,
    #[serde(default)]
    headers: BTreeMap<String, Part>,
    #[serde(default)]
    pub(crate) timeout_ms: Option<u32>,
    /// The path of the list in the response. By default the response itself.
    #[serde(default)]
    pub(crate) items: Option<String>,
    /// How the event of an item is made.
    pub(crate) event: Mapping,
    /// The path of an item's version, such as the time of its last change.
    #[serde(default)]
    pub(crate) version: Option<String>,
    #[serde(default)]
    pub(crate) cursor: Option<Cursor>,
    /// Whether `ETag` and `Last-Modified` are sent back, so that the service can say that nothing changed.
    #[serde(default)]
    pub(crate) conditional: bool,
    #[serde(default)]
    pub(crate) next: Option<Next>,
    #[serde(default)]
    max_pages: Option<u32>,
    #[serde(default)]
    first: First,
}

/// The cursor: what is stored, and how it is sent.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Cursor {
    /// A path in the answer, whose value is the cursor.
    #[serde(default)]
    pub(crate) answer: Option<String>,
    /// A path in an item, whose greatest value is the cursor.
    #[serde(default)]
    pub(crate) greatest: Option<String>,
    #[serde(default)]
    query: Option<String>,
    #[serde(default)]
    header: Option<String>,
    /// What is sent as long as there is no cursor.
    #[serde(default)]
    start: Option<Text>,
}

/// Where the URL of the next page is.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(crate) enum Next {
    /// A path in the answer.
    Path(String),
    /// The header `Link` with `rel="next"` (RFC 8288).
    Link(bool),
}

#[derive(Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum First {
    /// The items of the first poll are new.
    #[default]
    Emit,
    /// The items of the first poll are only remembered.
    Skip,
}

pub(crate) fn invalid(message: impl Into<String>) -> Failure {
    Failure::permanent("parameters.invalid", message)
}

impl Parameters {
    pub(crate) fn skips_first(&self) -> bool {
        self.first == First::Skip
    }

    pub(crate) fn max_pages(&self) -> u32 {
        self.max_pages.unwrap_or(PAGES).clamp(1, MOST_PAGES)
    }

    /// The address of a page. `None`: the first one. Parameters of the query that the next page's address has stay as
    /// the
    /// service wrote them.
    pub(crate) fn address(&self, next: Option<&str>, cursor: Option<&str>) -> Result<String, Failure> {
        let url = self.url.split('#').next().unwrap_or_default();
        if !(url.starts_with("https://") || url.starts_with("http://")) || url.chars().any(char::is_whitespace) {
            let shown = shorten(&self.url, 200);
            return Err(invalid(format!(
                "parameter `url` is `{shown}`: give a complete URL that begins with https:// and has no spaces"
            )));
        }
        let mut address = match next {
            None => url.to_owned(),
            Some(next) => address::joined(url, next)?,
        };
        for (name, part) in &self.query {
            if !address::has(&address, name) {
                address::add(&mut address, &format!("{}={}", encode(name), part.encoded()?));
            }
        }
        let sent = self.cursor.as_ref().and_then(|it| Some((it.query.as_deref()?, it.value(cursor)?)));
        if let Some((name, value)) = sent.filter(|(name, _)| next.is_none() || !address::has(&address, name)) {
            address::add(&mut address, &format!("{}={}", encode(name), encode(&value)));
        }
        Ok(address)
    }

    pub(crate) fn headers(&self, cursor: Option<&str>) -> Result<Pairs, Failure> {
        let mut headers = Pairs::new();
        for (name, part) in &self.headers {
            headers.push(header(name, part.value()?)?);
        }
        if first(&headers, "accept").is_none() {
            headers.push(("accept".into(), "application/json".into()));
        }
        let sent = self.cursor.as_ref().and_then(|it| Some((it.header.clone()?, it.value(cursor)?)));
        headers.extend(sent);
        Ok(headers)
    }
}

impl Cursor {
    fn value(&self, cursor: Option<&str>) -> Option<String> {
        cursor.map(str::to_owned).or_else(|| self.start.as_ref().map(Text::to_string))
    }
}
