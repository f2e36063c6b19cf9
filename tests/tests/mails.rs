//! Mails that actions ask for, taken by a mail server that others wrote.

use hookwright_tests::programs::{Program, python};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

/// A mail server, and Hookwright that sends through it.
fn sending() -> (Program, Server) {
    let mut mail_server = Program::start(&mut python("mail_server.py"));
    let url = format!("smtp://127.0.0.1:{}", mail_server.line()["port"]);
    let server = Server::start(
        Options::default().set("HOOKWRIGHT_SMTP_URL", &url).set("HOOKWRIGHT_MAIL_FROM", "Hookwright <bot@example.com>"),
    );
    (mail_server, server)
}

/// The mail that comes of an event, once it is no longer under way.
fn mail(client: &Client, to: &str) -> Value {
    eventually(|| {
        let found = scene::all(client, "/v1/mails").into_iter().find(|mail| mail["letter"]["to"][0] == *to);
        found.filter(|mail| mail["state"] != "queued").ok_or_else(|| format!("no mail to {to} has left"))
    })
}

#[test]
fn a_mail_has_its_text_its_html_and_its_attachments_made_of_the_event() {
    let (mut mail_server, server) = sending();
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["order.paid"], "then": [
            {"transform": "template", "name": "page", "with": {
                "template": "<ul>{% for item in data.items %}<li>{{ item.name }}</li>{% endfor %}</ul>", "content_type": "text/html"}},
            {"action": "email-send", "name": "mail", "with": {
                "to": "{{event.data.buyer}}", "cc": ["Stock <stock@example.com>"], "bcc": "books@example.com",
                "subject": "Bestellung {{event.data.id}}: Grüße",
                "text": "You bought {{event.data.items.0.name}}.", "html": "{{steps.page.result}}",
                "attachments": [
                    {"name": "order.json", "json": "{{event.data}}"},
                    {"name": "receipt.pdf", "content_type": "application/pdf", "base64": "{{event.data.receipt}}"},
                    {"name": "note.txt", "text": "for {{event.data.buyer}}"}]}},
        ]}),
    );
    let data = json!({"id": 42, "buyer": "ada@example.com", "items": [{"name": "Kettle <1 l>"}, {"name": "Tea"}],
        "receipt": "JVBERi0xLjQ="});
    let event = scene::send(&client, "order.paid", &data);
    let taken = mail_server.line();
    assert_eq!(taken["sender"], "bot@example.com");
    assert_eq!(taken["to"], json!(["ada@example.com", "stock@example.com", "books@example.com"]));
    let fields = &taken["fields"];
    assert_eq!(
        (&fields["subject"], &fields["from"], &fields["cc"], &fields["bcc"]),
        (
            &json!("Bestellung 42: Grüße"),
            &json!("Hookwright <bot@example.com>"),
            &json!("Stock <stock@example.com>"),
            &Value::Null
        )
    );
    let parts: Vec<(String, Value, String)> = taken["parts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|part| (text(&part["type"]), part["name"].clone(), text(&part["content"]).trim_end().to_owned()))
        .collect();
    assert_eq!(parts.len(), 5, "{taken:#}");
    assert_eq!(parts[0], ("text/plain".to_owned(), Value::Null, "You bought Kettle <1 l>.".to_owned()));
    assert_eq!(parts[1].0, "text/html");
    assert_eq!(parts[1].2, "<ul><li>Kettle &lt;1 l&gt;</li><li>Tea</li></ul>", "what the event says is no markup");
    assert_eq!((&parts[2].1, serde_json::from_str::<Value>(&parts[2].2).unwrap()), (&json!("order.json"), data));
    assert_eq!(parts[3], ("application/pdf".to_owned(), json!("receipt.pdf"), "%PDF-1.4".to_owned()));
    assert_eq!((parts[4].1.clone(), parts[4].2.as_str()), (json!("note.txt"), "for ada@example.com"));

    let shown = mail(&client, "ada@example.com");
    assert_eq!((&shown["state"], &shown["attempts"]), (&json!("sent"), &json!(1)), "{shown:#}");
    assert_eq!(text(&fields["message-id"]).split('.').next().unwrap(), format!("<{}", shown["id"]));
    let story = scene::story(&client, &event);
    let step = &story["runs"][0]["steps"][1];
    assert_eq!(step["outcome"]["result"]["mail"].to_string().trim_matches('"'), shown["id"].to_string(), "{step:#}");
}

#[test]
fn who_is_busy_is_tried_again_and_who_is_not_there_is_given_up_with_the_server_s_reason() {
    let (mut mail_server, server) = sending();
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["tell"], "then": [
            {"action": "email-send", "with": {"to": "{{event.data.to}}", "subject": "s", "text": "t"}}]}),
    );
    for to in ["busy@example.com", "nobody@example.com"] {
        scene::send(&client, "tell", &json!({"to": to}));
    }
    let failed = mail(&client, "nobody@example.com");
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("failed"), &json!(1)), "{failed:#}");
    assert!(text(&failed["last_error"]).contains("there is nobody of that name"), "{failed:#}");
    let waits = eventually(|| {
        let all = scene::all(&client, "/v1/mails");
        let one = all.into_iter().find(|mail| mail["letter"]["to"][0] == "busy@example.com" && mail["attempts"] == 1);
        one.ok_or_else(|| "not tried yet".to_owned())
    });
    assert!(waits["next_attempt_at"].is_string() && text(&waits["last_error"]).contains("come again"), "{waits:#}");
    assert_eq!(mail_server.line()["to"], json!(["busy@example.com"]));
    assert_eq!(mail(&client, "busy@example.com")["attempts"], 2);
}

#[test]
fn without_a_mail_server_mails_are_kept_to_be_looked_at() {
    let server = Server::shared();
    let client = server.space("mails-kept");
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["tell"], "then": [{"action": "email-send", "with": {
            "to": "ada@example.com", "subject": "Hello", "html": "<b>Hi</b>",
            "attachments": [{"name": "a.txt", "text": "x"}]}}]}),
    );
    scene::send(&client, "tell", &json!({}));
    let kept = mail(&client, "ada@example.com");
    assert_eq!((&kept["state"], &kept["letter"]["html"]), (&json!("kept"), &json!("<b>Hi</b>")), "{kept:#}");
    let one = client.get(&format!("/v1/mails/{}", kept["id"])).expect(200);
    assert_eq!(one["letter"]["attachments"][0]["name"], "a.txt", "{one:#}");
    client.get("/v1/mails/999999").problem(404, "mail.not_found");
}
