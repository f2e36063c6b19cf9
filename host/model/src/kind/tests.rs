use serde_json::json;

use super::*;
use crate::EventType;

fn now() -> Timestamp {
    Timestamp::from_millis(1_732_627_155_000)
}

fn declare(value: Value) -> Result<RecordKind, Mistakes> {
    RecordKind::declare("order", serde_json::from_value(value).unwrap(), None, now())
}

fn order() -> RecordKind {
    declare(json!({
        "noun": "an order",
        "fields": {
            "number": {"type": "string", "required": true},
            "state": {"type": "string", "default": "new", "indexed": true},
            "step": {"type": "string", "nullable": true},
            "customer": {"type": "reference", "kind": "contact", "indexed": true, "nullable": true},
            "address": {"type": "object"},
        },
        "stage": "step", "status": "state", "closed": ["Cancelled"], "completed": ["paid"],
        "verbs": ["created", "updated", "deleted", "moved", "status-changed", "closed", "completed"],
    }))
    .unwrap()
}

fn fields(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

#[test]
fn a_record_is_made_by_the_rules_of_its_kind() {
    let record = order().make(7, fields(json!({"customer": {"id": 3}, "number": "A1", "step": null})), now()).unwrap();
    assert_eq!(
        record.to_string(),
        json!({"id": 7, "number": "A1", "state": "new", "step": null, "customer": {"id": 3},
            "created_at": "2024-11-26T13:19:15.000Z", "updated_at": "2024-11-26T13:19:15.000Z"})
        .to_string()
    );
    assert_eq!(order().index_of(&record), [("state".into(), "snew".into()), ("customer".into(), "n3".into())]);
    let lead = builtin_kind("lead").unwrap().make(1, fields(json!({"title": "L"})), now()).unwrap();
    assert_eq!(lead["created_at"], 1_732_627_155, "in the form of the field");
    for (given, paths) in [
        (json!({}), vec!["number"]),
        (json!({"number": 1, "colour": "red"}), vec!["number", "colour"]),
        (json!({"number": "x", "id": 5, "updated_at": "x"}), vec!["id", "updated_at"]),
        (json!({"number": "x", "customer": {"name": "no id"}}), vec!["customer"]),
    ] {
        let mistakes = order().make(1, fields(given), now()).unwrap_err();
        let mut found: Vec<&str> = mistakes.0.iter().map(|mistake| mistake.path.as_str()).collect();
        found.dedup();
        for path in paths {
            assert!(found.contains(&path), "{mistakes}");
        }
    }
}

#[test]
fn changes_are_put_on_a_record_as_a_merge_patch_or_field_by_field() {
    let record = json!({"id": 1, "number": "A", "state": "new", "address": {"city": "Ulm", "zip": "1"}, "step": "a"});
    let changed = |changes: Value, merge: Merge| order().change(&record, fields(changes), merge, now());
    let patch = json!({"address": {"zip": null, "street": "X"}, "step": null});
    let after = changed(patch.clone(), Merge::Patch).unwrap().unwrap();
    assert_eq!(after["address"], json!({"city": "Ulm", "street": "X"}));
    assert_eq!((after.get("step"), after["updated_at"].is_string()), (None, true));
    let after = changed(patch, Merge::Fields).unwrap().unwrap();
    assert_eq!(after["address"], json!({"zip": null, "street": "X"}));
    assert_eq!(changed(json!({"number": "A"}), Merge::Patch), Ok(None), "nothing changed");
    assert_eq!(changed(json!({"customer": null}), Merge::Patch), Ok(None), "nor here");
    for (changes, path) in [
        (json!({"number": null}), "number"),
        (json!({"state": null}), "state"),
        (json!({"id": 2}), "id"),
        (json!({"colour": null}), "colour"),
    ] {
        assert_eq!(changed(changes, Merge::Patch).unwrap_err().0[0].path, path);
    }
}

#[test]
fn an_object_is_merged_as_rfc_7396_shows_it() {
    for (target, patch, result) in [
        (json!({"a": "b"}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "b"}), json!({"b": "c"}), json!({"a": "b", "b": "c"})),
        (json!({"a": "b"}), json!({"a": null}), json!({})),
        (json!({"a": "b", "b": "c"}), json!({"a": null}), json!({"b": "c"})),
        (json!({"a": ["b"]}), json!({"a": "c"}), json!({"a": "c"})),
        (json!({"a": "c"}), json!({"a": ["b"]}), json!({"a": ["b"]})),
        (json!({"a": {"b": "c"}}), json!({"a": {"b": "d", "c": null}}), json!({"a": {"b": "d"}})),
        (json!({"a": [{"b": "c"}]}), json!({"a": [1]}), json!({"a": [1]})),
        (json!(["a", "b"]), json!(["c", "d"]), json!(["c", "d"])),
        (json!({"a": "b"}), json!(["c"]), json!(["c"])),
        (json!({"a": "foo"}), json!(null), json!(null)),
        (json!({"e": null}), json!({"a": 1}), json!({"e": null, "a": 1})),
        (json!([1, 2]), json!({"a": "b", "c": null}), json!({"a": "b"})),
        (json!({}), json!({"a": {"bb": {"ccc": null}}}), json!({"a": {"bb": {}}})),
    ] {
        assert_eq!(patched(Some(&target), patch.clone()), result, "{target} {patch}");
    }
}

#[test]
fn a_change_is_reported_with_the_verbs_that_the_kind_permits() {
    let kind = order();
    let told = |before: Value, after: Value| {
        kind.verbs_of_change(&before, &after).into_iter().map(|(verb, _)| verb).collect::<Vec<_>>()
    };
    assert_eq!(told(json!({"state": "new"}), json!({"state": "cancelled"})), ["updated", "status-changed", "closed"]);
    assert_eq!(told(json!({"state": "new"}), json!({"state": "Paid"})), ["updated", "status-changed", "completed"]);
    assert_eq!(told(json!({"state": "new"}), json!({"state": "lost"})), ["updated", "status-changed"]);
    assert_eq!(told(json!({"step": "a", "stage": 1}), json!({"step": "b", "stage": 1})), ["updated", "moved"]);
    assert_eq!(told(json!({"stage": 1}), json!({"stage": 2})), ["updated"], "moved only for the stage of the kind");
    assert_eq!(told(json!({"team": 1}), json!({"team": 2})), ["updated"], "not permitted");
    let contact = builtin_kind("contact").unwrap();
    assert_eq!(contact.verbs_of_change(&json!({"stage": 1}), &json!({"stage": 2})).len(), 1);
    let task = builtin_kind("task").unwrap();
    assert!(task.verbs_of_change(&json!({"createdDate": 1}), &json!({"createdDate": 1})).is_empty());
}

#[test]
fn the_index_follows_the_instant_of_the_last_change() {
    let kind = declare(json!({"fields": {"updated_at": {"type": "timestamp", "indexed": true}}})).unwrap();
    let at = |seconds: i64| Timestamp::from_millis(seconds * 1000);
    let mut record = kind.make(1, Map::new(), at(5)).unwrap();
    let before = kind.index_of(&record);
    assert_eq!(kind.touch_stored(&mut record, at(4)), (None, None), "never back");
    let (gone, new) = kind.touch_stored(&mut record, at(6));
    assert_eq!((gone.into_iter().collect::<Vec<_>>(), new.into_iter().collect()), (before, kind.index_of(&record)));
    assert_eq!(record["updated_at"], "1970-01-01T00:00:06.000Z");
    let mut seconds = json!({"updated_at": 5});
    let company = builtin_kind("company").unwrap();
    assert_eq!(company.touch_stored(&mut seconds, at(6)), (None, None), "no index is kept of it");
    company.touch_stored(&mut seconds, at(3));
    assert_eq!(seconds["updated_at"], 6);
}

#[test]
fn a_declaration_is_completed_and_shows_itself_again() {
    let kind = order();
    let shown = serde_json::to_value(kind.declaration()).unwrap();
    assert_eq!(shown["fields"]["id"]["type"], "integer");
    assert_eq!(shown["fields"]["updated_at"]["type"], "timestamp");
    let again = RecordKind::declare("order", serde_json::from_value(shown).unwrap(), Some(&kind), now()).unwrap();
    assert_eq!(again, kind, "the same declaration is the same revision");
    let types: Vec<String> = kind.event_types().into_iter().map(|event_type: EventType| event_type.name).collect();
    assert!(types.contains(&"order.moved".to_owned()) && types.len() == 7, "{types:?}");
    for event_type in kind.event_types() {
        event_type.check().unwrap();
        jsonschema::meta::validate(event_type.schema.as_ref().unwrap()).unwrap();
    }
    let bare = declare(json!({"fields": {}})).unwrap();
    assert_eq!((bare.noun(), bare.permits("deleted"), bare.permits("moved")), ("an order", true, false));
}

#[test]
fn an_invalid_declaration_is_reported_with_the_path_and_the_remedy() {
    let deep = (0..6).fold(json!({"type": "string"}), |inner, _| json!({"type": "object", "fields": {"a": inner}}));
    let many: Map<String, Value> = (0..101).map(|n| (format!("f{n}"), json!({"type": "string"}))).collect();
    for (value, path, said) in [
        (json!({"fields": {"a b": {"type": "string"}}}), "fields.a b", "not a valid field name"),
        (json!({"fields": many}), "fields", "at most 100"),
        (json!({"fields": {"a": deep}}), "fields.a.fields.a.fields.a.fields.a.fields.a.fields", "levels deep"),
        (json!({"fields": {"a": {"type": []}}}), "fields.a.type", "at least one"),
        (json!({"fields": {"a": {"type": "integer", "default": "x"}}}), "fields.a.default", "whole number"),
        (json!({"fields": {"a": {"type": "integer", "values": ["x"]}}}), "fields.a.values[0]", "type"),
        (json!({"fields": {"a": {"type": "list", "indexed": true}}}), "fields.a.indexed", "not lists"),
        (json!({"fields": {"a": {"type": "string", "items": {"type": "string"}}}}), "fields.a.items", "only a list"),
        (json!({"fields": {"a": {"type": "string", "kind": "user"}}}), "fields.a.kind", "only a reference"),
        (json!({"fields": {"a": {"type": "string", "min": 2, "max": 1}}}), "fields.a.min", "more than max"),
        (json!({"fields": {"id": {"type": "string"}}}), "fields.id.type", "counts ids"),
        (json!({"fields": {"created_at": {"type": "string"}}}), "created", "timestamp or seconds"),
        (json!({"fields": {}, "stage": "step"}), "stage", "not a field"),
        (json!({"fields": {}, "verbs": ["created", "updated", "moved"]}), "verbs.moved", "needs `stage`"),
        (json!({"fields": {}, "verbs": ["created", "updated", "eaten"]}), "verbs.eaten", "not a verb"),
        (json!({"fields": {}, "verbs": ["created"]}), "verbs", "must include `updated`"),
        (json!({"fields": {}, "verbs": {"created": {}, "updated": {"x": [1, 2]}}}), "verbs.updated.x", "declared"),
        (json!({"fields": {}, "closed": ["x"]}), "closed", "without `status`"),
        (
            json!({"fields": {"s": {"type": "string", "values": ["a"]}}, "status": "s", "closed": ["b"]}),
            "closed[0]",
            "not an allowed value",
        ),
        (json!({"fields": {}, "example": {"x": 1}}), "example.x", "declared"),
        (json!({"fields": {}, "noun": "x".repeat(65)}), "noun", "at most 64"),
    ] {
        let mistakes = declare(value.clone()).unwrap_err();
        let found = mistakes.0.iter().find(|mistake| mistake.path == path);
        assert!(found.is_some_and(|mistake| mistake.message.contains(said)), "{value}: {mistakes}");
    }
    for name in ["note", "Order", ""] {
        let input = serde_json::from_value(json!({"fields": {}})).unwrap();
        assert_eq!(RecordKind::declare(name, input, None, now()).unwrap_err().0[0].path, "kind", "{name}");
    }
    assert!(serde_json::from_value::<KindInput>(json!({"fields": {}, "colour": 1})).is_err());
}

#[test]
fn numbers_that_differ_in_any_digit_are_apart_in_the_index() {
    let place = |text: &str| crate::index_value(&serde_json::from_str(text).unwrap());
    for (a, b, same) in [
        ("5", "5.0", true),
        ("1.1", "1.10", true),
        ("0", "-0", true),
        ("1e3", "1000", true),
        ("1e18", "1000000000000000000", true),
        ("9007199254740993", "9007199254740993.0", true),
        ("-9007199254740993", "-9007199254740.993e3", true),
        ("18446744073709551615", "18446744073709551615.0", true),
        ("18446744073709551616", "18446744073709551616.0", true),
        ("2.5e-7", "0.00000025", true),
        ("12345678901234567890123", "12345678901234567890123.0", true),
        ("12345678901234567890123", "12345678901234567890124", false),
        ("0.1", "0.1000000000000000055511151231257827", false),
        ("9007199254740993", "9007199254740992", false),
        ("5", "5.00000000000000000001", false),
    ] {
        assert_eq!(place(a) == place(b), same, "{a} {b}");
    }
    // As stored by earlier versions.
    for (text, stored) in
        [("5.0", "n5"), ("1.10", "n1.1"), ("18446744073709551615", "n18446744073709551615"), ("2.5e-7", "n2.5e-7")]
    {
        assert_eq!(place(text).as_deref(), Some(stored), "{text}");
    }
}
