use super::*;
use hookwright_sdk::testing::{self, apply};
use serde_json::{Value, json};

fn packet(event_type: &str, data: &str, parameters: Value) -> Result<String, Failure> {
    let mut event = testing::event(event_type, json!(null));
    event.subject = Some("ticket/42".into());
    let message = Message { headers: vec![], content_type: "application/json".into(), body: data.into() };
    match apply::<SupportService>(&event, message, parameters)? {
        Transformed::Send(message) => {
            assert_eq!(message.content_type, "application/json");
            Ok(message.text().unwrap().to_owned())
        }
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

fn read(event_type: &str, data: &Value, parameters: Value) -> Value {
    serde_json::from_str(&packet(event_type, &data.to_string(), parameters).unwrap()).unwrap()
}

/// A ticket with everything that one can have.
fn full() -> Value {
    json!({
        "id": 42, "subject": "Printer", "status": "open", "justification": "Waiting", "urgency": "high",
        "service_first_level": "IT", "sla_solution_time": 240, "created_at": "2026-01-02T03:04:05Z",
        "custom_field_values": [{"custom_field_id": 7, "custom_field_rule_id": 3, "line": 1, "value": "A",
            "items": [{"person_id": "p", "client_id": "c", "team": "t", "custom_field_item": "i", "storage_file_guid": "g", "file_name": "f"}]}],
        "notes": [{"id": 1, "text": "First <one>\nline", "html": null, "public": true, "created_at": "2026-01-02T03:04:05Z",
            "attachments": [{"file_name": "a.pdf", "path": "/a", "created_date": "2026-01-02",
                "created_by": {"id": "u1", "person_type": 1, "profile_type": 2, "business_name": "Ada", "email": "ada@example.com", "phone": "555"}}]}]
    })
}

#[test]
fn a_packet_has_every_field_of_the_article() {
    let body = read(
        "ticket.updated",
        &json!({"id": 42, "ticket": full()}),
        json!({"webhook_events": [{"criteria": 2, "operator": 1}]}),
    );
    assert_eq!(
        body,
        json!({
            "Id": 42, "Subject": "Printer", "Status": "open", "Justification": "Waiting",
            "Actions": [{"Id": 1, "Description": "First <one>\nline", "HtmlDescription": "First &lt;one&gt;<br>line",
                "Attachments": [{"FileName": "a.pdf", "Path": "/a", "CreatedBy": {"Id": "u1", "PersonType": 1, "ProfileType": 2,
                    "BusinessName": "Ada", "Email": "ada@example.com", "Phone": "555"}, "CreatedDate": "2026-01-02"}]}],
            "WebhookEvents": [{"Criteria": 2, "Operator": 1}],
            "Urgency": "high", "ServiceFirstLevel": "IT",
            "CustomFieldValues": [{"CustomFieldId": 7, "CustomFieldRuleId": 3, "Line": 1, "Value": "A",
                "Items": [{"PersonId": "p", "ClientId": "c", "Team": "t", "CustomFieldItem": "i", "StorageFileGuid": "g", "FileName": "f"}]}],
            "SlaSolutionTime": 240
        })
    );
}

#[test]
fn missing_fields_of_a_ticket_keep_their_types() {
    assert_eq!(
        packet(
            "ticket.created",
            r#"{"ticket": {"subject": "S", "status": "open", "sla_solution_time": null}}"#,
            json!({})
        )
        .unwrap(),
        r#"{"Id":42,"Subject":"S","Status":"open","Justification":null,"Actions":[],"WebhookEvents":[],"Urgency":null,"ServiceFirstLevel":null,"CustomFieldValues":[],"SlaSolutionTime":0}"#
    );
    let sparse = json!({"record": {"id": "x", "subject": 7, "notes": [{"attachments": [{}]}, 5], "custom_field_values": [{"items": [{}]}], "sla_solution_time": "60"}});
    let body = read("ticket.created", &sparse, json!({}));
    assert_eq!(json!([body["Id"], body["Subject"], body["SlaSolutionTime"]]), json!([0, "7", 60]));
    let nobody =
        json!({"Id": null, "PersonType": 0, "ProfileType": 0, "BusinessName": null, "Email": null, "Phone": null});
    assert_eq!(
        body["Actions"][0]["Attachments"][0],
        json!({"FileName": null, "Path": null, "CreatedBy": nobody, "CreatedDate": null})
    );
    assert_eq!(body["Actions"][1], json!({"Id": 0, "Description": null, "HtmlDescription": null, "Attachments": []}));
    assert_eq!(body["CustomFieldValues"][0]["CustomFieldId"], 0);
}

#[test]
fn the_note_of_an_event_is_an_action_once() {
    let note = json!({"id": 2, "text": "Second", "html": "<b>Second</b>"});
    for (notes, ids) in [
        (json!([]), json!([2])),
        (json!([{"id": 1, "text": "First"}]), json!([1, 2])),
        (json!([{"id": 1, "text": "First"}, note]), json!([1, 2])),
    ] {
        let body = read("ticket.note-added", &json!({"ticket": {"id": 42, "notes": notes}, "note": note}), json!({}));
        let actions = body["Actions"].as_array().unwrap();
        assert_eq!(Value::from_iter(actions.iter().map(|action| action["Id"].clone())), ids);
        assert_eq!(actions.last().unwrap()["HtmlDescription"], "<b>Second</b>");
    }
}

#[test]
fn a_packet_made_from_a_packet_is_equal() {
    let body = read("ticket.updated", &json!({"ticket": full()}), json!({}));
    let mut again = body.clone();
    again["id"] = 42.into();
    assert_eq!(read("ticket.updated", &again, json!({})), body);
}

#[test]
fn errors_are_reported() {
    assert_eq!(packet("ticket.created", "{", json!({})).unwrap_err().code, "message.not_json");
    let wrong = json!({"webhook_events": [{"criteria": "2", "operator": 1}]});
    assert!(packet("ticket.created", "{}", wrong).unwrap_err().message.contains("webhook_events[0].criteria"));
}
