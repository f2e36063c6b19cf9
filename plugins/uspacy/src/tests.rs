use super::*;
use crate::entity::WORDS;
use hookwright_sdk::testing::{self, apply};
use serde_json::json;

fn sent(event_type: &str, data: &str, parameters: Value) -> Result<String, Failure> {
    let mut event = testing::event(event_type, json!(null));
    event.time = "2023-08-02T08:07:11.25657Z".into();
    event.subject = Some("task/786".into());
    let message = Message { headers: vec![], content_type: "application/json".into(), body: data.into() };
    match apply::<Uspacy>(&event, message, parameters)? {
        Transformed::Send(message) => Ok(message.text().unwrap().to_owned()),
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

fn read(event_type: &str, data: Value, parameters: Value) -> Value {
    serde_json::from_str(&sent(event_type, &data.to_string(), parameters).unwrap()).unwrap()
}

#[test]
fn a_comment_is_the_message_of_the_article() {
    let comment =
        r#"{"author_id":1,"entity_type":"task","entity_id":786,"message":"<p>test<\/p>","date":1690963631,"id":9087}"#;
    let data = format!(r#"{{"id": 9087, "comment": {comment}}}"#);
    assert_eq!(
        sent("comment.created", &data, json!({"domain": "my.uspacy.ua"})).unwrap(),
        format!(
            r#"{{"topic":"Notifications","type":"comment","env":"prod","data":{{"entity":{comment},"user_id":1,"service":"comments","domain":"my.uspacy.ua","timestamp":"2023-08-02T08:07:11.256570Z","action":"create"}},"metadata":[]}}"#
        )
    );
}

#[test]
fn every_object_has_its_service_and_every_verb_its_action() {
    for (event_type, object, service, action) in [
        ("lead.created", "lead", "crm", "create"),
        ("opportunity.updated", "deal", "crm", "update"),
        ("deal.moved", "deal", "crm", "stage_changed"),
        ("person.deleted", "contact", "crm", "delete"),
        ("organization.created", "company", "crm", "create"),
        ("activity.updated", "activity", "activities", "update"),
        ("task.stage-changed", "task", "tasks", "stage_changed"),
        ("post.deleted", "post", "newsfeed", "delete"),
        ("task.note-added", "comment", "comments", "create"),
        ("ticket.status-changed", "ticket", "ticket", "status_changed"),
    ] {
        let message = read(event_type, json!({"id": 1}), json!({}));
        let data = &message["data"];
        assert_eq!(
            (&message["type"], &data["service"], &data["action"]),
            (&json!(object), &json!(service), &json!(action))
        );
    }
    let parameters = json!({"service": "s", "action": "a", "env": "test", "user_id": 7});
    let message = read("lead.created", json!({"id": 1}), parameters);
    let data = &message["data"];
    assert_eq!(json!([message["env"], data["service"], data["action"], data["user_id"]]), json!(["test", "s", "a", 7]));
}

#[test]
fn a_stage_change_contains_both_stages() {
    for (data, old, new) in [
        (
            json!({"id": 1, "deal": {"kanban_stage_id": 3, "new_kanban_stage_id": null}, "from": 2, "to": 3}),
            json!(2),
            json!(3),
        ),
        (
            json!({"record": {"stage": "won"}, "changes": {"stage": {"from": "new", "to": "won"}}}),
            json!("new"),
            json!("won"),
        ),
        (json!({"deal": {"old_kanban_stage_id": 1, "new_kanban_stage_id": 4}, "from": 9}), json!(1), json!(4)),
        (json!({"deal": {}}), json!(null), json!(null)),
    ] {
        let entity = read("deal.moved", data, json!({}))["data"]["entity"].clone();
        assert_eq!((&entity["old_kanban_stage_id"], &entity["new_kanban_stage_id"]), (&old, &new), "{entity}");
    }
}

#[test]
fn a_note_is_a_comment() {
    let note =
        json!({"id": 9087, "text": "test", "html": "<p>test</p>", "author": "1", "created_at": "2023-08-02T08:07:11Z"});
    let message = read("task.note-added", json!({"id": 786, "task": {"id": 786}, "note": note}), json!({}));
    let people = json!({"users": [], "groups": [], "departments": []});
    assert_eq!(
        message["data"]["entity"],
        json!({"author_id": 1, "entity_type": "task", "entity_id": 786, "message": "<p>test</p>", "date": 1_690_963_631,
            "id": 9087, "mentioned": people, "notify": people})
    );
    assert_eq!(message["data"]["user_id"], 1);
    let bare = read("lead.note-added", json!({"note": {"text": 5, "author": "ada"}}), json!({}));
    let entity = &bare["data"]["entity"];
    assert_eq!(json!([entity["author_id"], entity["message"], entity["entity_id"]]), json!(["ada", "5", 786]));
}

#[test]
fn the_author_in_the_event_precedes_that_of_the_record() {
    for (data, parameters, user) in [
        (json!({"user_id": 5, "lead": {"created_by": 2}}), json!({}), json!(5)),
        (json!({"lead": {"created_by": 2, "changed_by": "3"}}), json!({}), json!(3)),
        (json!({"lead": {"changed_by": "", "created_by": 1}}), json!({}), json!(1)),
        (json!({"lead": {"changed_by": ""}}), json!({"user_id": "usr_1"}), json!("usr_1")),
        (json!({"lead": {"created_by": {"id": 1}}}), json!({}), json!(null)),
        (json!({"lead": {}}), json!({}), json!(null)),
    ] {
        assert_eq!(read("lead.updated", data.clone(), parameters)["data"]["user_id"], user, "{data}");
    }
}

#[test]
fn the_user_of_the_api_key_precedes_the_data_and_null_is_no_user() {
    let note = json!({"note": {"text": "t", "author": "hookwright/automations/x"}, "lead": {"created_by": 2}});
    for (event_type, data, parameters, user) in [
        ("lead.updated", json!({"user_id": 5, "lead": {"changed_by": 3}}), json!({"user": {"id": 9}}), json!(9)),
        (
            "lead.updated",
            json!({"lead": {}}),
            json!({"user": {"id": "usr_9", "name": "N"}, "user_id": 4}),
            json!("usr_9"),
        ),
        ("lead.updated", json!({"lead": {"changed_by": 3}}), json!({"user": null}), json!(null)),
        ("lead.updated", json!({"user_id": 5, "lead": {"changed_by": 3}}), json!({"user": null}), json!(5)),
        ("lead.updated", json!({"lead": {"changed_by": 3}}), json!({"user": null, "user_id": 4}), json!(4)),
        ("lead.note-added", note.clone(), json!({"user": null}), json!(null)),
        ("lead.note-added", note, json!({"user": {"id": 9, "name": "Ada", "email": "a@b"}}), json!(9)),
    ] {
        assert_eq!(read(event_type, data.clone(), parameters)["data"]["user_id"], user, "{data}");
    }
    let note = json!({"note": {"text": "t", "author": "Ada", "author_id": 9}});
    assert_eq!(read("lead.note-added", note, json!({}))["data"]["entity"]["author_id"], 9);
    assert_eq!(sent("a.b", "{}", json!({"user": {"name": "N"}})).unwrap_err().code, "parameters.invalid");
}

#[test]
fn a_time_has_six_digits() {
    for (text, shown) in [
        ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
        ("2026-01-02T03:04:05.123456789Z", "2026-01-02T03:04:05.123456Z"),
        ("2026-01-02T03:04:05+01:00", "2026-01-02T03:04:05+01:00"),
        ("noon", "noon"),
    ] {
        assert_eq!(moment::micros(text), shown);
    }
}

/// The server's own table, which says what a subscription to a name of Uspacy's gets.
#[test]
fn names_are_those_that_the_server_accepts() {
    let table: Value = serde_json::from_str(include_str!("../../../host/model/catalogue/uspacy.json")).unwrap();
    let mut seen = 0;
    for entity in table["entities"].as_array().unwrap() {
        let name = entity["name"].as_str().unwrap();
        assert!(SERVICES.iter().any(|(object, _)| *object == name), "{name}");
        for kind in entity["kinds"].as_array().unwrap() {
            assert_eq!(word(kind.as_str().unwrap()), name);
            seen += 1;
        }
    }
    assert_eq!(seen, SERVICES.len() + WORDS.len());
}

#[test]
fn errors_are_reported() {
    assert_eq!(sent("lead.created", "{", json!({})).unwrap_err().code, "message.not_json");
    assert_eq!(sent("lead.created", "{}", json!({"domian": "x"})).unwrap_err().code, "parameters.invalid");
}
