//! The client through which requests leave, as the pipeline uses it: for itself, and for plugins that may reach the host.

use std::sync::Arc;

use hookwright_egress::{
    Answer, EgressError, EgressPolicy, Failed, Outgoing, Reach, Token, TokenSettings, TokenSource, Transport,
    TransportSettings,
};
use hookwright_plugin::Allowed;
use serde_json::json;
use url::Url;

/// The client.
pub(crate) struct Egress(hookwright_egress::Egress);

impl Egress {
    /// A client that keeps to `policy`.
    pub(crate) fn new(policy: EgressPolicy) -> Result<Self, EgressError> {
        hookwright_egress::Egress::new(policy).map(Self)
    }

    /// Checks a target as far as that goes without resolving its name.
    pub(crate) fn check(&self, text: &str) -> Result<Url, EgressError> {
        self.0.check(text)
    }

    /// A way to reach destinations with settings of their own.
    pub(crate) fn transport(&self, settings: &TransportSettings) -> Result<Transport, EgressError> {
        self.0.transport(settings)
    }

    /// Where tokens of these settings come from.
    pub(crate) fn token_source(&self, settings: &TokenSettings) -> Result<Arc<TokenSource>, EgressError> {
        self.0.token_source(settings)
    }

    /// A token.
    pub(crate) async fn token(&self, source: &TokenSource) -> Result<Arc<Token>, Failed> {
        source.token(&self.0).await
    }

    /// Sends a request of Hookwright's own.
    pub(crate) async fn send(&self, outgoing: Outgoing) -> Result<Answer, Failed> {
        self.0.send(outgoing).await
    }

    /// Sends a request that a plugin asked for: to hosts that it was granted, to those on the server's list, and, if the
    /// plugin comes with the server, to the allowed networks. Whatever the host, the address must be one that is allowed.
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
