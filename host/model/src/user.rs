//! The user that an API key stands for.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::{Mistakes, breaks_line, check_display_name, check_line};

/// Maximum number of characters of a user's id that is a string.
const MAX_ID: usize = 128;
/// The largest number that an id may be: the largest that every JSON reader takes exactly (RFC 7493).
const MAX_NUMBER: u64 = 9_007_199_254_740_991;
/// Maximum length of an email address in bytes (RFC 5321, section 4.5.3.1.3, without the angle brackets).
const MAX_EMAIL: usize = 254;

/// The user that an API key stands for: the author of the changes made with the key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct User {
    /// The id in the system that the user belongs to.
    pub id: UserId,
    /// The name, 1 to 256 characters.
    pub name: String,
    /// The email address, at most 254 bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub email: Option<String>,
}

/// The id of a user, in the form in which it was given.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum UserId {
    /// 1 to 9007199254740991, as in Uspacy and Xurrent.
    Number(u64),
    /// 1 to 128 characters.
    Text(String),
}

impl<'de> Deserialize<'de> for UserId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // Parsed through a `Value`: numbers that keep their digits do not reach an enum's visitor as numbers.
        match Value::deserialize(deserializer)? {
            Value::String(text) => Ok(Self::Text(text)),
            Value::Number(number) => number.as_u64().map(Self::Number).ok_or_else(|| {
                let shown = crate::abridged(&number.to_string());
                D::Error::custom(format!("`{shown}` is not a user id: give a string, or a whole number from 1"))
            }),
            other => {
                let shown = crate::abridged(&other.to_string());
                Err(D::Error::custom(format!("`{shown}` is not a user id: give a string, or a whole number from 1")))
            }
        }
    }
}

impl std::fmt::Display for UserId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(text),
        }
    }
}

impl User {
    /// Validates the bounds of every field. The paths of the errors begin with `user`.
    ///
    /// # Errors
    /// All validation errors.
    pub fn check(&self) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        let [id, name, email] = ["id", "name", "email"].map(|field| format!("user.{field}"));
        match &self.id {
            UserId::Number(number) if (1..=MAX_NUMBER).contains(number) => {}
            UserId::Number(number) => {
                mistakes.add(id, format!("is {number}: give a whole number from 1 to {MAX_NUMBER}, or a string"));
            }
            UserId::Text(text) => check_line(&id, text, MAX_ID, &mut mistakes),
        }
        check_display_name(&name, &self.name, &mut mistakes);
        if let Some(address) = self.email.as_deref().filter(|address| !is_email(address)) {
            let shown = crate::abridged(address);
            let message = format!(
                "`{shown}` ({} bytes) is not an email address: write a@example.com, at most {MAX_EMAIL} bytes without \
                 blanks, or leave it out",
                address.len()
            );
            mistakes.add(email, message);
        }
        mistakes.check()
    }
}

fn is_email(text: &str) -> bool {
    let fits = text.len() <= MAX_EMAIL && !text.chars().any(|letter| breaks_line(letter) || letter.is_whitespace());
    fits && text.rsplit_once('@').is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::parse_json;

    fn read(user: &Value) -> Result<User, String> {
        let user: User = parse_json(user.to_string().as_bytes()).map_err(|mistake| mistake.to_string())?;
        user.check().map_err(|mistakes| mistakes.to_string())?;
        Ok(user)
    }

    #[test]
    fn an_id_is_a_string_or_an_integer_and_keeps_its_form() {
        for id in [json!(1), json!(9_007_199_254_740_991_u64), json!("usr_1"), json!("390"), json!("ü".repeat(128))] {
            let given = json!({"id": id, "name": "Ada"});
            let user = read(&given).unwrap();
            assert_eq!(json!(user), given);
            assert_eq!(serde_json::from_value::<User>(given).unwrap(), user, "as it is stored");
        }
    }

    #[test]
    fn a_mistake_names_the_field() {
        for (user, part) in [
            (json!({"id": 0, "name": "A"}), "user.id: is 0"),
            (json!({"id": 9_007_199_254_740_992_u64, "name": "A"}), "user.id: is 9007199254740992"),
            (json!({"id": -1, "name": "A"}), "id: `-1` is not a user id"),
            (json!({"id": 1.5, "name": "A"}), "id: `1.5` is not a user id"),
            (json!({"id": null, "name": "A"}), "id: `null` is not a user id"),
            (json!({"id": {"id": 1}, "name": "A"}), "is not a user id"),
            (json!({"id": "", "name": "A"}), "user.id: is blank"),
            (json!({"id": "x".repeat(129), "name": "A"}), "user.id: has 129 characters"),
            (json!({"id": "a\nb", "name": "A"}), "user.id: has the control character U+000A at character 2"),
            (json!({"id": 1, "name": " "}), "user.name: is blank"),
            (json!({"id": 1, "name": "A\r\nX: y"}), "user.name: has the control character U+000D at character 2"),
            (json!({"id": 1, "name": "A\u{202e}B"}), "user.name: has the control character U+202E at character 2"),
            (json!({"id": "a\u{2028}b", "name": "A"}), "user.id: has the control character U+2028 at character 2"),
            (json!({"id": 1, "name": "n".repeat(1 << 20)}), "user.name: has 1048576 characters"),
            (json!({"id": 1, "name": "A", "email": "a"}), "user.email: `a` (1 bytes) is not an email address"),
            (json!({"id": 1, "name": "A", "email": "a@b\r\nBcc: c@d"}), "user.email"),
            (json!({"id": 1, "name": "A", "email": "@b"}), "user.email"),
            (json!({"id": 1, "name": "A", "email": format!("{}@b", "a".repeat(253))}), "(255 bytes)"),
            (json!({"id": 1, "name": "A", "phone": "1"}), "unknown field `phone`"),
            (json!({"id": 1}), "name"),
        ] {
            let refused = read(&user).unwrap_err();
            assert!(refused.contains(part) && refused.len() < 400, "{part}: {refused}");
        }
        let twice = read(&json!({"id": "", "name": "", "email": ""})).unwrap_err();
        assert_eq!(twice.matches("user.").count(), 3, "all at once: {twice}");
    }
}
