//! A request at the URL of a source.

use std::net::IpAddr;

use bytes::Bytes;

/// A request that came to a source's URL.
#[derive(Clone, Debug)]
pub struct Arrival {
    /// The method.
    pub method: String,
    /// The path after the token, with its slash.
    pub path: String,
    /// The query, without the `?`.
    pub query: String,
    /// Header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The body as it was sent.
    pub sent: Bytes,
    /// The body, decoded if it was sent compressed: this is logged and stored.
    pub body: Bytes,
    /// The sender's address.
    pub remote: IpAddr,
}
