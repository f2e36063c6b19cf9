//! OAuth 2.0 client credentials (RFC 6749, section 4.4): a token fetched once and used until shortly before it expires.
//!
//! However many requests want the token, one of them fetches it and the others wait; if it fails, those that waited fail
//! with it, and the next request asks anew. Neither the secret nor a token is ever part of a message.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Method};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::{Url, form_urlencoded};

use crate::error::bounded;
use crate::{Answer, Egress, EgressError, Failed, Hidden, Outgoing, Transport, TransportSettings};

/// How long a token is used if the endpoint does not say.
const USUAL_LIFE: Duration = Duration::from_secs(300);
/// How long a token is used at most.
const LONGEST_LIFE: Duration = Duration::from_secs(86_400);
/// A token is fetched anew so long before it expires, or a tenth of its life before if that is shorter.
const MARGIN: Duration = Duration::from_secs(60);
/// How long the endpoint has to answer.
const PATIENCE: Duration = Duration::from_secs(10);
/// The most bytes of the endpoint's answer.
const ANSWER: usize = 64 * 1024;
/// The most bytes of a token.
const LONGEST_TOKEN: usize = 16 * 1024;
/// The most bytes of each setting.
const LONGEST_SETTING: usize = 4096;

/// How the client says who it is (RFC 6749, section 2.3.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClientAuth {
    /// In the Authorization field.
    #[default]
    Basic,
    /// As `client_id` and `client_secret` in the body.
    Body,
}

/// Where tokens come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSettings {
    /// The token endpoint.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// The proof of it. Secret.
    pub client_secret: Hidden,
    /// What the token is for, with spaces between.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<String>,
    /// Whom the token is for: not of the RFC, but some endpoints want it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub audience: Option<String>,
    /// How the client says who it is.
    #[serde(default)]
    pub auth: ClientAuth,
    /// How the endpoint is reached, if not like most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transport: Option<TransportSettings>,
}

/// A bearer token (RFC 6750). Its text is shown nowhere but in [`Token::header`].
#[derive(Clone)]
pub struct Token {
    header: HeaderValue,
    /// From when on it is not used any more.
    until: Instant,
}

impl Token {
    /// The value of the Authorization field. It is marked as sensitive.
    pub fn header(&self) -> &HeaderValue {
        &self.header
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(***)")
    }
}

/// Fetches tokens of one kind and keeps the newest.
pub struct TokenSource {
    settings: TokenSettings,
    url: Url,
    transport: Option<Transport>,
    kept: ArcSwapOption<Token>,
    /// Held while a token is fetched; what came of it, if it failed.
    fetching: Mutex<Option<(Instant, Failed)>>,
}

impl fmt::Debug for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TokenSource").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl TokenSource {
    /// A source that asks through `egress`. [`Egress::token_source`] keeps one for each distinct setting.
    ///
    /// # Errors
    /// [`EgressError::Settings`], which names the field, or what [`Egress::check`] says of the endpoint.
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
        Ok(Self { settings, url, transport, kept: ArcSwapOption::empty(), fetching: Mutex::new(None) })
    }

    /// A token that is good for a while: the one that is kept, or a new one.
    ///
    /// # Errors
    /// [`EgressError::TokenRefused`] or [`EgressError::TokenFailed`], or why the endpoint was not reached.
    pub async fn token(&self, egress: &Egress) -> Result<Arc<Token>, Failed> {
        if let Some(token) = self.good() {
            return Ok(token);
        }
        let asked = Instant::now();
        let mut last = self.fetching.lock().await;
        if let Some(token) = self.good() {
            return Ok(token);
        }
        // Somebody else asked while this one waited, and was refused: the same question has the same answer.
        if let Some((at, failed)) = &*last
            && *at >= asked
        {
            return Err(failed.clone());
        }
        match self.fetch(egress).await {
            Ok(token) => {
                let token = Arc::new(token);
                *last = None;
                self.kept.store(Some(Arc::clone(&token)));
                Ok(token)
            }
            Err(failed) => {
                *last = Some((Instant::now(), failed.clone()));
                Err(failed)
            }
        }
    }

    /// Lets go of a token that a receiver refused with 401, so that the next one is fetched. A newer one stays.
    pub fn invalidate(&self, token: &Arc<Token>) {
        let kept = self.kept.load();
        if kept.as_ref().is_some_and(|kept| Arc::ptr_eq(kept, token)) {
            self.kept.compare_and_swap(&*kept, None);
        }
    }

    fn good(&self) -> Option<Arc<Token>> {
        self.kept.load_full().filter(|token| Instant::now() < token.until)
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
            .map_err(|_| failed("answered 200, but with no JSON object that has access_token and token_type"))?;
        if !granted.token_type.eq_ignore_ascii_case("bearer") {
            let kind = self.clean(&granted.token_type);
            return Err(failed(&format!("gave a token of the type `{kind}`: only Bearer can be used")));
        }
        let text = granted.access_token.reveal();
        if text.is_empty() || text.len() > LONGEST_TOKEN {
            return Err(failed(&format!("gave a token of {} bytes: 1 to {LONGEST_TOKEN} can be used", text.len())));
        }
        let header = sensitive(&format!("Bearer {text}")).ok_or_else(|| failed("gave a token that cannot be sent"))?;
        let life = seconds(granted.expires_in.as_ref()).map_or(USUAL_LIFE, |life| life.min(LONGEST_LIFE));
        let until = asked + life.saturating_sub(MARGIN.min(life / 10));
        Ok(Token { header, until })
    }

    /// What the endpoint said when it refused (RFC 6749, section 5.2): its code and its description, cleaned.
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

    /// What somebody else wrote, bounded and without our secret, should it be in there.
    fn clean(&self, text: &str) -> String {
        bounded(&text.replace(self.settings.client_secret.reveal(), "***"))
    }

    /// The endpoint for a message, without its query.
    fn endpoint(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        let port = self.url.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}://{host}{port}{}", self.url.scheme(), bounded(self.url.path()))
    }

    /// Failures keep their code; settings and addresses say whose they are.
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

/// A number of seconds; some endpoints write it as text.
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
    fn settings_that_cannot_be_used_are_named() {
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
    fn nothing_secret_is_shown() {
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
    fn a_life_is_a_number_or_the_text_of_one() {
        for (text, life) in
            [("3600", Some(3600)), ("\"60\"", Some(60)), ("-1", Some(0)), ("\"x\"", None), ("1e300", None)]
        {
            let value: Value = serde_json::from_str(text).unwrap();
            assert_eq!(seconds(Some(&value)).map(|life| life.as_secs()), life, "{text}");
        }
    }
}
