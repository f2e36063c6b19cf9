//! Finding one value in JSON text without building the rest of it.
//!
//! A condition looks at one value of a payload that may be a megabyte, and is asked for every event. What is not on the
//! path is passed over, not kept.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Deserialize, DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The value at the end of the path, read as `T`: a [`Value`](serde_json::Value), or the text as it stands
/// ([`&RawValue`](serde_json::value::RawValue)). `None` where there is none, or where `json` is not JSON: then the
/// whole of
/// it has to be looked at to say why.
pub(crate) fn seek<'j, T: Deserialize<'j>>(json: &'j str, path: &[&str]) -> Option<T> {
    let mut deserializer = serde_json::Deserializer::from_str(json);
    let found = Seek::new(path).deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    found
}

struct Seek<'p, T> {
    path: &'p [&'p str],
    found: PhantomData<T>,
}

impl<'p, T> Seek<'p, T> {
    fn new(path: &'p [&'p str]) -> Self {
        Self { path, found: PhantomData }
    }
}

impl<'de, T: Deserialize<'de>> DeserializeSeed<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Option<T>, D::Error> {
        if self.path.is_empty() {
            return T::deserialize(deserializer).map(Some);
        }
        deserializer.deserialize_any(self)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for Seek<'_, T> {
    type Value = Option<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut found = None;
        let Some((name, rest)) = self.path.split_first() else { return Ok(None) };
        while let Some(is_it) = map.next_key_seed(IsName(name))? {
            if is_it {
                // Of a repeated name, the last counts, as it does where the whole is parsed.
                found = map.next_value_seed(Seek::new(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Option<T>, A::Error> {
        let mut found = None;
        let Some((name, rest)) = self.path.split_first() else { return Ok(None) };
        if let Ok(position) = name.parse::<usize>() {
            for _ in 0..position {
                if items.next_element::<IgnoredAny>()?.is_none() {
                    return Ok(None);
                }
            }
            found = items.next_element_seed(Seek::new(rest))?.flatten();
        }
        while items.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_i64<E: Error>(self, _: i64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_u64<E: Error>(self, _: u64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_str<E: Error>(self, _: &str) -> Result<Option<T>, E> {
        Ok(None)
    }

    fn visit_unit<E: Error>(self) -> Result<Option<T>, E> {
        Ok(None)
    }
}

/// Compares a member's name without keeping it.
struct IsName<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::value::RawValue;
    use serde_json::{Value, json};

    #[test]
    fn the_value_found_is_the_one_that_reading_it_all_would_find() {
        let text = r#"{"a": {"b": [10, {"c": "x\u0041"}, null]}, "n": null, "twice": 1, "twice": {"k": 2}, "s": "t"}"#;
        let whole: Value = serde_json::from_str(text).unwrap();
        for (path, value) in [
            (vec!["a", "b", "0"], Some(json!(10))),
            (vec!["a", "b", "1", "c"], Some(json!("xA"))),
            (vec!["a", "b", "2"], Some(json!(null))),
            (vec!["n"], Some(json!(null))),
            (vec!["twice", "k"], Some(json!(2))),
            (vec!["a"], Some(whole["a"].clone())),
            (vec![], Some(whole.clone())),
            (vec!["a", "b", "3"], None),
            (vec!["a", "b", "x"], None),
            (vec!["a", "x"], None),
            (vec!["s", "t"], None),
            (vec!["n", "x"], None),
        ] {
            assert_eq!(seek(text, &path), value, "{path:?}");
            let raw = seek::<&RawValue>(text, &path);
            assert_eq!(raw.map(|raw| serde_json::from_str(raw.get()).unwrap()), value, "{path:?}");
        }
        // Unchanged: no digit is lost.
        let long = r#"{"n": 0.10000000000000000000000000000000001}"#;
        assert_eq!(seek::<&RawValue>(long, &["n"]).map(RawValue::get), Some("0.10000000000000000000000000000000001"));
    }

    #[test]
    fn nothing_is_found_in_what_is_not_json() {
        for text in ["", "{", r#"{"a": 1} x"#, r#"{"a": 1, "b": }"#, r#"{"a": 1, "a": {"x" 1}}"#] {
            assert_eq!(seek::<Value>(text, &["a"]), None, "{text}");
        }
    }
}
