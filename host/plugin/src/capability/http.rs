//! Requests to hosts that the operator allowed.

use std::time::Duration;

use bytes::Bytes;
use hookwright_model::{Failure, Kind};
use wasmtime::component::HasSelf;

use super::{Capability, Host, Link};
use crate::exchange::{OutboundRequest, Pairs};
use crate::state::State;
use crate::v0_1_0::{http, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "http",
    kinds: &[Kind::Action, Kind::Source],
    links: &[Link { version: "0.1.0", add: |linker| http::add_to_linker::<_, HasSelf<State>>(linker, |state| state) }],
};

impl http::Host for State {
    async fn send(&mut self, request: http::Request) -> Host<http::Response, types::Failure> {
        self.host_call()?;
        let Some(outbound) = self.call.outbound.clone() else {
            let message = "no request can leave in this call: the server does not allow it here";
            return Ok(Err(Failure::permanent("capability.unavailable", message).into()));
        };
        if let Err(failure) = self.count_request() {
            return Ok(Err(failure.into()));
        }
        let mut request = OutboundRequest {
            method: request.method,
            url: request.url,
            headers: request.headers,
            body: Bytes::from(request.body),
            timeout: request.timeout_ms.map(|ms| Duration::from_millis(u64::from(ms))),
        };
        self.mark(&mut request.headers);
        let answer = outbound.send(&self.call.space, request).await;
        Ok(answer
            .map(|answer| http::Response { status: answer.status, headers: answer.headers, body: answer.body.into() })
            .map_err(Into::into))
    }
}

impl State {
    fn count_request(&mut self) -> Result<(), Failure> {
        let most = self.budget.requests_most;
        if self.budget.requests >= most {
            let message = format!("this call has sent {most} requests, which is all that it may: send fewer at a time");
            return Err(Failure::permanent("http.too_many_requests", message));
        }
        self.budget.requests = self.budget.requests.saturating_add(1);
        Ok(())
    }

    /// Gives the request the call's idempotency key, unless the plugin chose one. The second request gets another than
    /// the first, and the same again when the step is repeated, so a receiver can drop what it has seen.
    fn mark(&mut self, headers: &mut Pairs) {
        let Some(key) = &self.call.idempotency_key else { return };
        if headers.iter().any(|(name, _)| name.eq_ignore_ascii_case("idempotency-key")) {
            return;
        }
        let key = if self.budget.requests == 1 { key.clone() } else { format!("{key}-{}", self.budget.requests) };
        headers.push(("Idempotency-Key".to_owned(), key));
    }
}
