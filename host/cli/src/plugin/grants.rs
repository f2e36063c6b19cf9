//! Shows and extends the grants of plugins.

use std::collections::BTreeSet;
use std::process::ExitCode;

use clap::Args;
use hookwright_model::{Grants, HttpGrant, RecordGrant, SecretGrant};
use serde_json::{Value, json};
use ureq::http::Method;

use crate::failed::Done;
use crate::remote::{Connection, Content};
use crate::screen;

#[derive(Args)]
pub(crate) struct Policy {
    /// The plugin
    #[arg(value_parser = super::name)]
    name: String,
    /// Print JSON, in the form that `PUT /v1/plugins/{name}/policy` takes, with the limits in force
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    connection: Connection,
}

#[derive(Args)]
#[command(group = clap::ArgGroup::new("what").required(true).multiple(true))]
pub(crate) struct Grant {
    /// The plugin, which does not need to be installed yet
    #[arg(value_parser = super::name)]
    name: String,
    /// An interface, such as http, kv or mail
    #[arg(long, value_name = "INTERFACE", group = "what")]
    interface: Vec<String>,
    /// Hosts that it may send requests to, optionally with methods: api.example.com, or GET,POST:*.example.com:8443
    #[arg(long, value_name = "[METHOD,..:]HOST[:PORT]", group = "what", value_parser = http)]
    http: Vec<HttpGrant>,
    /// A secret, and the hosts that its value may be sent to; without hosts it is only for computing signatures
    #[arg(long, value_name = "NAME[=HOST,..]", group = "what", value_parser = secret)]
    secret: Vec<SecretGrant>,
    /// A kind of record that it may read, or also change with `:write`
    #[arg(long, value_name = "KIND[:write]", group = "what", value_parser = records)]
    records: Vec<RecordGrant>,
    #[command(flatten)]
    connection: Connection,
}

/// Reads `GET,POST:api.example.com:8443`.
fn http(text: &str) -> Result<HttpGrant, String> {
    let is_methods = |part: &str| {
        part.split(',').all(|method| !method.is_empty() && method.bytes().all(|byte| byte.is_ascii_uppercase()))
    };
    let (methods, rest) = match text.split_once(':') {
        Some((methods, rest)) if is_methods(methods) => (methods.split(',').map(str::to_owned).collect(), rest),
        _ => (Vec::new(), text),
    };
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) => {
            let port = port.parse().map_err(|_| format!("`{port}` is not a valid port: give 1 to 65535"))?;
            (host, Some(port))
        }
        None => (rest, None),
    };
    if host.is_empty() || host.contains(['/', ':', '@']) {
        return Err(format!(
            "`{host}` is not a valid host: write api.example.com, *.example.com or *, without a scheme"
        ));
    }
    Ok(HttpGrant { host: host.to_owned(), methods, port })
}

/// Reads `api-token=api.example.com,*.example.org`.
fn secret(text: &str) -> Result<SecretGrant, String> {
    let (name, hosts) = text.split_once('=').unwrap_or((text, ""));
    hookwright_model::check_secret_name(name).map_err(|mistake| mistake.message)?;
    let hosts = hosts.split(',').map(str::trim).filter(|host| !host.is_empty()).map(str::to_owned).collect();
    Ok(SecretGrant { name: name.to_owned(), hosts })
}

/// Reads `lead:write`.
fn records(text: &str) -> Result<RecordGrant, String> {
    let (kind, write) = match text.split_once(':') {
        None => (text, false),
        Some((kind, "write")) => (kind, true),
        Some((kind, "read")) => (kind, false),
        Some((_, other)) => return Err(format!("`{other}`: write KIND to read, KIND:write to change too")),
    };
    if kind != "*" && !hookwright_model::is_kind(kind) {
        return Err(format!("`{kind}` is not a valid record kind: give 1 to 64 of a-z, 0-9 and -, or *"));
    }
    Ok(RecordGrant { kind: kind.to_owned(), write })
}

pub(crate) fn grant(grant: &Grant) -> Done {
    let interfaces: BTreeSet<String> = grant.interface.iter().cloned().collect();
    let grants = Grants {
        interfaces: Some(interfaces).filter(|interfaces| !interfaces.is_empty()),
        http: grant.http.clone(),
        secrets: grant.secret.clone(),
        records: grant.records.clone(),
    };
    let path = format!("/v1/plugins/{}/grants", grant.name);
    let policy = grant.connection.open()?.ask(&Method::POST, &path, &Content::Json(&json!(grants)))?;
    show(&grant.name, &policy);
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn policy(policy: &Policy) -> Done {
    let shown = policy.connection.open()?.get(&format!("/v1/plugins/{}/policy", policy.name))?;
    if policy.json {
        screen::json(&shown);
        return Ok(ExitCode::SUCCESS);
    }
    show(&policy.name, &shown);
    if shown.get("trusted").and_then(Value::as_bool).unwrap_or(false) {
        screen::field("trusted", "it is built into the server: interfaces and records need no grant");
    }
    if let Some(limits) = shown.get("limits_in_force").and_then(Value::as_object) {
        let set = shown.get("limits").and_then(Value::as_object);
        let rows: Vec<[String; 3]> = limits
            .iter()
            .map(|(name, value)| {
                let own = set.is_some_and(|set| set.contains_key(name));
                [name.clone(), value.to_string(), if own { "policy" } else { "server" }.to_owned()]
            })
            .collect();
        screen::table(["LIMIT", "VALUE", "SET BY"], &rows);
    }
    Ok(ExitCode::SUCCESS)
}

/// Shows what a policy grants.
fn show(name: &str, policy: &Value) {
    screen::field("plugin", name);
    let grants: Grants =
        policy.get("grants").cloned().and_then(|grants| serde_json::from_value(grants).ok()).unwrap_or_default();
    for (name, value) in granted(&grants) {
        screen::field(name, value);
    }
    if let Some(instance) = policy.get("instance") {
        screen::field("instances", instance);
    }
}

/// The grants in human-readable form.
fn granted(grants: &Grants) -> Vec<(&'static str, String)> {
    let joined = |items: Vec<String>| if items.is_empty() { "none".to_owned() } else { items.join("; ") };
    let interfaces = match &grants.interfaces {
        None => "everything that its kinds may import".to_owned(),
        Some(interfaces) => joined(interfaces.iter().cloned().collect()),
    };
    let http = grants.http.iter().map(|grant| {
        let methods = if grant.methods.is_empty() { "any method".to_owned() } else { grant.methods.join(",") };
        let port = grant.port.map(|port| format!(":{port}")).unwrap_or_default();
        format!("{methods} to {}{port}", grant.host)
    });
    let secrets = grants.secrets.iter().map(|grant| {
        let hosts = if grant.hosts.is_empty() { "for codes only".to_owned() } else { grant.hosts.join(",") };
        format!("{} ({hosts})", grant.name)
    });
    let records = grants.records.iter().map(|grant| {
        let how = if grant.write { "read and change" } else { "read" };
        format!("{how} {}", grant.kind)
    });
    vec![
        ("interfaces", interfaces),
        ("http", joined(http.collect())),
        ("secrets", joined(secrets.collect())),
        ("records", joined(records.collect())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grant_arguments_are_parsed() {
        for (text, host, methods, port) in [
            ("api.example.com", "api.example.com", &[][..], None),
            ("*", "*", &[], None),
            ("GET,POST:*.example.com:8443", "*.example.com", &["GET", "POST"], Some(8443)),
            ("api.example.com:8443", "api.example.com", &[], Some(8443)),
            ("PUT:localhost", "localhost", &["PUT"], None),
        ] {
            let grant = http(text).unwrap();
            assert_eq!(
                (grant.host.as_str(), grant.methods, grant.port),
                (host, methods.iter().map(|m| (*m).to_owned()).collect(), port),
                "{text}"
            );
        }
        for text in ["", "https://a.example", "get:a.example", "GET:a.example:0x", "GET:", "a@b"] {
            assert!(http(text).is_err(), "{text}");
        }
        let grant = secret("api-token=a.example, *.b.example").unwrap();
        assert_eq!((grant.name.as_str(), grant.hosts.len()), ("api-token", 2));
        assert!(secret("api-token").unwrap().hosts.is_empty() && secret("=x").is_err());
        assert!(records("lead:write").unwrap().write && !records("*").unwrap().write);
        assert!(records("Lead").is_err() && records("lead:wipe").is_err());
    }

    #[test]
    fn grants_are_listed_in_human_readable_form() {
        let grants: Grants = serde_json::from_value(json!({
            "interfaces": ["http", "kv"], "http": [{"host": "a.example", "port": 1}],
            "secrets": [{"name": "t"}], "records": [{"kind": "lead", "write": true}],
        }))
        .unwrap();
        let told: Vec<String> = granted(&grants).into_iter().map(|(name, value)| format!("{name}: {value}")).collect();
        assert_eq!(
            told,
            [
                "interfaces: http; kv",
                "http: any method to a.example:1",
                "secrets: t (for codes only)",
                "records: read and change lead"
            ]
        );
        assert_eq!(granted(&Grants::default())[1].1, "none");
    }
}
