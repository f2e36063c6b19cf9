//! Requests that were sent, put before the libraries that receivers verify them with.

use serde_json::{Map, Value, json};

use crate::programs::{Program, node, python};
use crate::receiver::Received;

/// The libraries of each scheme: for Node.js, for Python. `verify.mjs` and `verify.py` say one line of each.
const LIBRARIES: [(&str, &[&str], &[&str]); 8] = [
    ("standard", &["standardwebhooks", "svix"], &["standardwebhooks", "svix"]),
    ("standard-asymmetric", &["node:crypto"], &["cryptography"]),
    ("stripe", &["stripe"], &["stripe"]),
    ("github", &["@octokit/webhooks"], &[]),
    ("jwt", &["jose"], &["PyJWT"]),
    ("sns", &["sns-validator", "sns-payload-validator"], &["aws-sns-message-validator"]),
    ("http-message-signatures", &["http-message-signatures"], &["http-message-signatures"]),
    ("hmac", &["node:crypto"], &["hmac"]),
];

/// A request as its receiver has it, with the key that the receiver knows.
#[derive(Clone, Debug)]
pub struct Claim(Map<String, Value>);

impl Claim {
    /// A request to `url` under a signing policy, as `/v1/webhooks` has it.
    pub fn new(policy: &Value, url: &str, received: &Received) -> Self {
        let mut line = policy.as_object().expect("a policy is an object").clone();
        let headers: Map<String, Value> =
            received.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        line.insert("scheme".to_owned(), policy["kind"].clone());
        line.insert("method".to_owned(), received.method.as_str().into());
        line.insert("url".to_owned(), url.into());
        line.insert("headers".to_owned(), headers.into());
        line.insert("body".to_owned(), String::from_utf8(received.body.clone()).unwrap().into());
        Self(line)
    }

    /// The receiver knows this secret, or the public half of this key, as the API shows it.
    #[must_use]
    pub fn with_key(mut self, secret: &Value, key: &Value) -> Self {
        if !secret.is_null() {
            self.0.insert("secret".to_owned(), secret.clone());
        }
        if !key["public"].is_null() {
            self.0.insert("keys".to_owned(), json!({key["id"].as_str().unwrap(): key["public"]}));
        }
        self
    }

    /// The receiver looks at the signature of this label (RFC 9421 section 4.2).
    #[must_use]
    pub fn with_label(mut self, label: &str) -> Self {
        self.0.insert("label".to_owned(), label.into());
        self
    }

    /// The same with another body.
    #[must_use]
    pub fn with_body(mut self, change: impl FnOnce(&str) -> String) -> Self {
        let body = self.0["body"].as_str().unwrap();
        let changed = change(body);
        assert_ne!(changed, body, "the change changes nothing");
        self.0.insert("body".to_owned(), changed.into());
        self
    }
}

/// What a library said of a claim.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// Where it is from and what it is called: `npm jose`.
    pub library: String,
    /// Why it refuses; none if it accepts.
    pub error: Option<String>,
}

/// The libraries, loaded once.
pub struct Verifiers {
    node: Program,
    python: Program,
}

impl Verifiers {
    /// Starts Node.js and Python.
    pub fn start() -> Self {
        Self { node: Program::start(&mut node("verify.mjs")), python: Program::start(&mut python("verify.py")) }
    }

    /// What each library of the claim's scheme says.
    #[track_caller]
    pub fn ask(&mut self, claim: &Claim) -> Vec<Verdict> {
        let scheme = claim.0["scheme"].as_str().unwrap();
        let (_, for_node, for_python) = LIBRARIES.iter().find(|(name, ..)| *name == scheme).expect("a known scheme");
        // The library for Python knows the first version only.
        let knows = scheme != "sns" || claim.0["body"].as_str().unwrap().contains(r#""SignatureVersion":"1""#);
        let for_python: &[&str] = if knows { for_python } else { &[] };
        let line = Value::from(claim.0.clone()).to_string();
        let mut verdicts = Vec::new();
        for (origin, program, names) in [("npm", &mut self.node, *for_node), ("PyPI", &mut self.python, for_python)] {
            if names.is_empty() {
                continue;
            }
            program.tell(&line);
            for name in names {
                let said = program.line();
                assert_eq!(said["library"], *name, "{said}");
                let error = (said["verified"] != true).then(|| said["error"].to_string());
                verdicts.push(Verdict { library: format!("{origin} {name}"), error });
            }
        }
        verdicts
    }

    /// Panics unless every library accepts the claim.
    #[track_caller]
    pub fn accept(&mut self, claim: &Claim) {
        for Verdict { library, error } in self.ask(claim) {
            assert!(error.is_none(), "{library} refuses: {error:?}\n{claim:#?}");
        }
    }

    /// Panics unless every library refuses the claim.
    #[track_caller]
    pub fn refuse(&mut self, claim: &Claim) {
        for Verdict { library, error } in self.ask(claim) {
            assert!(error.is_some(), "{library} accepts what it must refuse\n{claim:#?}");
        }
    }
}
