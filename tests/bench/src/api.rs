//! Calls of Hookwright's API, for setting up and looking up.

use std::net::SocketAddr;

use serde_json::Value;

use crate::Failed;
use crate::client::{Connection, KEY, request_with};

pub(crate) struct Api {
    connection: Connection,
    key: String,
}

impl Api {
    pub(crate) async fn connect(address: SocketAddr) -> Result<Self, Failed> {
        Self::connect_as(address, KEY).await
    }

    /// With another key than the administrator's.
    pub(crate) async fn connect_as(address: SocketAddr, key: &str) -> Result<Self, Failed> {
        Ok(Self { connection: Connection::open(address).await?, key: key.to_owned() })
    }

    pub(crate) async fn get(&mut self, path: &str) -> Result<Value, Failed> {
        self.call("GET", path, "application/json", b"").await
    }

    pub(crate) async fn post(&mut self, path: &str, body: &Value) -> Result<Value, Failed> {
        self.call("POST", path, "application/json", body.to_string().as_bytes()).await
    }

    /// Puts in a version of a plugin.
    pub(crate) async fn put_plugin(&mut self, name: &str, component: &[u8]) -> Result<Value, Failed> {
        self.call("PUT", &format!("/v1/plugins/{name}"), "application/wasm", component).await
    }

    async fn call(&mut self, method: &str, path: &str, content_type: &str, body: &[u8]) -> Result<Value, Failed> {
        let answer = self.connection.exchange(&request_with(&self.key, method, path, content_type, body)).await?;
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(answer.body);
            return Err(format!("{method} {path} was answered {}: {said}", answer.status).into());
        }
        Ok(serde_json::from_slice(answer.body)?)
    }
}

/// What stands at a JSON pointer, as a number.
pub(crate) fn number(value: &Value, pointer: &str) -> Result<f64, Failed> {
    value
        .pointer(pointer)
        .and_then(Value::as_f64)
        .ok_or_else(|| format!("there is no number at {pointer} of {value}").into())
}

/// What stands at a JSON pointer, as text.
pub(crate) fn text<'v>(value: &'v Value, pointer: &str) -> Result<&'v str, Failed> {
    value
        .pointer(pointer)
        .and_then(Value::as_str)
        .ok_or_else(|| format!("there is no text at {pointer} of {value}").into())
}
