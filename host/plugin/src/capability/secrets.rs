//! Secrets that a plugin can put into requests without seeing them.

use hookwright_model::{Failure, Kind, Redactor, host_fits};
use rand::RngCore as _;
use serde_json::json;
use url::Url;
use wasmtime::component::HasSelf;

use super::definition::{Capability, Host, Link};
use crate::outbound::OutboundRequest;
use crate::state::State;
use crate::v0_1_0::{secrets, types};

pub(super) const CAPABILITY: Capability = Capability {
    interface: "secrets",
    kinds: &[Kind::Action, Kind::Source],
    links: &[Link {
        version: "0.1.0",
        add: |linker| secrets::add_to_linker::<_, HasSelf<State>>(linker, |state| state),
    }],
};

impl secrets::Host for State {
    fn placeholder(&mut self, name: String) -> Host<String, types::Failure> {
        self.host_call()?;
        Ok(self.placeholder_of(&name).map_err(Into::into))
    }
}

impl State {
    fn placeholder_of(&mut self, name: &str) -> Result<String, Failure> {
        self.call.access.interface(CAPABILITY.interface)?;
        if let Some((text, _)) = self.placeholders.iter().find(|(_, known)| known == name) {
            return Ok(text.clone());
        }
        // The placeholder is random, so no event can contain it. It is worthless after this call and its re-runs.
        let fresh = || {
            match self.secret(name) {
                Ok(_) => {}
                // Refused when the request is sent: only then the host that the grant must name is known.
                Err(_) if self.call.access.secrets_set.iter().any(|set| set == name) => {}
                Err(failure) => return Err(failure),
            }
            Ok(format!("hookwright-secret-{:016x}{:016x}", rand::rng().next_u64(), rand::rng().next_u64()))
        };
        // A re-run gets the same one, or no request with it would be recognized.
        let make = || match &self.call.tries {
            Some(tries) => tries.placeholder(name, fresh),
            None => fresh(),
        };
        let text: Result<String, Failure> = self.taped("placeholder", || name.to_owned(), make);
        let text = text?;
        self.placeholders.push((text.clone(), name.to_owned()));
        Ok(text)
    }

    /// Replaces placeholders by their values, if these may be sent to the host of `url`, the URL of the request. No
    /// value can change the host.
    pub(super) fn fill_in(&self, request: &mut OutboundRequest, url: &Url) -> Result<(), Failure> {
        let host = url.host_str().unwrap_or_default();
        for (text, name) in &self.placeholders {
            let in_body = memchr::memmem::find(&request.body, text.as_bytes()).is_some();
            let in_head = request.url.contains(text.as_str())
                || request.headers.iter().any(|(_, value)| value.contains(text.as_str()));
            if !in_body && !in_head {
                continue;
            }
            let access = &self.call.access;
            let granted = access
                .grants
                .secret(name)
                .is_some_and(|grant| grant.hosts.iter().any(|pattern| host_fits(pattern, host)));
            if !granted {
                let what = format!("the secret `{name}` may not go to `{host}`");
                return Err(access.refused(&what, &json!({"secrets": [{"name": name, "hosts": [host]}]})));
            }
            let value = self.secret(name)?;
            if in_head {
                let value = std::str::from_utf8(value).map_err(|_| {
                    Failure::permanent(
                        "secret.unusable",
                        format!("the secret `{name}` is not text: it can only be used in the body"),
                    )
                })?;
                request.url = request.url.replace(text.as_str(), value);
                if !Url::parse(&request.url).is_ok_and(|filled| filled.origin() == url.origin()) {
                    let message = format!(
                        "the secret `{name}` would change the host: it can only be used in the path and the query"
                    );
                    return Err(Failure::permanent("secret.unusable", message));
                }
                for (_, field) in &mut request.headers {
                    *field = field.replace(text.as_str(), value);
                }
            }
            if in_body {
                request.body = replaced(&request.body, text.as_bytes(), value).into();
            }
        }
        Ok(())
    }

    /// Replaces values by their placeholders where a response repeats them, encoded or not.
    pub(super) fn take_out(&self, headers: &mut [(String, String)], body: &mut Vec<u8>) {
        let known = self.placeholders.iter().filter_map(|(text, name)| Some((text, self.secret(name).ok()?)));
        let (texts, values): (Vec<&String>, Vec<&[u8]>) = known.unzip();
        let redactor = Redactor::strict(values);
        let placeholder = |place: usize| texts.get(place).map_or(&b"***"[..], |text| text.as_bytes());
        *body = redactor.replace(body, false, placeholder);
        for (_, field) in headers {
            let clean = redactor.replace(field.as_bytes(), false, placeholder);
            *field = String::from_utf8_lossy(&clean).into_owned();
        }
    }
}

fn replaced(bytes: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut result = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((before, after)) = memchr::memmem::find(rest, from).and_then(|place| rest.split_at_checked(place)) {
        result.extend_from_slice(before);
        result.extend_from_slice(to);
        rest = after.get(from.len()..).unwrap_or_default();
    }
    result.extend_from_slice(rest);
    result
}

#[cfg(test)]
mod tests {
    use super::replaced;

    #[test]
    fn every_place_is_replaced() {
        assert_eq!(replaced(b"a-b-a", b"a", b"xyz"), b"xyz-b-xyz");
        assert_eq!(replaced(b"", b"a", b"b"), b"");
    }
}
