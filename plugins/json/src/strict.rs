//! An object is read from an object. Left to itself, serde reads one from a list too, member by member in the order in
//! which the program happens to declare them: `["jira", "x.closed", {}]` would be an event.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, EnumAccess, Error, MapAccess, SeqAccess, VariantAccess, Visitor};

/// Reads as the deserializer within does, but takes no list where an object is declared, at whatever depth.
pub struct Strict<D>(pub D);

macro_rules! forwarded {
    ($($name:ident)*) => {$(
        fn $name<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
            self.0.$name(Wrapped(visitor))
        }
    )*};
}

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strict<D> {
    type Error = D::Error;

    forwarded! {
        deserialize_any deserialize_bool
        deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_i128
        deserialize_u8 deserialize_u16 deserialize_u32 deserialize_u64 deserialize_u128
        deserialize_f32 deserialize_f64 deserialize_char deserialize_str deserialize_string
        deserialize_bytes deserialize_byte_buf deserialize_option deserialize_unit deserialize_seq deserialize_map
        deserialize_identifier deserialize_ignored_any
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        _: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_map(Wrapped(visitor))
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_unit_struct(name, Wrapped(visitor))
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, name: &'static str, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_newtype_struct(name, Wrapped(visitor))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple(len, Wrapped(visitor))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_tuple_struct(name, len, Wrapped(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_enum(name, variants, Wrapped(visitor)).map_err(|error| one_of(variants, error))
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }
}

/// The JSON library reports a value that is neither a string nor an object, where one of several is chosen, as a syntax error
/// that names no choice.
fn one_of<E: Error>(variants: &[&str], error: E) -> E {
    if !error.to_string().starts_with("expected value") {
        return error;
    }
    let known: Vec<String> = variants.iter().map(|variant| format!("`{variant}`")).collect();
    E::custom(format!("{MISCHOSEN}expected one of {}", known.join(", ")))
}

/// What a message begins with that does not say yet which value was found where one of several texts is expected.
pub const MISCHOSEN: &str = "invalid type, ";

/// What passes the strictness on to the parts: a visitor, a seed, or what gives access to parts.
struct Wrapped<T>(T);

macro_rules! visited {
    ($($name:ident($kind:ty))*) => {$(
        fn $name<E: Error>(self, value: $kind) -> Result<V::Value, E> {
            self.0.$name(value)
        }
    )*};
}

impl<'de, V: Visitor<'de>> Visitor<'de> for Wrapped<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    visited! {
        visit_bool(bool) visit_i8(i8) visit_i16(i16) visit_i32(i32) visit_i64(i64) visit_i128(i128)
        visit_u8(u8) visit_u16(u16) visit_u32(u32) visit_u64(u64) visit_u128(u128) visit_f32(f32) visit_f64(f64)
        visit_char(char) visit_str(&str) visit_borrowed_str(&'de str) visit_string(String)
        visit_bytes(&[u8]) visit_borrowed_bytes(&'de [u8]) visit_byte_buf(Vec<u8>)
    }

    fn visit_none<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_none()
    }

    fn visit_unit<E: Error>(self) -> Result<V::Value, E> {
        self.0.visit_unit()
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_some(Strict(deserializer))
    }

    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        self.0.visit_newtype_struct(Strict(deserializer))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, items: A) -> Result<V::Value, A::Error> {
        self.0.visit_seq(Wrapped(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, members: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(Wrapped(members))
    }

    fn visit_enum<A: EnumAccess<'de>>(self, variant: A) -> Result<V::Value, A::Error> {
        self.0.visit_enum(Wrapped(variant))
    }
}

impl<'de, S: DeserializeSeed<'de>> DeserializeSeed<'de> for Wrapped<S> {
    type Value = S::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<S::Value, D::Error> {
        self.0.deserialize(Strict(deserializer))
    }
}

impl<'de, A: SeqAccess<'de>> SeqAccess<'de> for Wrapped<A> {
    type Error = A::Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_element_seed(Wrapped(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: MapAccess<'de>> MapAccess<'de> for Wrapped<A> {
    type Error = A::Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, A::Error> {
        self.0.next_key_seed(Wrapped(seed))
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, A::Error> {
        self.0.next_value_seed(Wrapped(seed))
    }

    fn size_hint(&self) -> Option<usize> {
        self.0.size_hint()
    }
}

impl<'de, A: EnumAccess<'de>> EnumAccess<'de> for Wrapped<A> {
    type Error = A::Error;
    type Variant = Wrapped<A::Variant>;

    fn variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<(S::Value, Self::Variant), A::Error> {
        self.0.variant_seed(Wrapped(seed)).map(|(value, variant)| (value, Wrapped(variant)))
    }
}

impl<'de, A: VariantAccess<'de>> VariantAccess<'de> for Wrapped<A> {
    type Error = A::Error;

    fn unit_variant(self) -> Result<(), A::Error> {
        self.0.unit_variant()
    }

    fn newtype_variant_seed<S: DeserializeSeed<'de>>(self, seed: S) -> Result<S::Value, A::Error> {
        self.0.newtype_variant_seed(Wrapped(seed))
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, A::Error> {
        self.0.tuple_variant(len, Wrapped(visitor))
    }

    fn struct_variant<V: Visitor<'de>>(self, _: &'static [&'static str], visitor: V) -> Result<V::Value, A::Error> {
        self.0.newtype_variant_seed(Members(visitor))
    }
}

/// Reads the members of a variant from an object.
struct Members<V>(V);

impl<'de, V: Visitor<'de>> DeserializeSeed<'de> for Members<V> {
    type Value = V::Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<V::Value, D::Error> {
        deserializer.deserialize_map(Wrapped(self.0))
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;
    use serde_json::value::RawValue;

    use super::*;

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Outer<'a> {
        name: String,
        inner: Option<Inner>,
        #[serde(default)]
        list: Vec<Inner>,
        #[serde(default)]
        either: Option<Either>,
        #[serde(borrow)]
        raw: Option<&'a RawValue>,
        any: Option<serde_json::Value>,
        pair: Option<(u8, u8)>,
    }

    #[derive(Debug, Deserialize)]
    #[allow(dead_code)]
    struct Inner {
        n: u8,
    }

    #[derive(Debug, Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[allow(dead_code)]
    enum Either {
        Plain,
        One(Inner),
        Two { n: u8 },
    }

    fn read(text: &str) -> Result<String, String> {
        let mut reader = serde_json::Deserializer::from_str(text);
        let read = Outer::deserialize(Strict(&mut reader)).map_err(|error| error.to_string())?;
        Ok(format!("{} {:?} {:?}", read.name, read.raw.map(RawValue::get), read.any))
    }

    #[test]
    fn no_list_is_read_as_an_object() {
        for text in [
            r#"["a", null, [], null, null, null, null]"#,
            r#"{"name": "a", "inner": [1]}"#,
            r#"{"name": "a", "list": [[1]]}"#,
            r#"{"name": "a", "either": {"one": [1]}}"#,
            r#"{"name": "a", "either": {"two": [1]}}"#,
        ] {
            let said = read(text).unwrap_err();
            assert!(said.contains("invalid type: sequence"), "{text}: {said}");
        }
    }

    #[test]
    fn a_value_that_is_none_of_the_choices_is_refused_with_the_choices() {
        for value in ["5", "true", "[]"] {
            let error = read(&format!(r#"{{"name": "a", "either": {value}}}"#)).unwrap_err();
            assert!(error.starts_with("invalid type, expected one of `plain`, `one`, `two`"), "{value}: {error}");
        }
        let error = read(r#"{"name": "a", "either": "neither"}"#).unwrap_err();
        assert!(error.starts_with("unknown variant `neither`"), "{error}");
    }

    #[test]
    fn everything_else_is_read_as_before() {
        for text in [
            r#"{"name": "a"}"#,
            r#"{"name": "a", "inner": {"n": 1}, "list": [{"n": 2}], "pair": [1, 2]}"#,
            r#"{"name": "a", "either": "plain"}"#,
            r#"{"name": "a", "either": {"one": {"n": 1}}}"#,
            r#"{"name": "a", "either": {"two": {"n": 1}}}"#,
        ] {
            assert!(read(text).is_ok(), "{text}: {:?}", read(text));
        }
        let kept = read(r#"{"name": "a", "raw": [1.10, {"x": 1E3}], "any": 1.10}"#).unwrap();
        assert!(kept.contains(r#"[1.10, {\"x\": 1E3}]"#) && kept.contains("1.10"), "{kept}");
    }
}
