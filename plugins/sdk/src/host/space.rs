//! The mock of a space: its secrets, its records, its events, mails and workflows, and the plugin's key-value store.
//!
//! Changes are buffered by the host and commit with the step, or not at all.

use super::{platform, read, write};

/// Secrets of the space that the operator granted to this plugin. Only their names are known here.
pub mod secrets {
    use super::platform;
    use crate::Failure;

    /// Text to put where the secret belongs, in the URL, the headers or the body of a request. The host puts the value
    /// in its place when the request goes to a host that the secret was granted for, and refuses the request otherwise.
    ///
    /// # Errors
    /// The secret does not exist, or was not granted to this plugin (`secret.unknown`).
    pub fn placeholder(name: &str) -> Result<String, Failure> {
        platform::secrets::placeholder(name)
    }
}

/// A small store of the plugin's own in each space. Changes commit with the step; reads see the call's own.
pub mod kv {
    use super::platform;
    use crate::Failure;

    /// The value under `key`, if there is one that has not run out.
    ///
    /// # Errors
    /// The host's message.
    pub fn get(key: &str) -> Result<Option<Vec<u8>>, Failure> {
        platform::kv::get(key)
    }

    /// The value under `key` as text. `None` if it is not UTF-8.
    ///
    /// # Errors
    /// The host's message.
    pub fn get_text(key: &str) -> Result<Option<String>, Failure> {
        Ok(get(key)?.and_then(|value| String::from_utf8(value).ok()))
    }

    /// Puts a value under `key` (at most 512 bytes). It runs out after `ttl_seconds`; with none it stays until it is
    /// replaced or removed.
    ///
    /// # Errors
    /// The host refuses the key or the value.
    pub fn set(key: &str, value: impl AsRef<[u8]>, ttl_seconds: Option<u32>) -> Result<(), Failure> {
        platform::kv::set(key, value.as_ref(), ttl_seconds)
    }

    /// Removes the key, if it exists.
    ///
    /// # Errors
    /// The host's message.
    pub fn remove(key: &str) -> Result<(), Failure> {
        platform::kv::remove(key)
    }

    /// The keys that begin with `prefix`, in the order of their bytes: at most `limit`, and at most 1,000.
    ///
    /// # Errors
    /// The host's message.
    pub fn keys(prefix: &str, limit: u32) -> Result<Vec<String>, Failure> {
        platform::kv::keys(prefix, limit)
    }
}

/// Records of the event's own space, tickets among them. Changes are buffered and commit with the step.
pub mod records {
    use serde::Serialize;
    use serde_json::Value;

    use super::{platform, read, write};
    use crate::Failure;

    /// The record as this call would leave it, if there is one.
    ///
    /// # Errors
    /// The host does not know the kind, or cannot read the record.
    pub fn get(kind: &str, id: impl AsRef<str>) -> Result<Option<Value>, Failure> {
        platform::records::get(kind, id.as_ref())?.map(|json| read("a record", &json)).transpose()
    }

    /// The records whose fields equal those of `filter`, an object; the newest first, at most `limit` and at most 100.
    ///
    /// # Errors
    /// The host does not know the kind, or `filter` is not an object.
    pub fn find(kind: &str, filter: &impl Serialize, limit: u32) -> Result<Vec<Value>, Failure> {
        let found = platform::records::find(kind, &write("a filter of records", filter)?, limit)?;
        found.iter().map(|json| read("a record", json)).collect()
    }

    /// Creates a record. Returns its id.
    ///
    /// # Errors
    /// The host does not know the kind, or refuses a field or its value.
    pub fn create(kind: &str, fields: &impl Serialize) -> Result<String, Failure> {
        platform::records::create(kind, &write("the fields of a record", fields)?)
    }

    /// Sets the fields of `changes`, removes those that are null, and returns the record in its new state.
    ///
    /// # Errors
    /// The record does not exist (`record.not_found`), or the host refuses a field or its value.
    pub fn update(kind: &str, id: impl AsRef<str>, changes: &impl Serialize) -> Result<Value, Failure> {
        read("a record", &update_json(kind, id, changes)?)
    }

    /// The same, with the record as the JSON text that the host gave.
    ///
    /// # Errors
    /// As for [`update`].
    pub fn update_json(kind: &str, id: impl AsRef<str>, changes: &impl Serialize) -> Result<String, Failure> {
        platform::records::update(kind, id.as_ref(), &write("the changes to a record", changes)?)
    }

    /// Removes the record.
    ///
    /// # Errors
    /// The record does not exist (`record.not_found`).
    pub fn remove(kind: &str, id: impl AsRef<str>) -> Result<(), Failure> {
        platform::records::remove(kind, id.as_ref())
    }
}

/// Tickets of the event's own space. Changes are buffered and commit with the step.
pub mod tickets {
    use serde::Serialize;
    use serde_json::Value;

    use super::{platform, read, write};
    use crate::Failure;

    /// The ticket as this call would leave it, if there is one.
    ///
    /// # Errors
    /// The host's message.
    pub fn get(id: impl AsRef<str>) -> Result<Option<Value>, Failure> {
        platform::tickets::get(id.as_ref())?.map(|json| read("a ticket", &json)).transpose()
    }

    /// Changes the named fields. Returns the ticket in its new state.
    ///
    /// # Errors
    /// The ticket does not exist (`ticket.not_found`), or the host refuses a field or its value.
    pub fn update(id: impl AsRef<str>, changes: &impl Serialize) -> Result<Value, Failure> {
        read("a ticket", &update_json(id, changes)?)
    }

    /// The same, with the ticket as the JSON text that the host gave.
    ///
    /// # Errors
    /// As for [`update`].
    pub fn update_json(id: impl AsRef<str>, changes: &impl Serialize) -> Result<String, Failure> {
        platform::tickets::update(id.as_ref(), &write("the changes to a ticket", changes)?)
    }

    /// Adds a note. Returns its id.
    ///
    /// # Errors
    /// The ticket does not exist (`ticket.not_found`), or the host refuses the text.
    pub fn add_note(id: impl AsRef<str>, text: &str, is_public: bool) -> Result<String, Failure> {
        platform::tickets::add_note(id.as_ref(), text, is_public)
    }
}

/// New events, accepted when the step commits.
pub mod events {
    use serde::Serialize;

    use super::{platform, write};
    use crate::Failure;

    /// Emits an event. Returns its id.
    ///
    /// # Errors
    /// The host refuses the type or the data.
    pub fn emit(event_type: &str, subject: Option<&str>, data: &impl Serialize) -> Result<String, Failure> {
        platform::events::emit(event_type, subject, &write("the data of an event", data)?)
    }
}

/// Mails, queued when the step commits.
pub mod mail {
    pub use crate::bindings::imports::hookwright::plugin::mail::{Attachment, Letter};

    use super::platform;
    use crate::Failure;

    /// Sends a mail. Returns its id.
    ///
    /// # Errors
    /// The host has no mail server, or refuses an address or a header.
    pub fn send(letter: &Letter) -> Result<String, Failure> {
        platform::mail::send(letter)
    }
}

/// Workflows of the event's own space.
pub mod workflows {
    use serde::Serialize;

    use super::{platform, write};
    use crate::Failure;

    /// Starts the named workflow when the step commits. Returns the id of its run.
    ///
    /// # Errors
    /// The workflow does not exist, or refuses the input.
    pub fn start(name: &str, input: &impl Serialize) -> Result<String, Failure> {
        platform::workflows::start(name, &write("the input of a workflow", input)?)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{kv, mail, records, secrets, tickets, workflows};
    use crate::testing::{self, Host, Started};
    use crate::{crypto, encoding, random};

    #[test]
    fn a_record_is_created_found_changed_and_removed() {
        Host::default().with_record("lead", "7", json!({"name": "Ada", "stage": "new"})).install();
        assert_eq!(records::create("lead", &json!({"name": "Bob", "stage": "new"})).unwrap(), "8");
        assert_eq!(records::create("deal", &json!({})).unwrap(), "1");
        let names = |filter, limit| {
            let found = records::find("lead", &filter, limit).unwrap();
            found.iter().map(|lead| lead["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(json!({"stage": "new"}), 10), ["Bob", "Ada"]);
        assert_eq!(names(json!({}), 1), ["Bob"]);
        assert!(names(json!({"stage": "won"}), 10).is_empty());
        let changed = records::update("lead", "7", &json!({"stage": null, "name": "Ada L."})).unwrap();
        assert_eq!(changed, json!({"id": "7", "name": "Ada L."}));
        assert_eq!(records::get("lead", "7").unwrap(), Some(changed));
        records::remove("lead", "7").unwrap();
        assert_eq!(records::get("lead", "7").unwrap(), None);
        for failure in [
            records::remove("lead", "7").unwrap_err(),
            records::update("lead", "7", &json!({})).unwrap_err(),
            records::update("deal", "8", &json!({})).unwrap_err(),
        ] {
            assert_eq!(failure.code, "record.not_found");
        }
        assert_eq!(records::create("lead", &json!([])).unwrap_err().code, "parameters.invalid");
    }

    #[test]
    fn tickets_are_records_of_their_kind() {
        Host::default().with_ticket("3", json!({"status": "open"})).install();
        tickets::update("3", &json!({"status": "closed"})).unwrap();
        assert_eq!(records::get("ticket", "3").unwrap().unwrap()["status"], "closed");
    }

    #[test]
    fn a_stored_value_expires() {
        Host::default().with_now(1000.0, "1970-01-01T00:00:01Z").install();
        kv::set("b", "text", Some(2)).unwrap();
        kv::set("a", [0xff], None).unwrap();
        kv::set("c", "", None).unwrap();
        assert_eq!(kv::get_text("b").unwrap().as_deref(), Some("text"));
        assert_eq!((kv::get("a").unwrap(), kv::get_text("a").unwrap()), (Some(vec![0xff]), None));
        assert_eq!(kv::keys("", 2).unwrap(), ["a", "b"]);
        testing::with(|host| host.now_ms = 3000.0);
        assert_eq!((kv::get("b").unwrap(), kv::keys("", 10).unwrap()), (None, vec!["a".to_owned(), "c".to_owned()]));
        kv::remove("a").unwrap();
        kv::remove("a").unwrap();
        assert_eq!(kv::keys("a", 10).unwrap(), Vec::<String>::new());
        for key in [String::new(), "k".repeat(513)] {
            assert_eq!(kv::set(&key, "x", None).unwrap_err().code, "kv.key_invalid");
        }
    }

    #[test]
    fn mails_and_workflows_are_noted() {
        Host::default().install();
        let letter = mail::Letter {
            to: vec!["ada@example.com".into()],
            subject: "Hello".into(),
            text: "Hi".into(),
            html: None,
            headers: Vec::new(),
            attachments: Vec::new(),
        };
        assert_eq!(mail::send(&letter).unwrap(), "mail_1");
        assert_eq!(testing::mails()[0].subject, "Hello");
        workflows::start("onboard", &json!({"lead": 7})).unwrap();
        assert_eq!(testing::started(), [Started { name: "onboard".into(), input: json!({"lead": 7}) }]);
    }

    #[test]
    fn a_secret_is_compared_and_named_but_never_seen() {
        Host::default().with_secret("token", b"s3cret").install();
        assert_eq!(crypto::checked(crypto::verify_token("token", "s3cret")), Ok(true));
        assert_eq!(crypto::checked(crypto::verify_token("token", "s3cre")), Ok(false));
        assert_eq!(crypto::checked(crypto::verify_token("other", "x")).unwrap_err().code, "secret.unknown");
        assert!(!secrets::placeholder("token").unwrap().contains("s3cret"));
        assert_eq!(secrets::placeholder("other").unwrap_err().code, "secret.unknown");
    }

    /// RFC 8032, section 7.1, test 2.
    #[test]
    fn a_signature_is_checked_according_to_the_standard() {
        let bytes = |hex: &str| encoding::hex_decode(hex).unwrap();
        let key = bytes("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
        let signature = bytes(concat!(
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da",
            "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
        ));
        let checked = |data: &[u8], signature: &[u8]| crypto::checked(crypto::verify_ed25519(&key, data, signature));
        assert_eq!(checked(&[0x72], &signature), Ok(true));
        assert_eq!(checked(&[0x73], &signature), Ok(false));
        assert_eq!(checked(&[0x72], &signature[1..]), Ok(false));
        assert_eq!(crypto::verify_ed25519(&key[1..], b"", &signature).unwrap_err().code, "key.unusable");
        Host::default().install();
        assert_ne!(random::bits(), random::bits());
    }
}
