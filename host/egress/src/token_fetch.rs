//! OAuth 2.0 client credentials (RFC 6749, section 4.4): a token fetched once and used until shortly before it expires.
//!
//! Concurrent requests share one fetch: one of them fetches the token and the others wait. If it fails, those that
//! waited fail with the same error, and the next request tries again. Neither the secret nor a token is ever part of a
//! message.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookwright_model::Redactor;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::form_urlencoded;

use crate::client::cached;
use crate::error::bounded;
use crate::transport::hash;
use crate::{Answer, ClientAuth, Egress, EgressError, Failed, Hidden, Outgoing, Token, TokenSettings, TokenSource};

/// The lifetime of a token if the endpoint does not return one.
const USUAL_LIFE: Duration = Duration::from_secs(300);
/// The maximum lifetime of a token.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// A token is renewed this long before it expires, or a tenth of its lifetime before if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);
/// The timeout of the endpoint.
const PATIENCE: Duration = Duration::from_secs(10);
/// The maximum size of the endpoint's response, in bytes.
const ANSWER: usize = 64 * 1024;
/// The maximum size of a token, in bytes.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The maximum size of each setting, in bytes.
const LONGEST_SETTING: usize = 4096;

impl Egress {
    /// The token source for these settings. It is created on first use and cached with its token.
    ///
    /// # Errors
    /// [`EgressError::Settings`], which names the field, or an error of [`Egress::check`] for the endpoint.
    pub fn token_source(&self, settings: &TokenSettings) -> Result<Arc<TokenSource>, EgressError> {
        let make = || TokenSource::new(self, settings.clone()).map(Arc::new);
        cached(&self.token_sources, hash(settings)?, make)
    }
}

impl TokenSource {
    /// A source that fetches through `egress`. [`Egress::token_source`] caches one for each distinct setting.
    ///
    /// # Errors
    /// [`EgressError::Settings`], which names the field, or an error of [`Egress::check`] for the endpoint.
    pub fn new(egress: &Egress, settings: TokenSettings) -> Result<Self, EgressError> {
        let fields = [
            ("client_id", settings.client_id.as_str(), true),
            ("client_secret", settings.client_secret.reveal(), true),
            ("scope", settings.scope.as_deref().unwrap_or_default(), false),
            ("audience", settings.audience.as_deref().unwrap_or_default(), false),
        ];
        for (field, text, needed) in fields {
            if text.len() > LONGEST_SETTING || (needed && text.is_empty()) {
                let message = format!("{field}: {} bytes: give 1 to {LONGEST_SETTING}", text.len());
                return Err(EgressError::Settings(message));
            }
        }
        let url = egress.check(&settings.token_url)?;
        let transport = settings.transport.as_ref().map(|settings| egress.transport(settings)).transpose()?;
        Ok(Self { settings, url, transport, cached: ArcSwapOption::empty(), fetching: Mutex::new(None) })
    }

    /// A token that is still valid: the cached one, or a new one.
    ///
    /// # Errors
    /// [`EgressError::TokenRefused`] or [`EgressError::TokenFailed`], or the reason why the endpoint was not reached.
    pub async fn token(&self, egress: &Egress) -> Result<Arc<Token>, Failed> {
        if let Some(token) = self.good() {
            return Ok(token);
        }
        let asked = Instant::now();
        let mut last = self.fetching.lock().await;
        if let Some(token) = self.good() {
            return Ok(token);
        }
        // Another request tried while this one waited, and failed. The same fetch would fail in the same way.
        if let Some((at, failed)) = &*last
            && *at >= asked
        {
            return Err(failed.clone());
        }
        match self.fetch(egress).await {
            Ok(token) => {
                let token = Arc::new(token);
                *last = None;
                self.cached.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(failed) => {
                *last = Some((Instant::now(), failed.clone()));
                Err(failed)
            }
        }
    }

    async fn fetch(&self, egress: &Egress) -> Result<Token, Failed> {
        let asked = Instant::now();
        let answer = egress
            .send(self.request()?)
            .await
            .map_err(|failed| Failed { error: self.at_endpoint(failed.error), ..failed })?;
        let timing = answer.timing;
        self.read(asked, &answer).map_err(|error| Failed { error, stage: crate::Stage::Body, timing })
    }

    fn request(&self) -> Result<Outgoing, Failed> {
        let settings = &self.settings;
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("grant_type", "client_credentials");
        for (name, value) in [("scope", &settings.scope), ("audience", &settings.audience)] {
            if let Some(value) = value {
                form.append_pair(name, value);
            }
        }
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/x-www-form-urlencoded"));
        headers.insert(ACCEPT, HeaderValue::from_static("application/json"));
        match settings.auth {
            ClientAuth::Body => {
                form.append_pair("client_id", &settings.client_id);
                form.append_pair("client_secret", settings.client_secret.reveal());
            }
            ClientAuth::Basic => {
                let coded = |text: &str| form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
                let pair = format!("{}:{}", coded(&settings.client_id), coded(settings.client_secret.reveal()));
                let value = sensitive(&format!("Basic {}", STANDARD.encode(pair)));
                headers.insert(AUTHORIZATION, value.ok_or_else(|| Failed::at_once(unsendable()))?);
            }
        }
        Ok(Outgoing {
            headers,
            body: Bytes::from(form.finish()),
            timeout: PATIENCE,
            body_limit: ANSWER,
            repeatable: true,
            transport: self.transport.clone(),
            ..Outgoing::new(Method::POST, self.url.clone())
        })
    }

    fn read(&self, asked: Instant, answer: &Answer) -> Result<Token, EgressError> {
        let endpoint = self.endpoint();
        if answer.status != 200 {
            return Err(self.refusal(answer));
        }
        let failed = |what: &str| EgressError::TokenFailed(format!("the token endpoint {endpoint} {what}"));
        if answer.truncated {
            return Err(failed(&format!("answered more than {ANSWER} bytes")));
        }
        let granted: Granted = serde_json::from_slice(&answer.body)
            .map_err(|_| failed("answered with 200, but without a JSON object that has access_token and token_type"))?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            let kind = self.clean(&granted.token_type);
            return Err(failed(&format!("returned a token of the type `{kind}`: only Bearer is supported")));
        }
        let text = granted.access_token.reveal();
        if text.is_empty() || text.len() > LONGEST_TOKEN {
            return Err(failed(&format!(
                "returned a token of {} bytes: 1 to {LONGEST_TOKEN} are supported",
                text.len()
            )));
        }
        let header = sensitive(&format!("Bearer {text}"))
            .ok_or_else(|| failed("returned a token that is not valid in a header field"))?;
        let life = seconds(granted.expires_in.as_ref()).map_or(USUAL_LIFE, |life| life.min(LONGEST_LIFE));
        let until = asked + life.saturating_sub(MARGIN.min(life / 10));
        Ok(Token { header, until })
    }

    /// The endpoint's error response (RFC 6749, section 5.2): code and description, sanitized.
    fn refusal(&self, answer: &Answer) -> EgressError {
        let said: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let part = |name: &str| said.get(name).and_then(Value::as_str).map(|text| self.clean(text));
        let mut message = format!("the token endpoint {} answered {}", self.endpoint(), answer.status);
        for part in [part("error"), part("error_description")].into_iter().flatten() {
            message.push_str(": ");
            message.push_str(&part);
        }
        if matches!(answer.status, 400 | 401 | 403) {
            message.push_str(": see client_id, client_secret, scope and auth");
            return EgressError::TokenRefused(message);
        }
        EgressError::TokenFailed(message)
    }

    /// A string from another system, with limited length and with our secret removed.
    fn clean(&self, text: &str) -> String {
        bounded(&Redactor::new([self.settings.client_secret.reveal()]).text(text))
    }

    /// The endpoint for a message, without its query.
    fn endpoint(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", self.url.scheme(), bounded(self.url.path()))
    }

    /// Adds the endpoint to errors of settings and addresses; other failures are unchanged.
    fn at_endpoint(&self, error: EgressError) -> EgressError {
        match error {
            EgressError::AddressRefused(what) => EgressError::AddressRefused(format!("token_url: {what}")),
            EgressError::Resolve(what) => EgressError::Resolve(format!("token_url: {what}")),
            other => other,
        }
    }
}

/// RFC 6749, section 5.1.
#[derive(Deserialize)]
struct Granted {
    access_token: Hidden,
    token_type: String,
    expires_in: Option<Value>,
}

/// A number of seconds; some endpoints send it as text.
fn seconds(value: Option<&Value>) -> Option<Duration> {
    let value = value?;
    let number = value.as_f64().or_else(|| value.as_str()?.parse().ok())?;
    Duration::try_from_secs_f64(number.max(0.0)).ok()
}

fn sensitive(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

fn unsendable() -> EgressError {
    EgressError::Settings("client_id or client_secret cannot be sent".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::EgressPolicy;

    fn settings(text: &str) -> TokenSettings {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn invalid_settings_are_reported_by_field() {
        let egress = Egress::new(EgressPolicy::default()).unwrap();
        for (text, code, part) in [
            (
                r#"{"token_url":"https://a.example/","client_id":"","client_secret":"s"}"#,
                "transport.invalid",
                "client_id",
            ),
            (
                r#"{"token_url":"https://a.example/","client_id":"i","client_secret":""}"#,
                "transport.invalid",
                "client_secret",
            ),
            (r#"{"token_url":"https://10.0.0.1/","client_id":"i","client_secret":"s"}"#, "address.refused", "10.0.0.1"),
            (r#"{"token_url":"http://a.example/","client_id":"i","client_secret":"s"}"#, "url.invalid", "TLS"),
        ] {
            let error = TokenSource::new(&egress, settings(text)).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            assert!(error.to_string().contains(part), "{error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        let egress = Egress::new(EgressPolicy::default()).unwrap();
        let text = r#"{"token_url":"https://a.example/t?key=hush","client_id":"i","client_secret":"hush"}"#;
        let source = TokenSource::new(&egress, settings(text)).unwrap();
        assert!(!format!("{:?}", source.settings.client_secret).contains("hush"));
        assert!(!source.endpoint().contains("hush"));
        assert_eq!(source.clean("no hush\nhere"), "no *** here");
        assert_eq!(source.clean(&"x".repeat(5000)).len(), 300);
        assert!(!format!("{:?}", source.request().unwrap().headers).contains("aTpodXNo"));
    }

    #[test]
    fn expires_in_is_a_number_or_a_numeric_string() {
        for (text, life) in
            [("3600", Some(3600)), ("\"60\"", Some(60)), ("-1", Some(0)), ("\"x\"", None), ("1e300", None)]
        {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(seconds(Some(&value)).map(|life| life.as_secs()), life, "{text}");
        }
    }
}
