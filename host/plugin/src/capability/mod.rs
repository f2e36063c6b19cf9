//! The capabilities of plugins: what they may reach beyond their own memory. Each is one file here, with its functions,
//! the kinds of plugin that get it, and its linking in each version of the WIT package. To add one, write its file and
//! list it in [`ALL`].

mod clock;
mod config;
mod crypto;
mod definition;
mod encoding;
mod events;
mod http;
mod kv;
mod log;
mod mail;
mod random;
mod records;
mod secrets;
mod tickets;
mod workflows;

pub(crate) use definition::{Capability, Link};
use hookwright_model::{Grants, Mistakes};

/// Every capability.
pub(crate) const ALL: [&Capability; 14] = [
    &log::CAPABILITY,
    &clock::CAPABILITY,
    &random::CAPABILITY,
    &config::CAPABILITY,
    &crypto::CAPABILITY,
    &encoding::CAPABILITY,
    &secrets::CAPABILITY,
    &kv::CAPABILITY,
    &records::CAPABILITY,
    &tickets::CAPABILITY,
    &events::CAPABILITY,
    &mail::CAPABILITY,
    &workflows::CAPABILITY,
    &http::CAPABILITY,
];

/// The names of all interfaces.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    ALL.iter().map(|capability| capability.interface)
}

/// Whether an interface has effects outside of the server.
pub(crate) fn sends_requests(interface: &str) -> bool {
    interface == http::CAPABILITY.interface
}

/// Refuses grants of unknown interfaces: otherwise a misspelt grant would silently have no effect.
///
/// # Errors
/// Each unknown interface, with the most similar known name.
pub fn check_interfaces(grants: &Grants) -> Result<(), Mistakes> {
    let mut mistakes = Mistakes::default();
    for interface in grants.interfaces.iter().flatten() {
        if !names().any(|known| known == interface) {
            let shown = crate::cut::cut(interface, 64);
            let nearest = names().map(|known| (strsim::osa_distance(known, &shown), known)).min();
            let message = match nearest.filter(|(distance, _)| *distance <= 2) {
                Some((_, known)) => format!("`{shown}` is not an interface: did you mean `{known}`?"),
                None => {
                    let known: Vec<&str> = names().collect();
                    format!("`{shown}` is not an interface; there are {}", known.join(", "))
                }
            };
            mistakes.add("grants.interfaces", message);
        }
    }
    mistakes.check()
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use async_trait::async_trait;
    use bytes::Bytes;
    use hookwright_model::{Failure, Limits, SpaceId, Tape, Timestamp};
    use wasmtime::Store;

    use crate::access::Access;
    use crate::call::Call;
    use crate::memory::MemoryBudget;
    use crate::outbound::{Outbound, OutboundRequest, OutboundResponse};
    use crate::retained::Retained;
    use crate::state::State;
    use crate::v0_1_0::{
        clock::Host as _, crypto::Host as _, encoding::Host as _, events::Host as _, http, http::Host as _, kv,
        log::Host as _, mail, random::Host as _, records, secrets::Host as _, tickets::Host as _, workflows,
    };

    fn store(call: Call) -> Store<State> {
        let mut config = wasmtime::Config::new();
        config.epoch_interruption(true);
        let held = MemoryBudget::new(u64::MAX).open(&call.space);
        State::store(&wasmtime::Engine::new(&config).unwrap(), Duration::from_secs(1), call, held)
    }

    fn with(access: Access) -> Call {
        Call::new(SpaceId::main(), Timestamp::from_millis(1_500), Arc::new(access))
    }

    fn request(headers: &[(&str, &str)]) -> http::Request {
        let headers = headers.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        http::Request {
            method: "GET".into(),
            url: "https://a.example".into(),
            headers,
            body: Vec::new(),
            timeout_ms: None,
        }
    }

    fn letter() -> mail::Letter {
        mail::Letter {
            to: Vec::new(),
            subject: String::new(),
            text: String::new(),
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
        }
    }

    #[tokio::test]
    async fn every_function_counts_as_a_call_of_the_host() {
        let mut store = store(with(Access::new("test", Limits { host_calls: 0, ..Limits::default() })));
        let state = store.data_mut();
        let text = String::new;
        let bytes = Vec::new;
        let refused = [
            state.write(text(), text(), Vec::new()).is_err(),
            state.now().is_err(),
            state.now_ms().is_err(),
            state.bytes(1).is_err(),
            state.uuid().is_err(),
            state.bits().is_err(),
            state.print(bytes()).is_err(),
            state.verify_token(text(), text()).is_err(),
            state.verify_ed25519(bytes(), bytes(), bytes()).is_err(),
            state.placeholder(text()).is_err(),
            kv::Host::get(state, text()).is_err(),
            kv::Host::set(state, text(), bytes(), None).is_err(),
            kv::Host::remove(state, text()).is_err(),
            kv::Host::keys(state, text(), 1).is_err(),
            records::Host::get(state, text(), text()).is_err(),
            records::Host::find(state, text(), text(), 1).is_err(),
            records::Host::create(state, text(), text()).is_err(),
            records::Host::update(state, text(), text(), text()).is_err(),
            records::Host::remove(state, text(), text()).is_err(),
            workflows::Host::start(state, text(), text()).is_err(),
            mail::Host::send(state, letter()).is_err(),
            crate::v0_1_0::config::Host::get(state, text()).is_err(),
            state.digest(text(), bytes()).is_err(),
            state.hmac(text(), text(), bytes()).is_err(),
            state.verify_hmac(text(), text(), bytes(), bytes()).is_err(),
            state.base64_encode(bytes()).is_err(),
            state.base64_decode(text()).is_err(),
            state.hex_encode(bytes()).is_err(),
            state.hex_decode(text()).is_err(),
            state.utf8_encode(text()).is_err(),
            state.utf8_decode(bytes()).is_err(),
            crate::v0_1_0::tickets::Host::get(state, text()).is_err(),
            state.update(text(), text()).is_err(),
            state.add_note(text(), text(), true).is_err(),
            state.emit(text(), None, text()).is_err(),
            state.send(request(&[])).await.is_err(),
        ];
        assert!(refused.iter().all(|refused| *refused), "{refused:?}");
    }

    #[tokio::test]
    async fn the_harmless_capabilities_behave_as_documented() {
        let config = Arc::new([("key".to_owned(), "value".to_owned())].into());
        let mut basics = with(Access { config, ..Access::new("test", Limits::default()) });
        basics.secrets = [("s".to_owned(), b"Jefe".to_vec())].into_iter().collect();
        let mut store = store(basics);
        let state = store.data_mut();
        assert!((state.now_ms().unwrap() - 1500.0).abs() < f64::EPSILON);
        assert_eq!(state.now().unwrap(), "1970-01-01T00:00:01.500Z");
        assert_eq!(state.bytes(32).unwrap().len(), 32);
        assert_ne!(state.bytes(32).unwrap(), state.bytes(32).unwrap());
        assert_eq!(state.uuid().unwrap().len(), 36);
        assert_eq!(crate::v0_1_0::config::Host::get(state, "key".into()).unwrap().as_deref(), Some("value"));
        assert_eq!(state.base64_encode(vec![0xff, 0]).unwrap(), "/wA=");
        for padded in ["/wA=", "/wA"] {
            assert_eq!(state.base64_decode(padded.into()).unwrap().unwrap(), [0xff, 0]);
        }
        assert_eq!(state.base64_decode("?".into()).unwrap().unwrap_err().code, "encoding.invalid");
        assert_eq!(state.hex_decode("00fF".into()).unwrap().unwrap(), [0, 255]);
        assert!(state.hex_decode("0".into()).unwrap().is_err());
        assert!(state.utf8_decode(vec![0xff]).unwrap().unwrap_err().message.contains("UTF-8"));
        let code = state.hmac("sha256".into(), "s".into(), b"x".to_vec()).unwrap().unwrap();
        let mut verify = |secret: &str, code: &[u8]| {
            let verified = state.verify_hmac("sha256".into(), secret.into(), b"x".to_vec(), code.to_vec()).unwrap();
            verified.err().map(|failure| failure.code)
        };
        assert_eq!(verify("s", &code), None);
        assert_eq!(verify("s", code.split_last().unwrap().1).as_deref(), Some("signature.wrong"));
        assert_eq!(verify("s", &[]).as_deref(), Some("signature.wrong"));
        assert_eq!(verify("t", &code).as_deref(), Some("secret.unknown"));
    }

    /// The inputs of a call that can differ each time.
    fn seen(state: &mut State) -> Vec<String> {
        vec![
            format!("{:?}", state.bytes(9).unwrap()),
            state.uuid().unwrap(),
            state.bits().unwrap().to_string(),
            format!("{:?}", crate::v0_1_0::config::Host::get(state, "key".into()).unwrap()),
            format!("{:?}", state.hmac("sha256".into(), "s".into(), b"x".to_vec()).unwrap().unwrap()),
            state.placeholder("s".into()).unwrap().unwrap(),
        ]
    }

    #[tokio::test]
    async fn a_replayed_call_sees_the_recorded_answers() {
        let access = || {
            let config = Arc::new([("key".to_owned(), "then".to_owned())].into());
            let secrets = [("s".to_owned(), b"Jefe".to_vec())].into_iter().collect();
            Access { config, secrets, ..Access::new("test", Limits::default()) }
        };
        let outbound: Arc<dyn Outbound> = Arc::<Keys>::default();
        let tape = Arc::new(Tape::recording(10_000));
        let call = Call { outbound: Some(outbound), tape: Some(Arc::clone(&tape)), ..with(access()) };
        let mut first = store(call);
        let then = seen(first.data_mut());
        assert_eq!(first.data_mut().send(request(&[("a", "b")])).await.unwrap().unwrap().status, 200);
        // Every input differs: no settings, no secrets, no outbound requests.
        let tape = Arc::new(Tape::playing(tape.entries().unwrap()));
        let call = Call { tape: Some(Arc::clone(&tape)), ..with(Access::new("test", Limits::default())) };
        let mut again = store(call);
        let state = again.data_mut();
        assert_eq!(seen(state), then);
        assert_eq!(state.send(request(&[("a", "b")])).await.unwrap().unwrap().status, 200);
        assert_eq!(tape.anew(), [""; 0]);
        // A request that was not recorded is reported, and is never sent.
        let other = state.send(request(&[("a", "c")])).await.unwrap().unwrap_err();
        assert_eq!(other.code, "replay.not_recorded");
        assert_eq!(state.hmac("sha256".into(), "s".into(), b"y".to_vec()).unwrap().unwrap_err().code, "secret.unknown");
        assert_eq!(tape.anew().len(), 2, "{:?}", tape.anew());
        assert_eq!(tape.requests().len(), 2);
    }

    #[derive(Default)]
    struct Keys(Mutex<Vec<String>>);

    #[async_trait]
    impl Outbound for Keys {
        async fn send(&self, _: &SpaceId, request: OutboundRequest) -> Result<OutboundResponse, Failure> {
            let keys = request.headers.into_iter().filter(|(name, _)| name.eq_ignore_ascii_case("idempotency-key"));
            self.0.lock().unwrap().extend(keys.map(|(_, value)| value));
            Ok(OutboundResponse { status: 200, headers: Vec::new(), body: Bytes::new() })
        }
    }

    #[tokio::test]
    async fn a_re_run_sends_only_what_no_try_has_sent_and_sees_the_same_randomness() {
        let (keys, tries) = (Arc::new(Keys::default()), Arc::new(Retained::default()));
        let call = || {
            let secrets = [("s".to_owned(), b"Jefe".to_vec())].into_iter().collect();
            let access = Access { secrets, ..Access::new("test", Limits::default()) };
            let outbound: Arc<dyn Outbound> = Arc::<Keys>::clone(&keys);
            let idempotency_key = Some("k".to_owned());
            Call { outbound: Some(outbound), idempotency_key, tries: Some(Arc::clone(&tries)), ..with(access) }
        };
        let mut first = store(call());
        let state = first.data_mut();
        let then = (state.uuid().unwrap(), state.bits().unwrap(), state.placeholder("s".into()).unwrap().unwrap());
        for headers in [&[("a", "1")][..], &[("a", "2")]] {
            assert_eq!(state.send(request(headers)).await.unwrap().unwrap().status, 200);
        }
        tries.again();
        let mut again = store(call());
        let state = again.data_mut();
        let now = (state.uuid().unwrap(), state.bits().unwrap(), state.placeholder("s".into()).unwrap().unwrap());
        assert_eq!(now, then);
        for headers in [&[("a", "1")][..], &[("a", "3")], &[("a", "2")]] {
            assert_eq!(state.send(request(headers)).await.unwrap().unwrap().status, 200);
        }
        assert_eq!(*keys.0.lock().unwrap(), ["k", "k-2", "k-3"], "no two requests have the same key");
        assert_eq!((state.budget.requests, state.budget.answered, tries.changed_requests()), (3, 2, 1));
    }

    #[tokio::test]
    async fn requests_are_counted_and_each_has_a_key_of_its_own() {
        let keys = Arc::new(Keys::default());
        let access = Access::new("test", Limits { requests: 3, ..Limits::default() });
        let outbound: Arc<dyn Outbound> = Arc::<Keys>::clone(&keys);
        let call = Call { outbound: Some(outbound), idempotency_key: Some("k".into()), ..with(access) };
        let mut store = store(call);
        let state = store.data_mut();
        for headers in [&[][..], &[("IDEMPOTENCY-KEY", "own")], &[]] {
            assert_eq!(state.send(request(headers)).await.unwrap().unwrap().status, 200);
        }
        assert_eq!(*keys.0.lock().unwrap(), ["k", "own", "k-3"]);
        assert_eq!(state.send(request(&[])).await.unwrap().unwrap_err().code, "http.too_many_requests");
    }
}
