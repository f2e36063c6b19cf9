//! The reference systems' messages, made of records that were made here: the packets of the articles, field by field.

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Server};
use serde_json::{Value, json};

/// What a transform made of the newest event of a type about a record.
#[track_caller]
fn packet(client: &Client, subject: &str, event_type: &str) -> Value {
    let events = scene::all(client, &format!("/v1/events?subject={subject}&type={event_type}"));
    let story = scene::story(client, &text(&events[0]["id"]));
    let outcome = &story["runs"][0]["steps"][0]["outcome"];
    assert_eq!(outcome["kind"], "done", "{story:#}");
    outcome["result"].clone()
}

fn transformed(client: &Client, event_type: &str, transform: &str, with: &Value) {
    let automation = json!({"name": event_type, "on": [event_type], "then": [{"transform": transform, "with": with}]});
    scene::automation(client, &automation);
}

#[test]
fn a_party_has_the_payload_of_the_article() {
    let server = Server::shared();
    let client = server.space("packet-party");
    transformed(&client, "party.created", "capsule", &json!({}));
    let party = json!({
        "type": "person", "about": null, "title": null, "firstName": "Scott", "lastName": "Spacey",
        "jobTitle": "Creative Director", "organisation": null,
        "addresses": [{"id": 12135, "type": null, "city": "Chicago", "country": "United States",
            "street": "847 North Rush Street", "state": "IL", "zip": "65629"}],
        "phoneNumbers": [{"id": 12133, "type": null, "number": "773-338-7786"}],
        "emailAddresses": [{"id": 12134, "type": "Work", "address": "scott@homestyleshop.co"}],
        "pictureURL": "https://capsulecrm.com/theme/default/images/person_avatar_70.png",
    });
    let made = client.post("/v1/records/party", &party).expect(201);
    let mut expected = party;
    for (name, value) in [("lastContactedAt", Value::Null), ("websites", json!([])), ("id", json!(1))] {
        expected[name] = value;
    }
    for name in ["createdAt", "updatedAt"] {
        let (seconds, _) = made[name].as_str().and_then(|time| time.split_once('.')).expect("a time with a fraction");
        expected[name] = json!(format!("{seconds}Z"));
    }
    let packet = packet(&client, "party/1", "party.created");
    assert_eq!(packet, json!({"event": "party/created", "payload": [expected]}));
}

#[test]
fn a_ticket_has_the_packet_of_the_article() {
    let server = Server::shared();
    let client = server.space("packet-ticket");
    let with = json!({"webhook_events": [{"criteria": 2, "operator": 1}]});
    transformed(&client, "ticket.note-added", "support-service", &with);
    let ticket = json!({
        "subject": "Printer", "status": "open", "justification": "Waiting", "urgency": "high",
        "service_first_level": "IT", "sla_solution_time": 240,
        "custom_field_values": [{"custom_field_id": 7, "custom_field_rule_id": 3, "line": 1, "value": "A",
            "items": [{"person_id": "p", "client_id": "c", "team": "t"}]}],
    });
    client.post("/v1/tickets", &ticket).expect(201);
    let note = json!({"text": "First", "html": "<b>First</b>", "public": true, "attachments": [
        {"file_name": "a.pdf", "path": "/files/a.pdf", "created_date": "2026-01-02T03:04:05", "created_by":
            {"id": "u1", "person_type": 1, "profile_type": 2, "business_name": "Ada", "email": "ada@example.com", "phone": "555"}}]});
    client.post("/v1/tickets/1/notes", &note).expect(201);
    assert_eq!(
        packet(&client, "ticket/1", "ticket.note-added"),
        json!({
            "Id": 1, "Subject": "Printer", "Status": "open", "Justification": "Waiting",
            "Actions": [{"Id": 1, "Description": "First", "HtmlDescription": "<b>First</b>", "Attachments": [
                {"FileName": "a.pdf", "Path": "/files/a.pdf", "CreatedDate": "2026-01-02T03:04:05", "CreatedBy":
                    {"Id": "u1", "PersonType": 1, "ProfileType": 2, "BusinessName": "Ada", "Email": "ada@example.com", "Phone": "555"}}]}],
            "WebhookEvents": [{"Criteria": 2, "Operator": 1}],
            "Urgency": "high", "ServiceFirstLevel": "IT", "SlaSolutionTime": 240,
            "CustomFieldValues": [{"CustomFieldId": 7, "CustomFieldRuleId": 3, "Line": 1, "Value": "A", "Items": [
                {"PersonId": "p", "ClientId": "c", "Team": "t", "CustomFieldItem": null, "StorageFileGuid": null, "FileName": null}]}],
        })
    );
}

#[test]
fn a_task_and_a_lead_have_every_field_of_the_articles() {
    let server = Server::shared();
    let client = server.space("packet-uspacy");
    for (kind, service, given) in [
        (
            "task",
            "tasks",
            json!({"title": "Task", "setterId": "1", "createdBy": "1", "departmentId": "1", "groupId": "2",
            "responsibleId": "2", "priority": "veryHigh", "parentId": 250, "kanbanStageId": "11"}),
        ),
        (
            "lead",
            "crm",
            json!({"title": "Lead", "owner": 390, "created_by": 1, "comments": "qwerty",
            "kanban_status": "IN_WORK", "kanban_stage_id": 1}),
        ),
    ] {
        transformed(&client, &format!("{kind}.created"), "uspacy", &json!({"domain": "my.uspacy.ua"}));
        let made = client.post(&format!("/v1/records/{kind}"), &given).expect(201);
        let shape = client.get(&format!("/v1/kinds/{kind}")).expect(200)["example"].clone();
        for (name, value) in shape.as_object().unwrap() {
            let own = made.get(name).unwrap_or_else(|| panic!("{kind} lacks {name}: {made}"));
            let same = own.is_null() || value.is_null() || std::mem::discriminant(own) == std::mem::discriminant(value);
            assert!(same || name == "id", "{kind}.{name}: {own} is not of the type of {value}");
        }
        let packet = packet(&client, &format!("{kind}/1"), &format!("{kind}.created"));
        assert_eq!((&packet["topic"], &packet["type"]), (&json!("Notifications"), &json!(kind)));
        let data = &packet["data"];
        assert_eq!(data["entity"], made);
        assert_eq!(
            json!([data["service"], data["domain"], data["action"]]),
            json!([service, "my.uspacy.ua", "create"])
        );
        assert_eq!(data["user_id"], 1);
    }
}
