//! The client for outbound requests, as the pipeline uses it: its own requests, and those of plugins.

use std::sync::Arc;

use hookwright_egress::{
    Answer, EgressError, EgressPolicy, Failed, Outgoing, Reach, Token, TokenSettings, TokenSource, Transport,
    TransportSettings,
};
use hookwright_model::{Failure, Header, SpaceId};
use hookwright_plugin::Allowed;
use http::HeaderMap;
use serde_json::json;
use url::Url;

/// The largest response that a plugin can get.
const MAX_PLUGIN_RESPONSE_BYTES: usize = 1024 * 1024;

const PLUGIN_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(10);

/// The client.
pub struct Egress(hookwright_egress::Egress);

impl Egress {
    /// A client with this policy.
    /// Requests go where this policy permits.
    pub fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        hookwright_egress::Egress::new(policy).map(Self)
    }

    /// Checks a target, as far as possible without resolving its name.
    pub fn check(&self, text: &str) -> Result<Url, EgressError> {
        self.0.check(text)
    }

    /// Checks the URL of a proxy for requests to a single destination, as far as possible without resolving its name.
    pub fn check_proxy(&self, text: &str) -> Result<(), EgressError> {
        self.0.check_proxy(text)
    }

    /// A transport for destinations with their own settings.
    pub fn transport(&self, settings: &TransportSettings) -> Result<Transport, EgressError> {
        self.0.transport(settings)
    }

    /// The source of tokens with these settings.
    pub fn token_source(&self, settings: &TokenSettings) -> Result<Arc<TokenSource>, EgressError> {
        self.0.token_source(settings)
    }

    /// A token from the source, requested if none is cached.
    pub async fn token(&self, source: &TokenSource) -> Result<Arc<Token>, Failed> {
        source.token(&self.0).await
    }

    /// Sends a request of the pipeline itself.
    pub async fn send(&self, outgoing: Outgoing) -> Result<Answer, Failed> {
        self.0.send(outgoing).await
    }

    /// Sends a request of a plugin: to hosts that it was granted, to those on the server's allowlist, and, if the plugin comes
    /// with the server, to the allowed networks. The address must be allowed in each case.
    pub(crate) async fn send_for_plugin(
        &self,
        plugin: &str,
        allowed: Allowed,
        outgoing: Outgoing,
    ) -> Result<Answer, EgressError> {
        let host = outgoing.url.host_str().unwrap_or_default().to_owned();
        if allowed == Allowed::ByGrant || self.0.policy().lists(&host) {
            return Ok(self.0.send(outgoing).await?);
        }
        let port = outgoing.url.port();
        let mut grant = json!({"host": host, "methods": [outgoing.method.as_str()]});
        if let (Some(port), Some(grant)) = (port, grant.as_object_mut()) {
            grant.insert("port".to_owned(), port.into());
        }
        let method = outgoing.method.clone();
        let refused = || {
            let remedy = hookwright_plugin::remedy(plugin, &json!({"http": [grant]}));
            EgressError::HostRefused(format!(
                "`{plugin}` may not send {method} to `{host}`: {remedy}; to open the host to all plugins, add it to the \
                 setting allow_hosts"
            ))
        };
        match allowed {
            Allowed::ByServer { trusted: true } => {
                let sent = self.0.send_within(Reach::ListedNetworks, outgoing).await;
                sent.map_err(|failed| match failed.error {
                    EgressError::AddressRefused(_) => refused(),
                    other => other,
                })
            }
            _ => Err(refused()),
        }
    }
}

#[async_trait::async_trait]
impl hookwright_plugin::Outbound for Egress {
    async fn send(
        &self,
        _space: &SpaceId,
        request: hookwright_plugin::OutboundRequest,
    ) -> Result<hookwright_plugin::OutboundResponse, Failure> {
        let wrong = |what: &str, error: String| Failure::permanent("http.request_invalid", format!("{what}: {error}"));
        let url = self.check(&request.url).map_err(|error| Failure::permanent(error.code(), error.to_string()))?;
        let method: http::Method = request
            .method
            .parse()
            .map_err(|_| wrong("method", format!("`{}` is not a valid method", request.method)))?;
        let mut headers = http::HeaderMap::new();
        for (name, value) in &request.headers {
            let name: http::HeaderName =
                name.parse().map_err(|_| wrong("headers", format!("`{name}` is not a valid header name")))?;
            let value = value
                .parse()
                .map_err(|_| wrong("headers", format!("`{name}`: {}", crate::egress::unsendable(value))))?;
            headers.append(name, value);
        }
        let outgoing = Outgoing {
            repeatable: method.is_idempotent() || headers.contains_key("idempotency-key"),
            headers,
            body: request.body,
            timeout: request.timeout.unwrap_or(PLUGIN_TIMEOUT),
            body_limit: MAX_PLUGIN_RESPONSE_BYTES,
            ..Outgoing::new(method, url)
        };
        let sent = self.send_for_plugin(&request.plugin, request.allowed, outgoing).await;
        let answer = sent.map_err(|error| {
            if error.may_pass() {
                Failure::transient(error.code(), error.to_string())
            } else {
                Failure::permanent(error.code(), error.to_string())
            }
        })?;
        if answer.truncated {
            let message = format!("the response has more than {MAX_PLUGIN_RESPONSE_BYTES} bytes");
            return Err(Failure::permanent("http.answer_too_large", message));
        }
        Ok(hookwright_plugin::OutboundResponse {
            status: answer.status,
            headers: crate::egress::header_list(&answer.headers),
            body: answer.body,
        })
    }
}

/// Why a header field cannot have this value: a value is one line (RFC 9110, section 5.5).
pub fn unsendable(value: &str) -> String {
    match value.char_indices().find(|(_, c)| c.is_ascii_control() && *c != '\t') {
        Some((at, control)) => format!(
            "its value has `{}` at byte {at}: a header is one line of text, so leave line breaks and other control \
             characters out",
            control.escape_debug()
        ),
        None => "its value has characters that a header must not have".to_owned(),
    }
}

/// Header fields for a log, values as text.
pub fn header_list(headers: &HeaderMap) -> Vec<Header> {
    headers.iter().map(|(n, v)| (n.as_str().to_owned(), String::from_utf8_lossy(v.as_bytes()).into_owned())).collect()
}

#[cfg(test)]
mod tests {
    use http::Method;

    use super::*;

    #[tokio::test]
    async fn a_plugin_reaches_only_what_it_may_and_is_told_the_grant() {
        let egress = Egress::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() }).unwrap();
        let outgoing = Outgoing::new(Method::GET, Url::parse("http://localhost:9/").unwrap());
        let failed = egress.send(outgoing.clone()).await.unwrap_err();
        assert_eq!(failed.code(), "address.refused", "{failed}");
        for (allowed, code) in [
            (Allowed::ByGrant, "address.refused"),
            (Allowed::ByServer { trusted: true }, "http.host_not_allowed"),
            (Allowed::ByServer { trusted: false }, "http.host_not_allowed"),
        ] {
            let error = egress.send_for_plugin("p", allowed, outgoing.clone()).await.unwrap_err();
            assert_eq!(error.code(), code, "{allowed:?}");
            let grant = r#"POST {"http":[{"host":"localhost","methods":["GET"],"port":9}]} to /v1/plugins/p/grants"#;
            assert_eq!(error.to_string().contains(grant), code == "http.host_not_allowed", "{error}");
        }
    }
}
