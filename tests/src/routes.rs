//! The server's table of routes, read from its source, so that a test of all routes notices a new one.

use crate::workspace;

/// One row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// `GET`, ..., or `ANY`.
    pub method: String,
    /// With `{name}` for what varies.
    pub path: String,
    /// `Nothing`, `Ingest`, `IngestNamed`, `Read`, `Edit` or `Administer`.
    pub needs: String,
}

/// Every row, in order.
///
/// # Panics
/// If the table no longer looks as this reads it.
pub fn table() -> Vec<Route> {
    let source = workspace::source("host/server/src/routes.rs");
    let (_, table) = source.split_once("\nroutes! {\n").expect("routes.rs has a `routes!` table");
    let (table, _) = table.split_once("\n}\n").expect("the table ends");
    let mut routes = Vec::new();
    for row in table.split(";\n").map(str::trim).filter(|row| !row.is_empty()) {
        let words: Vec<&str> = row.split_whitespace().collect();
        assert!(words.len() > 4 && words[1].starts_with("\"/"), "no row of the table: {row}");
        routes.push(Route {
            method: words[0].to_owned(),
            path: words[1].trim_matches('"').to_owned(),
            needs: words[2].to_owned(),
        });
    }
    assert!(routes.len() > 30, "the table has {} rows only", routes.len());
    routes
}
