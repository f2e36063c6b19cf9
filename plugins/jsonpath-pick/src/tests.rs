//! The results of paths: the rows are the specification.

use hookwright_sdk::testing::{self, apply};
use hookwright_sdk::{Failure, Message, Transformed};
use serde_json::{Value, json};

use crate::JsonPathPick;

fn transform(body: &str, parameters: Value) -> Result<Transformed, Failure> {
    let message = Message {
        headers: vec![("x-a".into(), "1".into())],
        content_type: "application/json".into(),
        body: body.into(),
    };
    apply::<JsonPathPick>(&testing::event("x", json!({})), message, parameters)
}

fn body(body: &Value, parameters: Value) -> Value {
    match transform(&body.to_string(), parameters.clone()) {
        Ok(Transformed::Send(message)) => message.json().unwrap(),
        other => panic!("{parameters}: {other:?}"),
    }
}

fn store() -> Value {
    json!({
        "store": {
            "book": [
                {"category": "reference", "author": "Nigel", "price": 8.95},
                {"category": "fiction", "author": "Evelyn", "price": 12.99, "isbn": "0-553"},
                {"category": "fiction", "author": "J. R.\nR.", "price": 8.99, "isbn": null},
            ],
            "odd 'name'": {"ü": 1},
        },
        "limit": 10,
    })
}

#[test]
fn paths_follow_the_specification() {
    for (path, all) in [
        ("$", json!([store()])),
        ("$.limit", json!([10])),
        ("$['store']['odd \\'name\\'']['ü']", json!([1])),
        ("$.store.book[0].author", json!(["Nigel"])),
        ("$.store.book[-1].price", json!([8.99])),
        ("$.store.book[*].price", json!([8.95, 12.99, 8.99])),
        ("$.store.book[0,2].price", json!([8.95, 8.99])),
        ("$.store.book[1:].price", json!([12.99, 8.99])),
        ("$.store.book[::-1].price", json!([8.99, 12.99, 8.95])),
        ("$..price", json!([8.95, 12.99, 8.99])),
        ("$.store.book[?@.price < 10].author", json!(["Nigel", "J. R.\nR."])),
        ("$.store.book[?@.price < $.limit && @.isbn].author", json!(["J. R.\nR."])),
        ("$.store.book[?!@.isbn].author", json!(["Nigel"])),
        ("$.store.book[?@.isbn == null].author", json!(["J. R.\nR."])),
        ("$.store.book[?length(@.author) == 5].author", json!(["Nigel"])),
        ("$.store[?count(@.*) == 3][0].author", json!(["Nigel"])),
        ("$.store.book[?value(@..isbn) == '0-553'].author", json!(["Evelyn"])),
        ("$.store.book[?match(@.author, 'N.*')].author", json!(["Nigel"])),
        ("$.store.book[?match(@.author, 'N')].author", json!([])),
        ("$.store.book[?match(@.author, 'J.*')].author", json!([])),
        ("$.store.book[?search(@.author, 'v|N')].author", json!(["Nigel", "Evelyn"])),
        ("$.store.book[?search(@.author, '(')].author", json!([])),
        ("$.store.book[?search(@.price, '8')].author", json!([])),
        ("$.nothing[*]", json!([])),
    ] {
        assert_eq!(body(&store(), json!({"path": path, "mode": "all"})), all, "{path}");
    }
}

#[test]
fn mode_and_missing_determine_the_value_of_a_path() {
    let found = "$.store.book[*].category";
    let nothing = "$.nothing";
    for (path, mode, missing, expected) in [
        (found, "first", "null", Some(json!("reference"))),
        (found, "first", "fail", Some(json!("reference"))),
        (found, "all", "drop", Some(json!(["reference", "fiction", "fiction"]))),
        (nothing, "first", "null", Some(json!(null))),
        (nothing, "all", "null", Some(json!([]))),
        (nothing, "first", "drop", None),
        (nothing, "all", "drop", None),
        // A null that is there is found.
        ("$.store.book[2].isbn", "first", "fail", Some(json!(null))),
    ] {
        let parameters = json!({"path": path, "mode": mode, "missing": missing});
        match transform(&store().to_string(), parameters.clone()).unwrap() {
            Transformed::Send(message) => assert_eq!(message.json().ok(), expected, "{parameters}"),
            Transformed::Drop(reason) => {
                assert!(
                    expected.is_none() && reason.contains("the path $.nothing finds nothing"),
                    "{parameters}: {reason}"
                );
            }
        }
    }
    for mode in ["first", "all"] {
        let failure = transform("{}", json!({"path": nothing, "mode": mode, "missing": "fail"})).unwrap_err();
        assert_eq!(failure.code, "path.empty");
        assert!(failure.message.contains("$.nothing of parameter `path`"), "{}", failure.message);
    }
}

#[test]
fn fields_make_an_object() {
    let fields = json!({"first": "$.store.book[0].author", "none": "$.nothing", "limit": "$.limit"});
    for (more, expected) in [
        (json!({}), json!({"first": "Nigel", "none": null, "limit": 10})),
        (json!({"mode": "all"}), json!({"first": ["Nigel"], "none": [], "limit": [10]})),
        (json!({"missing": "drop"}), json!({"first": "Nigel", "limit": 10})),
    ] {
        let mut parameters = more;
        parameters["fields"] = fields.clone();
        assert_eq!(body(&store(), parameters), expected);
    }
    let failure = transform("{}", json!({"fields": fields, "missing": "fail"})).unwrap_err();
    assert!(failure.code == "path.empty" && failure.message.contains("`fields.first`"), "{}", failure.message);
}

#[test]
fn the_rest_of_the_message_stays() {
    let Ok(Transformed::Send(message)) = transform("[18446744073709551615]", json!({"path": "$[0]"})) else {
        panic!("not sent")
    };
    assert_eq!((message.text(), message.content_type.as_str()), (Some("18446744073709551615"), "application/json"));
    assert_eq!(message.headers, [("x-a".to_owned(), "1".to_owned())]);
}

#[test]
fn errors_are_reported() {
    let deep = format!("$[?{}@.a{}]", "(".repeat(100), ")".repeat(100));
    for (body, parameters, code, said) in [
        ("{}", json!({"path": "store.book"}), "path.invalid", "A path begins with $"),
        ("{}", json!({"path": "$.store["}), "path.invalid", "parameter `path` is $.store[: at character"),
        ("{}", json!({"path": "$[?nosuch(@.a)]"}), "path.invalid", "nosuch"),
        ("{}", json!({"path": "$[?length(@.a)]"}), "path.invalid", "at character"),
        ("{}", json!({"path": ""}), "path.invalid", "at character 1"),
        ("{}", json!({"path": deep}), "path.invalid", "more than 50 brackets"),
        ("{}", json!({"fields": {"a": "$.a", "b": "b"}}), "path.invalid", "`fields.b`"),
        ("{}", json!({}), "parameters.invalid", "either `path`"),
        ("{}", json!({"fields": {}}), "parameters.invalid", "either `path`"),
        ("{}", json!({"path": "$", "fields": {"a": "$"}}), "parameters.invalid", "either `path`"),
        ("{}", json!({"path": "$", "mode": "some"}), "parameters.invalid", "`mode`"),
        ("{}", json!({"path": "$", "missing": "skip"}), "parameters.invalid", "`missing`"),
        ("not json", json!({"path": "$"}), "message.not_json", "is not JSON"),
        ("", json!({"path": "$"}), "message.not_json", "is not JSON"),
    ] {
        let failure = transform(body, parameters.clone()).unwrap_err();
        assert_eq!(failure.code, code, "{parameters}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{parameters}: {}", failure.message);
    }
}
