//! Which value is valid by which schema: the rows are the specification.

use hookwright_sdk::testing::{self, evaluate};
use hookwright_sdk::{Failure, Verdict};
use serde_json::{Value, json};

use crate::JsonSchema;

fn ask(data: &Value, schema: &Value) -> Result<Verdict, Failure> {
    evaluate::<JsonSchema>(&testing::event("order.paid", data.clone()), json!({"schema": schema}))
}

#[test]
fn a_schema_accepts_these_values_and_not_those() {
    let rows: Vec<(Value, Vec<Value>, Vec<Value>)> = vec![
        (json!(true), vec![json!(null), json!({"a": 1})], vec![]),
        (json!(false), vec![], vec![json!(null), json!({})]),
        (json!({}), vec![json!(1)], vec![]),
        (json!({"type": "integer"}), vec![json!(1), json!(1.0), json!(1e3)], vec![json!(1.5), json!("1"), json!(null)]),
        (json!({"type": ["string", "null"]}), vec![json!(""), json!(null)], vec![json!(0), json!([])]),
        (json!({"enum": [1, "a", [2]]}), vec![json!(1.0), json!("a"), json!([2.0])], vec![json!("1"), json!([])]),
        (json!({"const": {"a": 1}}), vec![json!({"a": 1.0})], vec![json!({"a": 1, "b": 2})]),
        (
            json!({"minLength": 2, "maxLength": 3}),
            vec![json!("äö"), json!("💩💩💩"), json!(5)],
            vec![json!("ä"), json!("abcd")],
        ),
        (json!({"pattern": "^[A-Z]+-\\d+$"}), vec![json!("JIRA-1"), json!(1)], vec![json!("jira-1"), json!("JIRA-")]),
        (
            json!({"minimum": 1, "exclusiveMaximum": 2}),
            vec![json!(1), json!(1.99), json!("9")],
            vec![json!(0.99), json!(2)],
        ),
        (json!({"maximum": 18_446_744_073_709_551_614_u64}), vec![json!(1)], vec![json!(u64::MAX)]),
        (json!({"multipleOf": 0.01}), vec![json!(19.99), json!(0)], vec![json!(19.999)]),
        (
            json!({"properties": {"a": {"type": "string"}}, "required": ["a"], "additionalProperties": false}),
            vec![json!({"a": "x"}), json!([])],
            vec![json!({}), json!({"a": 1}), json!({"a": "x", "b": 1})],
        ),
        (
            json!({"patternProperties": {"^x-": {"type": "string"}}, "additionalProperties": {"type": "integer"}}),
            vec![json!({"x-a": "1", "n": 2})],
            vec![json!({"x-a": 1}), json!({"n": "2"})],
        ),
        (json!({"propertyNames": {"maxLength": 2}}), vec![json!({"ab": 1})], vec![json!({"abc": 1})]),
        (
            json!({"minProperties": 1, "maxProperties": 1}),
            vec![json!({"a": 1})],
            vec![json!({}), json!({"a": 1, "b": 1})],
        ),
        (
            json!({"dependentRequired": {"a": ["b"]}}),
            vec![json!({"b": 1}), json!({"a": 1, "b": 1})],
            vec![json!({"a": 1})],
        ),
        (json!({"dependentSchemas": {"a": {"required": ["b"]}}}), vec![json!({})], vec![json!({"a": 1})]),
        (
            json!({"prefixItems": [{"type": "string"}], "items": {"type": "integer"}}),
            vec![json!([]), json!(["a"]), json!(["a", 1, 2])],
            vec![json!([1]), json!(["a", "b"])],
        ),
        (json!({"contains": {"const": 1}, "maxContains": 1}), vec![json!([1, 2])], vec![json!([]), json!([1, 1])]),
        (json!({"contains": {"const": 1}, "minContains": 0}), vec![json!([])], vec![]),
        (
            json!({"uniqueItems": true}),
            vec![json!([1, "1", [1], true])],
            vec![json!([1, 1.0]), json!([{"a": 1}, {"a": 1}])],
        ),
        (json!({"minItems": 1, "maxItems": 2}), vec![json!([1])], vec![json!([]), json!([1, 2, 3])]),
        (json!({"anyOf": [{"type": "string"}, {"minimum": 5}]}), vec![json!("a"), json!(5)], vec![json!(4)]),
        (json!({"oneOf": [{"multipleOf": 2}, {"multipleOf": 3}]}), vec![json!(2), json!(3)], vec![json!(6), json!(5)]),
        (json!({"allOf": [{"minimum": 1}, {"maximum": 2}]}), vec![json!(1)], vec![json!(0), json!(3)]),
        (json!({"not": {"type": "null"}}), vec![json!(1)], vec![json!(null)]),
        (
            json!({"if": {"required": ["a"]}, "then": {"required": ["b"]}, "else": {"required": ["c"]}}),
            vec![json!({"a": 1, "b": 1}), json!({"c": 1})],
            vec![json!({"a": 1}), json!({})],
        ),
        (
            json!({"allOf": [{"properties": {"a": {}}}], "properties": {"b": {}}, "unevaluatedProperties": false}),
            vec![json!({"a": 1, "b": 1})],
            vec![json!({"c": 1})],
        ),
        (
            json!({"prefixItems": [{}], "anyOf": [{"prefixItems": [{}, {"const": 2}]}, {}], "unevaluatedItems": false}),
            vec![json!([1]), json!([1, 2])],
            vec![json!([1, 3]), json!([1, 2, 3])],
        ),
        (
            json!({"$ref": "#/$defs/node", "$defs": {"node": {"properties": {"next": {"$ref": "#/$defs/node"}, "n": {"type": "integer"}}}}}),
            vec![json!({"n": 1, "next": {"n": 2}})],
            vec![json!({"next": {"next": {"n": "x"}}})],
        ),
        (
            json!({"$id": "https://x.example/a", "$ref": "b", "$defs": {"b": {"$id": "b", "$ref": "#c", "$defs": {"c": {"$anchor": "c", "type": "null"}}}}}),
            vec![json!(null)],
            vec![json!(1)],
        ),
        (
            json!({
                "$id": "https://x.example/strings", "$ref": "list",
                "$defs": {
                    "item": {"$dynamicAnchor": "item", "type": "string"},
                    "list": {"$id": "list", "items": {"$dynamicRef": "#item"}, "$defs": {"any": {"$dynamicAnchor": "item"}}}
                }
            }),
            vec![json!(["a"])],
            vec![json!([1])],
        ),
        (
            json!({"$ref": "#/shared/a%20b~1c", "shared": {"a b/c": {"pattern": "^x"}}}),
            vec![json!("x")],
            vec![json!("y")],
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "items": [{"type": "string"}], "additionalItems": false, "dependencies": {"a": ["b"]}}),
            vec![json!(["a"]), json!({"a": 1, "b": 1})],
            vec![json!([1]), json!(["a", 1]), json!({"a": 1})],
        ),
        (
            json!({"$schema": "http://json-schema.org/draft-07/schema#", "$ref": "#/definitions/s", "minLength": 9, "definitions": {"s": {"type": "string"}}}),
            vec![json!("short")],
            vec![json!(1)],
        ),
        // A format describes and does not refuse; a word that is not a keyword says nothing.
        (json!({"format": "email", "x-note": 5}), vec![json!("nobody")], vec![]),
    ];
    for (schema, taken, left) in rows {
        for value in &taken {
            let verdict = ask(value, &schema).unwrap();
            assert!(verdict.holds, "{schema} must take {value}: {}", verdict.reason);
        }
        for value in &left {
            assert!(!ask(value, &schema).unwrap().holds, "{schema} must not take {value}");
        }
    }
}

#[test]
fn the_reason_names_the_place_the_keyword_and_the_value() {
    let data = json!({"id": "x", "items": [{"price": 3}, {"price": "9"}], "a/b": 1});
    for (schema, reason) in [
        (json!({"type": "object"}), "data is valid by the schema"),
        (
            json!({"type": "array"}),
            r#"data is not valid by the schema: at the top, type: it is {"a/b":1,"id":"x","items":[{"price":3},{"price":"9"}]}, of type object, not array"#,
        ),
        (
            json!({"required": ["a", "b"]}),
            r#"at the top, required: "a" is missing; at the top, required: "b" is missing"#,
        ),
        (
            json!({"properties": {"items": {"items": {"properties": {"price": {"minimum": 5}}}}}}),
            "at /items/0/price, minimum: it is 3 and must be at least 5",
        ),
        (
            json!({"properties": {"items": {"items": {"properties": {"price": {"type": "number"}}}}}}),
            r#"at /items/1/price, type: it is "9", of type string, not number"#,
        ),
        (json!({"properties": {"a/b": {"const": 2}}}), "at /a~1b, const: it is 1, not 2"),
        (json!({"properties": {"id": {"enum": ["y"]}}}), r#"at /id, enum: it is "x", not one of ["y"]"#),
        (json!({"properties": {"id": false}}), "at /id, properties: this name is not allowed here"),
        (
            json!({"properties": {"id": {}, "items": {}}, "additionalProperties": false}),
            "at /a~1b, additionalProperties: this name is not allowed here",
        ),
        (
            json!({"properties": {"id": {"anyOf": [{"type": "null"}, {"type": "array"}]}}}),
            r#"at /id, anyOf: none of the 2 schemas takes it (at /id, type: it is "x", of type string, not null)"#,
        ),
        (
            json!({"properties": {"id": {"oneOf": [{}, {}, false]}}}),
            "at /id, oneOf: 2 schemas take it, at the positions [0, 1], and one must",
        ),
        (
            json!({"propertyNames": {"maxLength": 3}}),
            r#"at /items, propertyNames: the name is not allowed (at the top, maxLength: it is "items", of 5 characters, and at most 3 may be)"#,
        ),
    ] {
        let verdict = ask(&data, &schema).unwrap();
        assert!(verdict.reason.contains(reason), "{schema}: {}", verdict.reason);
    }
}

#[test]
fn only_the_first_violations_are_reported() {
    let data = json!(vec!["x"; 1000]);
    let verdict = ask(&data, &json!({"items": {"type": "integer"}})).unwrap();
    assert_eq!(verdict.reason.matches("type:").count(), 5, "{}", verdict.reason);
    assert!(verdict.reason.contains("at /4, type") && verdict.reason.ends_with("; and more"), "{}", verdict.reason);
}

#[test]
fn the_value_is_read_at_the_path() {
    let event = testing::event("order.paid", json!({"order": {"n": 1}}));
    for (path, schema, holds, said) in [
        ("data.order", json!({"required": ["n"]}), true, "data.order is valid"),
        ("order.n", json!({"const": 1}), true, "order.n is valid"),
        ("event.type", json!({"pattern": "^order"}), true, "event.type is valid"),
        ("data.missing", json!({}), false, "data.missing is missing: data has order"),
    ] {
        let verdict = evaluate::<JsonSchema>(&event, json!({"schema": schema, "path": path})).unwrap();
        assert_eq!(verdict.holds, holds, "{path}");
        assert!(verdict.reason.contains(said), "{path}: {}", verdict.reason);
    }
    let failure = evaluate::<JsonSchema>(&event, json!({"schema": {}, "path": "a..b"})).unwrap_err();
    assert!(failure.code == "parameters.invalid" && failure.message.contains("`path`"), "{}", failure.message);
}

#[test]
fn an_error_in_a_schema_is_reported_with_its_path() {
    for (schema, said) in [
        (json!({"type": "int"}), r#"/type is "int": give one of null, boolean"#),
        (json!({"type": []}), "/type is []"),
        (json!({"properties": {"a": {"minimum": "5"}}}), r#"/properties/a/minimum is "5": give a number"#),
        (json!({"properties": []}), "/properties is []: give an object"),
        (json!({"properties": {"a/b": 5}}), "/properties/a~1b is 5: a schema is an object, true or false"),
        (json!({"items": [{}]}), "/items is a list: write prefixItems"),
        (json!({"allOf": []}), "/allOf is []: give a list of schemas, not empty"),
        (json!({"allOf": [{"not": null}]}), "/allOf/0/not is null"),
        (json!({"required": "a"}), "/required is \"a\": give a list of strings"),
        (json!({"dependentRequired": {"a": "b"}}), "/dependentRequired is"),
        (json!({"minLength": -1}), "/minLength is -1: give a whole number"),
        (json!({"multipleOf": 0}), "/multipleOf is 0: give a number greater than 0"),
        (json!({"uniqueItems": "yes"}), "/uniqueItems is \"yes\": give true or false"),
        (json!({"pattern": "("}), "/pattern `(` is not a regular expression that is known here"),
        (json!({"pattern": "(?=x)"}), "Look-around"),
        (json!({"patternProperties": {"[": {}}}), "/patternProperties/[ `[` is not a regular expression"),
        (json!({"$ref": "#/$defs/none"}), r##"/$ref is "#/$defs/none", which leads nowhere in this schema"##),
        (json!({"$ref": "#none"}), "leads nowhere"),
        (json!({"$ref": "https://example.com/schema"}), "nothing is fetched"),
        (json!({"$ref": "#/minimum", "minimum": 1}), "leads nowhere"),
        (json!({"$ref": 5}), "/$ref is 5: give a string"),
        (json!({"$ref": "#/x", "x": {"type": "int"}}), "#/x/type is \"int\""),
        (json!({"$schema": "https://example.com/dialect"}), "/$schema is \"https://example.com/dialect\""),
        (json!({"$recursiveRef": "#"}), "use $dynamicRef"),
        (json!({"$ref": "#"}), "refers to itself without end"),
        (json!({"allOf": [{"$ref": "#"}]}), "refers to itself without end"),
    ] {
        let failure = ask(&json!({"a": 1}), &schema).unwrap_err();
        assert_eq!(failure.code, "schema.invalid", "{schema}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{schema}: {}", failure.message);
    }
}

#[test]
fn a_value_nested_as_deep_as_json_may_be_is_followed() {
    let mut data = json!(1);
    for _ in 0..100 {
        data = json!({"next": data});
    }
    let schema = json!({"anyOf": [{"type": "integer"}, {"properties": {"next": {"$ref": "#"}}, "required": ["next"]}]});
    assert!(ask(&data, &schema).unwrap().holds);
}

#[test]
fn a_long_list_of_different_items_is_compared_quickly() {
    let data: Vec<Value> = (0..50_000).map(|n| json!({"n": n})).collect();
    assert!(ask(&json!(data), &json!({"uniqueItems": true})).unwrap().holds);
}
