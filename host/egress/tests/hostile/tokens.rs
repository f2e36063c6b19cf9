//! OAuth 2.0 client credentials.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use hookwright_egress::{ClientAuth, EgressPolicy, TokenSettings};
use hookwright_receiver::{Receiver, Reply};

use crate::{egress, egress_with};

const SECRET: &str = "s3cret & so on";

fn settings(receiver: &Receiver) -> TokenSettings {
    TokenSettings {
        token_url: receiver.url("/token"),
        client_id: "the client".into(),
        client_secret: SECRET.into(),
        scope: Some("read write".into()),
        audience: None,
        auth: ClientAuth::Basic,
        transport: None,
    }
}

/// An endpoint that gives the tokens t1, t2, ... for so long.
fn endpoint(expires_in: &'static str) -> Receiver {
    let count = AtomicUsize::new(0);
    Receiver::serving(None, move |request| {
        let number = count.fetch_add(1, Ordering::SeqCst) + 1;
        let said = request.field("authorization").unwrap_or_default();
        let form = String::from_utf8_lossy(&request.body).into_owned();
        let body =
            format!(r#"{{"access_token":"t{number}","token_type":"bearer"{expires_in},"said":"{said} {form}"}}"#);
        Reply { after: Duration::from_millis(50), ..Reply::new(200, body) }
    })
}

#[tokio::test]
async fn client_credentials_are_sent_by_the_configured_method() {
    for (auth, expected) in [
        // The RFC has both parts form-encoded before they are joined.
        (
            ClientAuth::Basic,
            ("Basic dGhlK2NsaWVudDpzM2NyZXQrJTI2K3NvK29u", "grant_type=client_credentials&scope=read+write"),
        ),
        (
            ClientAuth::Body,
            (
                "",
                "grant_type=client_credentials&scope=read+write&audience=https%3A%2F%2Fapi.example&client_id=the+client\
                 &client_secret=s3cret+%26+so+on",
            ),
        ),
    ] {
        let seen = Arc::new(std::sync::Mutex::new(None));
        let keep = Arc::clone(&seen);
        let receiver = Receiver::serving(None, move |request| {
            let field = |name| request.field(name).unwrap_or_default().to_owned();
            let body = String::from_utf8(request.body.clone()).unwrap();
            *keep.lock().unwrap() = Some((request.method.clone(), field("authorization"), field("content-type"), body));
            Reply::new(200, r#"{"access_token":"abc","token_type":"Bearer","expires_in":3600}"#)
        });
        let audience = (auth == ClientAuth::Body).then(|| "https://api.example".to_owned());
        let egress = egress();
        let source = egress.token_source(&TokenSettings { auth, audience, ..settings(&receiver) }).unwrap();
        let token = source.token(&egress).await.unwrap();
        assert_eq!(token.header(), "Bearer abc");
        assert!(token.header().is_sensitive());
        let (method, authorization, content_type, body) = seen.lock().unwrap().take().unwrap();
        assert_eq!((method.as_str(), content_type.as_str()), ("POST", "application/x-www-form-urlencoded"));
        assert_eq!((authorization.as_str(), body.as_str()), expected);
    }
}

#[tokio::test]
async fn concurrent_requests_share_one_token_request() {
    let receiver = endpoint(r#","expires_in":3600"#);
    let egress = Arc::new(egress());
    let wanting = (0..50).map(|_| {
        let egress = Arc::clone(&egress);
        let settings = settings(&receiver);
        async move { egress.token_source(&settings).unwrap().token(&egress).await.unwrap() }
    });
    for token in futures_util::future::join_all(wanting).await {
        assert_eq!(token.header(), "Bearer t1");
    }
}

#[tokio::test]
async fn a_rejected_token_is_refetched_and_a_newer_one_is_kept() {
    let receiver = endpoint(r#","expires_in":3600"#);
    let egress = egress();
    let source = egress.token_source(&settings(&receiver)).unwrap();
    let first = source.token(&egress).await.unwrap();
    source.invalidate(&first);
    let second = source.token(&egress).await.unwrap();
    assert_eq!(second.header(), "Bearer t2");
    // A second request was refused with the old token, later than the new one came.
    source.invalidate(&first);
    assert_eq!(source.token(&egress).await.unwrap().header(), "Bearer t2");
}

#[tokio::test]
async fn a_token_is_used_until_shortly_before_it_expires() {
    for (expires_in, good_after, bad_after) in [
        // The time that the test itself takes counts as well.
        (r#","expires_in":3600"#, 3480, 3550),
        // A tenth, where a minute would be too much.
        (r#","expires_in":100"#, 60, 95),
        // The endpoint does not say.
        ("", 210, 280),
        // No longer than a day.
        (r#","expires_in":9000000"#, 86_300, 86_350),
    ] {
        let receiver = endpoint(expires_in);
        let egress = egress();
        let source = egress.token_source(&settings(&receiver)).unwrap();
        assert_eq!(source.token(&egress).await.unwrap().header(), "Bearer t1");
        pass(good_after).await;
        assert_eq!(source.token(&egress).await.unwrap().header(), "Bearer t1", "{expires_in} after {good_after} s");
        pass(bad_after - good_after).await;
        assert_eq!(source.token(&egress).await.unwrap().header(), "Bearer t2", "{expires_in} after {bad_after} s");
    }
}

/// Lets the tests' clock go on; nothing waits meanwhile.
async fn pass(seconds: u64) {
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(seconds)).await;
    tokio::time::resume();
}

#[tokio::test]
async fn errors_of_a_token_endpoint_are_quoted_without_the_secret() {
    let refused = r#"{"error":"invalid_client","error_description":"no client with s3cret & so on\nhere"}"#;
    let long = format!(r#"{{"error":"{}"}}"#, "x".repeat(10_000));
    for (status, body, code, part) in [
        (401, refused.to_owned(), "token.refused", "invalid_client: no client with *** here"),
        (400, long, "token.refused", "xxx"),
        (403, "<html>".to_owned(), "token.refused", "answered 403"),
        (503, String::new(), "token.failed", "answered 503"),
        (302, String::new(), "token.failed", "answered 302"),
        (200, "s3cret & so on".to_owned(), "token.failed", "without a JSON object"),
        (200, r#"{"access_token":"a"}"#.to_owned(), "token.failed", "token_type"),
        (200, r#"{"access_token":"a","token_type":"mac s3cret & so on"}"#.to_owned(), "token.failed", "`mac ***`"),
        (200, r#"{"access_token":"","token_type":"bearer"}"#.to_owned(), "token.failed", "0 bytes"),
        (200, r#"{"access_token":"a\nb","token_type":"bearer"}"#.to_owned(), "token.failed", "not valid in a header"),
        (200, format!("[{}", " ".repeat(100_000)), "token.failed", "more than"),
    ] {
        let receiver = Receiver::serving(None, move |_| Reply::new(status, body.clone()));
        let egress = egress();
        let failed = egress.token_source(&settings(&receiver)).unwrap().token(&egress).await.unwrap_err();
        let message = failed.to_string();
        assert_eq!(failed.code(), code, "{message}");
        assert!(message.contains(part), "{message}");
        assert!(!message.contains(SECRET) && message.len() < 1000, "{message}");
        assert!(failed.timing.first_byte.is_some());
    }
}

#[tokio::test]
async fn waiters_share_a_failed_token_request_and_the_next_request_retries() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&count);
    let receiver = Receiver::serving(None, move |_| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply { after: Duration::from_millis(100), ..Reply::new(503, "") }
    });
    let egress = egress();
    let source = egress.token_source(&settings(&receiver)).unwrap();
    let failed = futures_util::future::join_all((0..20).map(|_| source.token(&egress))).await;
    assert!(failed.iter().all(|token| token.is_err()));
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(source.token(&egress).await.is_err());
    assert_eq!(count.load(Ordering::SeqCst), 2);
}

#[tokio::test]
async fn the_token_endpoint_is_subject_to_the_egress_policy() {
    let receiver = endpoint("");
    let strict = hookwright_egress::Egress::new(EgressPolicy { allow_http: true, ..EgressPolicy::default() }).unwrap();
    let refused = strict.token_source(&settings(&receiver)).err().unwrap();
    assert_eq!(refused.code(), "address.refused");
    assert_eq!(receiver.connections(), 0);
    let open = egress_with(EgressPolicy::default());
    assert!(open.token_source(&settings(&receiver)).unwrap().token(&open).await.is_ok());
}
