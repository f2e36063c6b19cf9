//! HTTP requests to granted hosts.

use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use hookwright_model::{CONNECTION_FIELDS, Failure, HOPS_HEADER, Kind, Played};
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link, shown};
use crate::exchange::Pairs;
use crate::outbound::{Allowed, OutboundRequest, OutboundResponse};
use crate::state::State;
use crate::v0_1_0::{http, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "http",
    kinds: &[Kind::Action, Kind::Source],
    links: &[Link { version: "0.1.0", add: |linker| http::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

/// Maximum number of header fields of a request, and of their bytes.
const FIELDS: usize = 100;
const FIELD_BYTES: usize = 64 * 1024;

impl http::Host for State {
    async fn send(&mut self, request: http::Request) -> Host<http::Response, types::Failure> {
        self.host_call()?;
        Ok(self.exchange(request).await.map_err(Into::into))
    }
}

/// A recorded response: status, header fields, body in base64.
type Taken = Result<(u16, Pairs, String), Failure>;

fn taken_down(answer: &Result<http::Response, Failure>) -> Taken {
    match answer {
        Ok(answer) => Ok((answer.status, answer.headers.clone(), STANDARD.encode(&answer.body))),
        Err(failure) => Err(failure.clone()),
    }
}

fn read_back(taken: Taken) -> Result<http::Response, Failure> {
    let (status, headers, body) = taken?;
    let damaged = |error| Failure::permanent("replay.damaged", format!("the recorded answer: {error}"));
    Ok(http::Response { status, headers, body: STANDARD.decode(body).map_err(damaged)? })
}

fn response(answer: OutboundResponse) -> http::Response {
    http::Response { status: answer.status, headers: answer.headers, body: answer.body.into() }
}

/// The identity of a request: the method, the URL without the parts that may be secret, and a digest of all of it.
fn described(request: &http::Request) -> String {
    let url = request.url.split(['?', '#']).next().unwrap_or_default();
    let mut parts: Vec<&[u8]> = vec![request.method.as_bytes(), request.url.as_bytes()];
    for (name, value) in &request.headers {
        parts.extend([name.as_bytes(), value.as_bytes()]);
    }
    parts.push(&request.body);
    let digest = super::crypto::fingerprint(&parts);
    let digest = digest.get(..16).unwrap_or_default();
    format!("{} {url} {} bytes {digest}", request.method, request.body.len())
}

impl State {
    async fn exchange(&mut self, request: http::Request) -> Result<http::Response, Failure> {
        let access = Arc::clone(&self.call.access);
        access.interface(CAPABILITY.interface)?;
        self.count_request()?;
        let key = described(&request);
        let Some(tape) = self.call.tape.clone() else { return self.sent_once(&key, request).await };
        tape.leaves(key.clone());
        match tape.played("http", &key) {
            Played::Known(answer) => read_back(answer),
            Played::Unknown => {
                let message = "this request was not made when the call was recorded, and a replay sends no requests";
                Err(Failure::permanent(Failure::NOT_RECORDED, message))
            }
            Played::Ask => {
                let answer = self.sent_once(&key, request).await;
                tape.keep("http", key, &taken_down(&answer));
                answer
            }
        }
    }

    /// Returns the response that an earlier try of the step got to the same request, or sends it.
    async fn sent_once(&mut self, key: &str, request: http::Request) -> Result<http::Response, Failure> {
        let Some(tries) = self.call.tries.clone() else {
            let place = self.budget.requests;
            return self.sent(request, place).await.map(response);
        };
        if let Some(answer) = tries.answered(key) {
            self.budget.answered = self.budget.answered.saturating_add(1);
            return answer.map(response);
        }
        let place = u32::try_from(tries.place()?).unwrap_or(u32::MAX);
        let answer = self.sent(request, place).await;
        tries.retain(key.to_owned(), &answer);
        answer.map(response)
    }

    /// Sends the request, which is number `place` of those of the step.
    async fn sent(&mut self, request: http::Request, place: u32) -> Result<OutboundResponse, Failure> {
        let access = Arc::clone(&self.call.access);
        let Some(outbound) = self.call.outbound.clone() else {
            let message = "this call cannot send requests: the server does not allow it here";
            return Err(Failure::permanent("capability.unavailable", message));
        };
        let wrong = |message: String| Failure::permanent("http.request_invalid", message);
        let bytes: usize = request.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        if request.headers.len() > FIELDS || bytes > FIELD_BYTES {
            let count = request.headers.len();
            return Err(wrong(format!("{count} header fields of {bytes} bytes: at most {FIELDS} of {FIELD_BYTES}")));
        }
        let url = url::Url::parse(&request.url)
            .map_err(|error| Failure::permanent("url.invalid", format!("`{}`: {error}", shown(&request.url))))?;
        let host = url.host_str().unwrap_or_default().to_owned();
        let port = url.port_or_known_default().unwrap_or_default();
        let usual = if url.scheme() == "http" { 80 } else { 443 };
        let allowed = if access.grants.reaches(&request.method, &host, port, usual) {
            Allowed::ByGrant
        } else {
            Allowed::ByServer { trusted: access.trusted }
        };
        let mut request = OutboundRequest {
            plugin: access.plugin.clone(),
            allowed,
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: Bytes::from(request.body),
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        };
        own_fields(&mut request, &url).map_err(wrong)?;
        self.mark(&mut request.headers, place);
        self.fill_in(&mut request, &url)?;
        self.count_egress(request.body.len().saturating_add(bytes))?;
        let answer = outbound.send(&self.call.space, request).await?;
        let (status, mut headers, mut body) = (answer.status, answer.headers, Vec::from(answer.body));
        let fields: usize = headers.iter().map(|(name, value)| name.len() + value.len()).sum();
        self.count_egress(body.len().saturating_add(fields))?;
        self.take_out(&mut headers, &mut body);
        Ok(OutboundResponse { status, headers, body: body.into() })
    }

    fn count_egress(&mut self, bytes: usize) -> Result<(), Failure> {
        let budget = &mut self.budget;
        budget.egress = budget.egress.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        if budget.egress <= budget.egress_most {
            return Ok(());
        }
        let most = budget.egress_most;
        let message = format!(
            "the requests of this call and their answers have more than {most} bytes: send less, or raise its limit \
             egress_bytes"
        );
        Err(Failure::permanent("http.too_many_bytes", message))
    }

    fn count_request(&mut self) -> Result<(), Failure> {
        let most = self.budget.requests_most;
        if self.budget.requests >= most {
            let message = format!("this call has sent {most} requests, the maximum: send fewer per call");
            return Err(Failure::permanent("http.too_many_requests", message));
        }
        self.budget.requests = self.budget.requests.saturating_add(1);
        Ok(())
    }

    /// Adds the call's hop counter, and its idempotency key unless the plugin chose one, to the request. Each request
    /// of the step has its own key, which is the same when the step is retried, so that a receiver can drop duplicates.
    fn mark(&self, headers: &mut Pairs, place: u32) {
        if let Some(hops) = self.call.hops {
            headers.retain(|(name, _)| !name.eq_ignore_ascii_case(HOPS_HEADER));
            headers.push((HOPS_HEADER.to_owned(), hops.to_string()));
        }
        let Some(key) = &self.call.idempotency_key else { return };
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key")) {
            return;
        }
        let key = if place == 1 { key.clone() } else { format!("{key}-{place}") };
        headers.push(("Idempotency-Key".to_owned(), key));
    }
}

/// Removes the fields that the connection sets. Libraries in plugins set some of them, with the values that they will
/// have. With other values, which may come from data, the request would differ from the checked one.
///
/// # Errors
/// The field with another value.
fn own_fields(request: &mut OutboundRequest, url: &url::Url) -> Result<(), String> {
    let authority = url.port().map(|port| format!("{}:{port}", url.host_str().unwrap_or_default()));
    let authority = authority.unwrap_or_else(|| url.host_str().unwrap_or_default().to_owned());
    let length = request.body.len().to_string();
    let reserved = |name: &str| CONNECTION_FIELDS.iter().find(|reserved| name.eq_ignore_ascii_case(reserved)).copied();
    for (name, value) in &request.headers {
        let as_it_will_be = match reserved(name) {
            None => true,
            Some("content-length") => value.trim() == length,
            Some("host") => value.trim().eq_ignore_ascii_case(&authority),
            Some("connection") => ["close", "keep-alive"].iter().any(|word| value.trim().eq_ignore_ascii_case(word)),
            Some(_) => false,
        };
        if !as_it_will_be {
            let value = shown(value);
            return Err(format!(
                "the header field `{name}` is `{value}`, and is set by the connection itself: leave it out"
            ));
        }
    }
    request.headers.retain(|(name, _)| reserved(name).is_none());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn checked(name: &str, value: &str) -> Result<usize, String> {
        let url = "http://receiver.example:8080/hook";
        let mut request = OutboundRequest {
            plugin: "p".into(),
            allowed: Allowed::ByGrant,
            method: "POST".into(),
            url: url.into(),
            headers: vec![("x-a".into(), "1".into()), (name.into(), value.into())],
            body: Bytes::from_static(b"hello"),
            timeout: None,
        };
        own_fields(&mut request, &url::Url::parse(url).unwrap()).map(|()| request.headers.len())
    }

    #[test]
    fn fields_of_the_connection_are_not_set_by_a_plugin() {
        for (name, value) in [("content-length", "5"), ("Host", "Receiver.example:8080"), ("Connection", "close")] {
            assert_eq!(checked(name, value), Ok(1), "{name}");
        }
        assert_eq!(checked("x-host", "other"), Ok(2));
        for (name, value) in [
            ("Content-Length", "3"),
            ("content-length", "5, 5"),
            ("host", "internal.example"),
            ("host", "receiver.example"),
            ("Transfer-Encoding", "identity"),
            ("upgrade", "h2c"),
            ("te", "trailers"),
            ("Expect", "100-continue"),
            ("Keep-Alive", "timeout=5"),
        ] {
            let refused = checked(name, value).unwrap_err();
            assert!(refused.contains(name) && refused.contains(value), "{refused}");
        }
    }
}
