//! The functions of a world as the JavaScript runtime checks them: each with the shapes of what it takes and answers.

use serde_json::{Map, Value, json};
use wit_bindgen_core::wit_parser::{Function, InterfaceId, Resolve, Type, TypeDefKind, WorldItem};

use crate::world::World;

/// One interface of a world.
pub(super) struct Interface {
    /// Its name in the package, such as `tickets`.
    pub(super) name: String,
    /// Its whole name, such as `hookwright:plugin/tickets@0.1.0`.
    pub(super) id: String,
    /// Its functions.
    pub(super) functions: Vec<Shaped>,
}

/// A function with the shapes of its types.
pub(super) struct Shaped {
    /// Its name as JavaScript has it.
    pub(super) name: String,
    /// Parameters: names with shapes.
    pub(super) parameters: Vec<(String, Value)>,
    /// What it answers, without the failure that it may end with.
    pub(super) answer: Value,
    /// Whether it may end with a failure.
    pub(super) fails: bool,
}

/// The interfaces that a world imports, or those that it exports.
pub(super) fn interfaces(world: &World, exported: bool) -> Vec<Interface> {
    let Some(found) = world.resolve.worlds.get(world.id) else { return Vec::new() };
    let items = if exported { &found.exports } else { &found.imports };
    let ids = items.values().filter_map(|item| match item {
        WorldItem::Interface { id, .. } => Some(*id),
        _ => None,
    });
    ids.filter_map(|id| interface(&world.resolve, id)).collect()
}

fn interface(resolve: &Resolve, id: InterfaceId) -> Option<Interface> {
    let found = resolve.interfaces.get(id)?;
    let functions = found.functions.values().map(|function| shaped(resolve, function)).collect();
    Some(Interface { name: found.name.clone()?, id: resolve.id_of(id)?, functions })
}

fn shaped(resolve: &Resolve, function: &Function) -> Shaped {
    let parameters = function.params.iter().map(|param| (camel(&param.name), shape(resolve, &param.ty))).collect();
    let (answer, fails) = match function.result.as_ref().map(|ty| (ty, kind(resolve, ty))) {
        Some((_, Some(TypeDefKind::Result(result)))) => (result.ok.as_ref(), true),
        Some((ty, _)) => (Some(ty), false),
        None => (None, false),
    };
    let answer = answer.map_or(Value::Null, |ty| shape(resolve, ty));
    Shaped { name: camel(&function.name), parameters, answer, fails }
}

/// What a named type stands for, through all its names.
fn kind<'r>(resolve: &'r Resolve, ty: &Type) -> Option<&'r TypeDefKind> {
    let Type::Id(id) = ty else { return None };
    match &resolve.types.get(*id)?.kind {
        TypeDefKind::Type(inner) => kind(resolve, inner).or(Some(&resolve.types.get(*id)?.kind)),
        found => Some(found),
    }
}

/// A type as the runtime reads it: a word, or a list of a word and what is inside.
fn shape(resolve: &Resolve, ty: &Type) -> Value {
    let inner = |ty: &Type| shape(resolve, ty);
    match ty {
        Type::String | Type::Char => "string".into(),
        Type::Bool => "bool".into(),
        Type::U8 => "u8".into(),
        Type::U16 => "u16".into(),
        Type::U32 => "u32".into(),
        Type::S32 => "s32".into(),
        Type::F32 | Type::F64 => "f64".into(),
        Type::Id(id) => match resolve.types.get(*id).map(|found| &found.kind) {
            Some(TypeDefKind::Type(named)) => inner(named),
            Some(TypeDefKind::Option(some)) => json!(["option", inner(some)]),
            Some(TypeDefKind::List(Type::U8)) => json!(["bytes"]),
            Some(TypeDefKind::List(item)) => json!(["list", inner(item)]),
            Some(TypeDefKind::Tuple(tuple)) => json!(["tuple", tuple.types.iter().map(inner).collect::<Vec<_>>()]),
            Some(TypeDefKind::Record(record)) => {
                let fields = record.fields.iter().map(|field| (camel(&field.name), inner(&field.ty)));
                json!(["record", fields.collect::<Map<_, _>>()])
            }
            Some(TypeDefKind::Variant(variant)) => {
                let cases = variant.cases.iter();
                let cases = cases.map(|case| (case.name.clone(), case.ty.as_ref().map_or(Value::Null, inner)));
                json!(["variant", cases.collect::<Map<_, _>>()])
            }
            _ => json!(["any"]),
        },
        _ => json!(["any"]),
    }
}

/// `event-type` as `eventType`.
pub(super) fn camel(name: &str) -> String {
    let mut result = String::with_capacity(name.len());
    let mut upper = false;
    for character in name.chars() {
        if character == '-' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            result.extend(character.to_uppercase());
        } else {
            result.push(character);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::{Kind, Language};
    use crate::settings::Settings;

    #[test]
    fn every_function_of_the_package_has_a_shape() {
        let folder = tempfile::tempdir().unwrap();
        for kind in Kind::ALL {
            let settings = Settings {
                name: "x".to_owned(),
                kind,
                language: Language::JavaScript,
                world: format!("{kind}-plugin"),
                entry: "src/plugin.js".to_owned(),
            };
            let world = crate::world::of(folder.path(), &settings).unwrap();
            let all: Vec<Interface> = [true, false].into_iter().flat_map(|side| interfaces(&world, side)).collect();
            assert!(all.iter().any(|interface| interface.name == kind.name()), "{kind}");
            for function in all.iter().flat_map(|interface| &interface.functions) {
                let text = json!([function.answer, function.parameters]).to_string();
                assert!(!text.contains("any"), "{kind} {}: {text}", function.name);
            }
        }
    }

    #[test]
    fn shapes_match_the_wit() {
        let folder = tempfile::tempdir().unwrap();
        let settings = Settings {
            name: "x".to_owned(),
            kind: Kind::Action,
            language: Language::JavaScript,
            world: "action-plugin".to_owned(),
            entry: "src/plugin.js".to_owned(),
        };
        let world = crate::world::of(folder.path(), &settings).unwrap();
        let exported = interfaces(&world, true);
        let action = exported.iter().find(|interface| interface.name == "action").unwrap();
        assert_eq!(action.id, "hookwright:plugin/action@0.1.0");
        let run = &action.functions[0];
        assert!(run.fails);
        assert_eq!(run.answer, json!(["variant", {"done": "string", "skipped": "string"}]));
        let imported = interfaces(&world, false);
        let kv = imported.iter().find(|interface| interface.name == "kv").unwrap();
        let set = kv.functions.iter().find(|function| function.name == "set").unwrap();
        let wanted = [("key", json!("string")), ("value", json!(["bytes"])), ("ttlSeconds", json!(["option", "u32"]))];
        assert_eq!(set.parameters, wanted.map(|(name, shape)| (name.to_owned(), shape)));
    }
}
