//! Incoming webhooks as Uspacy's article has them: its requests and answers, letter by letter.

use std::time::Duration;

use hookwright_tests::scene::{self, text};
use hookwright_tests::{Answer, Client, Options, Receiver, Server};
use serde_json::{Value, json};

/// The article's answer to `GET {webhook_url}/tasks/v1/tasks/816`.
const TASK: &str = r#"{
"id": "816", "parentId": 250, "title": "Task", "setterId": "1", "createdBy": "1", "createdDate": 1732623300,
"departmentId": "1", "groupId": "2", "closedBy": "", "responsibleId": "2", "deadline": 0, "closedDate": null,
"body": "<p class=\"PlaygroundEditorTheme__paragraph\" dir=\"ltr\"><span style=\"white-space: pre-wrap;\">опис</span></p><p class=\"PlaygroundEditorTheme__paragraph\" dir=\"ltr\"><span style=\"white-space: pre-wrap;\">Description</span></p>",
"status": "notScheduled", "priority": "veryHigh", "resultCommentId": "", "requiredResult": false, "acceptResult": true,
"timeTracking": true, "timeEstimate": 0, "template": false, "templateId": 294, "delegation": true, "basicTask": false,
"taskType": "task", "accomplicesIds": ["2", "3", "4", "36", "37", "43", "44", "45", "46", "47"],
"auditorsIds": ["2", "3", "4", "36", "37", "43", "44", "45", "46", "47"], "kanbanStageId": "",
"elapsedTimes": {"totalSeconds": 0, "myTime": 0, "elapsedTimes": []},
"crmEntities": {"deals": [{"id": 124, "title": "Deal"}], "companies": [{"id": 39, "title": "Company"}],
"universal_entity": [{"id": 2, "title": "Universal"}]},
"scheduler": {"taskId": 294, "active": true, "nextRun": 1732709700, "dateStart": "09.10.2024", "hourStart": 54900,
"dateStop": null, "timezoneOffset": 3, "deadlineDay": null, "deadlineHour": null, "currentIteration": null,
"iteration": null, "period": "day", "every": 1, "dayOfWeek": null, "dayOfMonth": null, "weekOfMonth": null,
"stoppedByForce": 0, "createdAt": 1728475564, "updatedAt": 1728475564}}"#;

/// The article's answer to `POST {webhook_url}/crm/v1/entities/leads`.
const LEAD: &str = r#"{
"id": 414, "created_at": 1732627155, "updated_at": 1732627155, "title": "Lead", "owner": 390, "created_by": 1,
"changed_by": "", "converted": false, "contacts": "", "companies": "", "first_name": "", "last_name": "",
"patronymic": "", "company_name": "", "position": "", "utm_source": "", "utm_medium": "", "utm_campaign": "",
"utm_content": "", "utm_term": "", "messengers": "", "phone": "", "email": "", "comments": "qwerty", "source": "",
"lead_label": "", "kanban_status": "IN_WORK", "kanban_reason_id": "", "closed_by": "", "closed_at": "",
"first_closed_by": "", "first_closed_at": "", "kanban_stage_id": 1, "table_name": "leads",
"new_kanban_stage_id": null, "old_kanban_stage_id": null}"#;

/// The article's answer to a request that is not permitted.
const DENIED: &str = r#"{"errors":{"text":["Access is denied!"]},"status":true}"#;

/// Makes an incoming webhook; returns it, and who calls its URL without any key.
#[track_caller]
fn incoming(client: &Client, access: &[&str]) -> (Value, Client) {
    let made = client
        .post("/v1/sources", &json!({"name": "Site form", "kind": "incoming", "access": access, "active": true}))
        .expect(201);
    (made, client.without_key())
}

#[track_caller]
fn denied(answer: &Answer) {
    assert_eq!((answer.status, answer.text().as_str()), (403, DENIED), "{answer}");
    assert!(answer.header("content-type").is_some_and(|kind| kind.starts_with("application/json")), "{answer}");
}

/// An error in this dialect, which says something of each of these fields.
#[track_caller]
fn assert_error(answer: &Answer, status: u16, code: &str, fields: &[&str]) {
    let body = answer.expect(status);
    assert_eq!((&body["status"], &body["code"]), (&json!(true), &json!(code)), "{answer}");
    let named: Vec<&String> = body["errors"].as_object().unwrap().keys().collect();
    assert_eq!(named, fields, "{answer}");
    assert!(!text(&body["errors"][fields[0]][0]).is_empty(), "{answer}");
}

#[test]
fn an_incoming_webhook_has_a_name_access_a_switch_and_a_url_that_needs_no_other_token() {
    let server = Server::shared();
    let client = server.space("r3-6");
    let (made, anyone) = incoming(&client, &["CRM", "tasks", "chats", "activities"]);
    assert_eq!(
        (&made["name"], &made["kind"], &made["active"]),
        (&json!("Site form"), &json!("incoming"), &json!(true))
    );
    assert_eq!(made["access"], json!(["activities", "chats", "crm", "tasks"]));
    assert_eq!(made.get("secret"), None, "the URL is the secret");
    assert_eq!((&made["owner"]["role"], &made["owner"]["revoked"]), (&json!("admin"), &json!(false)), "{made}");
    let url = text(&made["url"]);
    assert!(url.rsplit('/').next().unwrap().len() >= 32, "{url} can be guessed");
    anyone.get(&format!("{url}/tasks/v1/tasks")).expect(200);

    let path = format!("/v1/sources/{}", text(&made["id"]));
    client.patch(&path, &json!({"active": false})).expect(200);
    assert_error(&anyone.get(&format!("{url}/tasks/v1/tasks")), 403, "source.inactive", &["text"]);
    client.patch(&path, &json!({"active": true})).expect(200);
    anyone.get(&format!("{url}/tasks/v1/tasks")).expect(200);

    let wrong = json!({"name": "", "kind": "incoming", "access": ["crm", "users"], "with": {"user": 0, "x": 1},
        "secret": "s", "rate": {"requests": 0, "per_seconds": 1}});
    let mistakes = client.post("/v1/sources", &wrong).paths();
    assert_eq!(mistakes, ["name", "rate.requests", "access[1]", "with.user", "with.x", "secret"], "all at once");
    assert_eq!(client.post("/v1/sources", &json!({"name": "x", "kind": "incoming"})).paths(), ["access"]);
    assert_eq!(client.patch(&path, &json!({"kind": "github"})).paths(), ["kind"]);
    assert_eq!(client.patch(&path, &json!({"owner": "key_of_nobody"})).paths(), ["owner"]);
}

#[test]
fn rotation_disables_the_old_url_at_once_or_after_the_overlap() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (made, anyone) = incoming(&client, &["tasks"]);
    let (path, first) = (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]));
    let list = |url: &str| anyone.get(&format!("{url}/tasks/v1/tasks"));
    let rotated = client.send("POST", &format!("{path}/rotate"), &[], b"").expect(200);
    let second = text(&rotated["url"]);
    assert_ne!(first, second);
    list(&first).problem(404, "source.not_found");
    list(&second).expect(200);
    assert!(rotated["rotated_at"].is_string() && rotated.get("former_url_until").is_none(), "{rotated}");

    let rotated = client.post(&format!("{path}/rotate"), &json!({"overlap_seconds": 3600})).expect(200);
    assert!(rotated["former_url_until"].is_string(), "{rotated}");
    let third = text(&rotated["url"]);
    list(&second).expect(200);
    list(&third).expect(200);
    server.advance(Duration::from_secs(3600));
    list(&second).problem(404, "source.not_found");
    list(&third).expect(200);
    assert_eq!(client.get(&path).expect(200)["url"], third);
    let long = json!({"overlap_seconds": 604_801});
    assert_eq!(client.post(&format!("{path}/rotate"), &long).paths(), ["overlap_seconds"]);
}

#[test]
fn a_url_is_rate_limited_as_configured() {
    let server = Server::shared();
    let client = server.space("r3-6-rate");
    let (made, anyone) = incoming(&client, &["tasks"]);
    let (path, url) = (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]));
    assert_eq!(made["rate"], Value::Null);
    client.patch(&path, &json!({"rate": {"requests": 2, "per_seconds": 3600}})).expect(200);
    for _ in 0..2 {
        anyone.get(&format!("{url}/tasks/v1/tasks")).expect(200);
    }
    for _ in 0..20 {
        let answer = anyone.get(&format!("{url}/tasks/v1/tasks"));
        assert_error(&answer, 429, "source.rate_limited", &["text"]);
        let seconds: u32 = answer.header("retry-after").unwrap().parse().unwrap();
        assert!((1..=1800).contains(&seconds), "{answer}");
    }
    let log = scene::all(&client, &format!("{path}/requests"));
    let limited = log.iter().filter(|entry| entry["code"] == "source.rate_limited").count();
    assert!((1..20).contains(&limited), "a flood does not push out everything else: {limited} of {}", log.len());
    assert_eq!(client.patch(&path, &json!({"rate": null})).expect(200)["rate"], Value::Null);
    anyone.get(&format!("{url}/tasks/v1/tasks")).expect(200);
}

#[test]
fn a_task_is_read_as_in_the_article() {
    let server = Server::shared();
    let client = server.space("r3-7-task");
    let (made, anyone) = incoming(&client, &["tasks"]);
    let url = text(&made["url"]);
    let article: Value = serde_json::from_str(TASK).unwrap();
    // What was read can be sent back: the read-only fields are passed over.
    let created = anyone.post(&format!("{url}/tasks/v1/tasks"), &article).expect(201);
    assert_eq!(created["id"], "1");
    let read = anyone.get(&format!("{url}/tasks/v1/tasks/1"));
    let found = read.expect(200);
    assert_eq!(found, created);
    let mut expected = article.clone();
    expected["id"] = json!("1");
    expected["createdDate"] = found["createdDate"].clone();
    assert!(found["createdDate"].as_i64().is_some_and(|at| at > 1_732_623_300), "{found}");
    assert_eq!(found, expected);
    let order = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(order(&found), order(&article), "in the article's order");
    // A task that was made without all of it has the same fields with the same types.
    let bare = client.post("/v1/records/task", &json!({"title": "Bare", "responsibleId": 7})).expect(201);
    let bare = anyone.get(&format!("{url}/tasks/v1/tasks/{}", bare["id"])).expect(200);
    assert_eq!(order(&bare), order(&article));
    assert_eq!((&bare["responsibleId"], &bare["setterId"], &bare["priority"]), (&json!("7"), &json!(""), &json!("")));
}

#[test]
fn a_lead_is_created_as_in_the_article_and_emits_the_usual_events() {
    let server = Server::shared();
    let client = server.space("r3-7-lead");
    let (made, anyone) = incoming(&client, &["crm"]);
    let url = text(&made["url"]);
    let sent = json!({"owner": 390, "title": "Lead", "comments": "qwerty"});
    let lead = anyone.post(&format!("{url}/crm/v1/entities/leads"), &sent).expect(201);
    let mut expected: Value = serde_json::from_str(LEAD).unwrap();
    for name in ["id", "created_at", "updated_at"] {
        assert!(lead[name].is_u64(), "{name} of {lead}");
        expected[name] = lead[name].clone();
    }
    assert_eq!(lead.to_string(), expected.to_string(), "in the article's order too");

    let events = scene::all(&client, "/v1/events?type=lead.created");
    assert_eq!(events.len(), 1);
    let event = client.get(&format!("/v1/events/{}", text(&events[0]["id"]))).expect(200);
    assert!(event.to_string().contains(r#""source":"Site form""#), "the source is named in the cause: {event}");
    let history = client.get("/v1/records/lead/1/history").expect(200);
    let by = &history["data"][0]["by"];
    assert_eq!((&by["source"], &by["key"]), (&json!("Site form"), &made["owner"]["key"]), "{history}");
    let log = scene::all(&client, &format!("/v1/sources/{}/requests", text(&made["id"])));
    assert_eq!((&log[0]["status"], &log[0]["events"]), (&json!(201), &json!([events[0]["id"]])), "{log:?}");
}

#[test]
fn every_tool_lists_reads_creates_updates_and_deletes() {
    let server = Server::shared();
    let client = server.space("r3-7-kin");
    let (made, anyone) = incoming(&client, &["crm", "tasks", "activities", "chats"]);
    let url = text(&made["url"]);
    for (path, kind, sent, change) in [
        ("/crm/v1/entities/leads", "lead", json!({"title": "A"}), json!({"title": "B"})),
        (
            "/crm/v1/entities/deals",
            "deal",
            json!({"title": "A", "kanban_stage_id": "3"}),
            json!({"kanban_stage_id": 4}),
        ),
        ("/crm/v1/entities/contacts", "contact", json!({"title": "A"}), json!({"position": "Chief"})),
        ("/crm/v1/entities/companies", "company", json!({"title": "A"}), json!({"company_label": "customer"})),
        ("/tasks/v1/tasks", "task", json!({"title": "A"}), json!({"status": "done", "kanbanStageId": 12})),
        ("/activities/v1/activities", "activity", json!({"title": "A", "type": "call"}), json!({"status": "done"})),
        ("/newsfeed/v1/posts", "post", json!({"message": "A"}), json!({"message": "B"})),
        ("/comments/v1/comments", "comment", json!({"message": "A", "entity_id": 1}), json!({"message": "B"})),
    ] {
        let all = format!("{url}{path}");
        let made = anyone.post(&all, &sent).expect(201);
        let one = format!("{all}/{}", made["id"].as_str().map_or_else(|| made["id"].to_string(), str::to_owned));
        assert_eq!(anyone.get(&one).expect(200), made);
        anyone.post(&all, &sent).expect(201);
        let page = anyone.get(&format!("{all}?list=1")).expect(200);
        assert_eq!((page["data"].as_array().unwrap().len(), &page["meta"]["more"]), (1, &json!(true)), "{page}");
        let page = anyone.get(&format!("{all}?list=1&page=2")).expect(200);
        assert_eq!((&page["data"][0], &page["meta"]), (&made, &json!({"page": 2, "list": 1, "more": false})));
        let changed = anyone.patch(&one, &change).expect(200);
        for (name, value) in change.as_object().unwrap() {
            let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            assert_eq!(plain(&changed[name]), plain(value), "{name} of {changed}");
        }
        // What was read can be sent back.
        anyone.patch(&one, &changed).expect(200);
        let deleted = anyone.delete(&one);
        assert_eq!((deleted.status, deleted.body.len()), (204, 0));
        assert_error(&anyone.get(&one), 404, "record.not_found", &["text"]);
        for verb in ["created", "updated", "deleted"] {
            let events = scene::all(&client, &format!("/v1/events?type={kind}.{verb}"));
            assert!(!events.is_empty(), "{kind}.{verb} was not told");
        }
    }
    assert_eq!(scene::all(&client, "/v1/events?type=deal.moved").len(), 1);
    let leads = |query: &str| anyone.get(&format!("{url}/crm/v1/entities/leads{query}"));
    assert_eq!(leads("?title=A").expect(200)["data"].as_array().unwrap().len(), 1);
    assert_error(&leads("?page=0"), 400, "query.invalid", &["page"]);
    assert_error(&leads("?list=101"), 400, "query.invalid", &["list"]);
    assert_error(&leads("?title[nearly]=A"), 400, "query.invalid", &["text"]);
    assert_error(
        &anyone.post(&format!("{url}/tasks/v1/tasks"), &json!({"body": [1]})),
        422,
        "input.invalid",
        &["body", "title"],
    );
    assert_error(&anyone.send("POST", &format!("{url}/tasks/v1/tasks"), &[], b"{"), 400, "body.not_json", &["text"]);
    assert_error(&anyone.get(&format!("{url}/crm/v1/entities/users")), 404, "route.not_found", &["text"]);
    let answer = anyone.put(&format!("{url}/tasks/v1/tasks"), b"{}");
    assert_error(&answer, 405, "method.not_allowed", &["text"]);
    assert_eq!(answer.header("allow"), Some("GET, POST"));
    let message = text(&answer.json()["errors"]["text"][0]);
    assert!(message.ends_with("tasks/v1/tasks does not support PUT; it supports GET, POST"), "{message}");
}

#[test]
fn records_are_created_by_the_user_of_the_owners_key_by_default() {
    let server = Server::shared();
    let client = server.space("r3-7-users");
    let user = json!({"id": 9, "name": "Ada Lovelace"});
    let key = client.post("/v1/keys", &json!({"name": "k", "role": "editor", "user": user})).expect(201);
    let (made, anyone) = incoming(&client, &["crm", "tasks"]);
    let (path, url) = (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]));
    let receiver = Receiver::start();
    let hook = json!({"url": receiver.url(), "profile": "uspacy", "event": "lead.created", "handshake": "none",
        "signing": {"kind": "none"}});
    client.post("/v1/webhooks", &hook).expect(201);
    let (leads, lead) = (format!("{url}/crm/v1/entities/leads"), json!({"title": "Lead"}));
    assert_eq!(anyone.post(&leads, &lead).expect(201)["created_by"], 1, "the owner's key stands for nobody");

    client.patch(&path, &json!({"owner": key["id"]})).expect(200);
    assert_eq!(anyone.post(&leads, &lead).expect(201)["created_by"], 9);
    assert_eq!(anyone.patch(&format!("{leads}/1"), &json!({"title": "L"})).expect(200)["changed_by"], 9);
    let task = anyone.post(&format!("{url}/tasks/v1/tasks"), &json!({"title": "T"})).expect(201);
    assert_eq!(json!([task["createdBy"], task["setterId"]]), json!(["9", "9"]), "{task}");
    let by = client.get("/v1/records/lead/2/history").expect(200)["data"][0]["by"].clone();
    assert_eq!(json!([by["user"], by["source"]]), json!([user, "Site form"]), "{by}");

    client.patch(&path, &json!({"with": {"user": 4}})).expect(200);
    assert_eq!(anyone.post(&leads, &lead).expect(201)["created_by"], 4, "what the webhook says goes first");
    let mut told: Vec<Value> = receiver.wait_for(3).iter().map(|one| one.json()["data"].clone()).collect();
    told.sort_by_key(|data| data["entity"]["id"].as_u64());
    let users: Vec<&Value> = told.iter().map(|data| &data["user_id"]).collect();
    assert_eq!(users, [1, 9, 4]);
    let by = client.get("/v1/records/lead/3/history").expect(200)["data"][0]["by"].clone();
    assert_eq!((&by["key"], by.get("user")), (&key["id"], None), "{by}");
}

#[test]
fn without_the_scope_access_is_denied_as_in_the_article() {
    let server = Server::shared();
    let client = server.space("r3-8");
    let (made, anyone) = incoming(&client, &["tasks"]);
    let url = text(&made["url"]);
    let lead = json!({"owner": 390, "title": "Lead", "comments": "qwerty"});
    denied(&anyone.post(&format!("{url}/crm/v1/entities/leads"), &lead));
    denied(&anyone.get(&format!("{url}/activities/v1/activities")));
    assert_eq!(scene::all(&client, "/v1/records/lead"), Vec::<Value>::new());
    let path = format!("/v1/sources/{}", text(&made["id"]));
    client.patch(&path, &json!({"access": ["crm"]})).expect(200);
    anyone.post(&format!("{url}/crm/v1/entities/leads"), &lead).expect(201);
    denied(&anyone.get(&format!("{url}/tasks/v1/tasks")));
    let log = scene::all(&client, &format!("{path}/requests"));
    assert_eq!((&log[0]["code"], &log[0]["status"]), (&json!("access.denied"), &json!(403)));
    assert!(text(&log[0]["message"]).contains("tasks"), "{log:?}");
}

#[test]
fn an_incoming_webhook_is_limited_by_its_owners_permissions() {
    let server = Server::shared();
    let client = server.space("r3-8-owner");
    let (made, anyone) = incoming(&client, &["crm"]);
    let (path, url) = (format!("/v1/sources/{}", text(&made["id"])), text(&made["url"]));
    let leads = format!("{url}/crm/v1/entities/leads");
    let lead = json!({"title": "Lead"});
    let key = |role: &str| client.post("/v1/keys", &json!({"name": role, "role": role})).expect(201);
    anyone.post(&leads, &lead).expect(201);

    let viewer = key("viewer");
    let owned = client.patch(&path, &json!({"owner": viewer["id"]})).expect(200);
    assert_eq!((&owned["owner"]["name"], &owned["owner"]["role"]), (&json!("viewer"), &json!("viewer")));
    anyone.get(&leads).expect(200);
    anyone.get(&format!("{leads}/1")).expect(200);
    denied(&anyone.post(&leads, &lead));
    denied(&anyone.patch(&format!("{leads}/1"), &lead));
    denied(&anyone.delete(&format!("{leads}/1")));

    let ingest = key("ingest");
    client.patch(&path, &json!({"owner": ingest["id"]})).expect(200);
    denied(&anyone.get(&leads));

    let editor = key("editor");
    client.patch(&path, &json!({"owner": editor["id"]})).expect(200);
    anyone.post(&leads, &lead).expect(201);
    // A key that is rotated keeps what is its own; one that is revoked takes everything away.
    let rotated = client.post(&format!("/v1/keys/{}/rotate", text(&editor["id"])), &json!({})).expect(201);
    assert_eq!(client.get(&path).expect(200)["owner"]["key"], rotated["id"]);
    anyone.post(&leads, &lead).expect(201);
    client.delete(&format!("/v1/keys/{}", text(&rotated["id"]))).expect(204);
    denied(&anyone.get(&leads));
    denied(&anyone.post(&leads, &lead));
    assert_eq!(client.get(&path).expect(200)["owner"]["revoked"], true);
    assert_eq!(scene::all(&client, "/v1/records/lead").len(), 3);
}

#[test]
fn an_incoming_webhook_whose_owners_key_has_expired_is_refused_until_another_key_owns_it() {
    let server = Server::start(Options::default().clock());
    let client = server.client();
    let (made, anyone) = incoming(&client, &["crm"]);
    let (path, leads) =
        (format!("/v1/sources/{}", text(&made["id"])), format!("{}/crm/v1/entities/leads", text(&made["url"])));
    let brief = json!({"name": "brief", "role": "editor", "expires_in_seconds": 60});
    let brief = client.post("/v1/keys", &brief).expect(201);
    client.patch(&path, &json!({"owner": brief["id"]})).expect(200);
    let lead = json!({"title": "Lead"});
    anyone.post(&leads, &lead).expect(201);
    server.advance(Duration::from_secs(60));
    denied(&anyone.get(&leads));
    denied(&anyone.post(&leads, &lead));
    client.patch(&path, &json!({"owner": made["owner"]["key"]})).expect(200);
    anyone.post(&leads, &lead).expect(201);
    assert_eq!(scene::all(&client, "/v1/records/lead").len(), 2);
}
