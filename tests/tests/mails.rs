//! Mails that actions ask for, taken by a mail server that others wrote.

use hookwright_tests::programs::{Program, python};
use hookwright_tests::scene::{self, text};
use hookwright_tests::{Client, Options, Server, eventually};
use serde_json::{Value, json};

/// A mail server, and Hookwright that sends through it.
fn sending() -> (Program, Server) {
    sending_through(Program::start(&mut python("mail_server.py")))
}

fn sending_through(mut mail_server: Program) -> (Program, Server) {
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
fn a_mail_has_text_html_and_attachments_rendered_from_the_event() {
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
    assert_eq!(parts[1].2, "<ul><li>Kettle &lt;1 l&gt;</li><li>Tea</li></ul>", "what the event says is not markup");
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
fn several_reply_to_addresses_are_sent_in_one_field() {
    let (mut mail_server, server) = sending();
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["tell"], "then": [{"action": "email-send", "with": {
            "to": "ada@example.com", "subject": "s", "text": "t", "reply_to": "{{event.data.reply_to}}"}}]}),
    );
    for (reply_to, field) in [
        (json!(["Help <help@example.com>", "books@example.com"]), "Help <help@example.com>, books@example.com"),
        (json!("one@example.com"), "one@example.com"),
    ] {
        scene::send(&client, "tell", &json!({"reply_to": reply_to}));
        let taken = mail_server.line();
        assert_eq!(taken["fields"]["reply-to"], field, "{taken:#}");
        assert_eq!(taken["to"], json!(["ada@example.com"]), "replies go there, and nothing else does");
    }
}

#[test]
fn temporary_smtp_errors_are_retried_and_permanent_ones_fail_with_the_servers_reason() {
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
fn a_comma_separated_text_is_split_into_addresses_and_an_invalid_address_fails_the_step() {
    let (mut mail_server, server) = sending();
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["tell"], "then": [{"action": "email-send", "with": {
            "to": "{{event.data.to}}", "cc": "\"Roe, Bob\" <bob@example.com>, carl@example.com",
            "subject": "s", "text": "t"}}]}),
    );
    scene::send(&client, "tell", &json!({"to": ["\"Doe, Ada\" <ada@example.com>", "dan@example.com"]}));
    let taken = mail_server.line();
    assert_eq!(taken["to"], json!(["ada@example.com", "dan@example.com", "bob@example.com", "carl@example.com"]));
    let event = scene::send(&client, "tell", &json!({"to": "ada@example.com; dan@example.com"}));
    let outcome = scene::story(&client, &event)["runs"][0]["steps"][0]["outcome"].clone();
    assert_eq!((&outcome["kind"], &outcome["code"]), (&json!("failed"), &json!("parameters.invalid")), "{outcome:#}");
    let message = text(&outcome["message"]);
    assert!(message.contains("`to`") && message.contains("ada@example.com; dan@example.com"), "{message}");
    assert_eq!(scene::all(&client, "/v1/mails").len(), 1, "nothing was queued");
}

#[test]
fn domains_are_sent_in_ascii_and_unsupported_local_parts_fail() {
    let (mut mail_server, server) = sending_through(Program::start(python("mail_server.py").arg("ascii")));
    let client = server.client();
    scene::automation(
        &client,
        &json!({"name": "Tell", "on": ["tell"], "then": [
            {"action": "email-send", "with": {"to": "{{event.data.to}}", "subject": "s", "text": "t"}}]}),
    );
    scene::send(&client, "tell", &json!({"to": "a@bücher.de"}));
    assert_eq!(mail_server.line()["to"], json!(["a@xn--bcher-kva.de"]));
    assert_eq!(mail(&client, "a@bücher.de")["state"], "sent");
    scene::send(&client, "tell", &json!({"to": "ü@example.com"}));
    let failed = mail(&client, "ü@example.com");
    assert_eq!((&failed["state"], &failed["attempts"]), (&json!("failed"), &json!(1)), "{failed:#}");
    assert!(text(&failed["last_error"]).contains("not ASCII"), "{failed:#}");
}

#[test]
fn variables_cannot_add_or_change_addresses() {
    let server = Server::shared();
    let client = server.space("mails-hostile");
    let named = "\"{{event.data.v}}\" <{{event.data.mail}}>";
    let list = json!(["ops@example.com", "{{event.data.v}}"]);
    let quoted = "evil\" <evil@example.com>, \"x";
    let two = json!("a@example.com, evil@example.com");
    for (row, (parameter, addresses, value, takes)) in [
        ("to", json!(named), json!(quoted), None),
        ("to", json!(named), json!("Doe, Ada"), Some(json!(["\"Doe, Ada\" <m@example.com>"]))),
        ("cc", json!(named), json!(quoted), None),
        ("bcc", json!(named), json!(quoted), None),
        ("reply_to", json!(named), json!(quoted), None),
        ("from", json!(named), json!("x\" <evil@example.com> (\""), None),
        ("to", json!("ops@example.com, {{event.data.v}}"), two.clone(), None),
        (
            "to",
            json!("ops@example.com, {{event.data.v}}"),
            json!("a@example.com"),
            Some(json!(["ops@example.com", "a@example.com"])),
        ),
        ("to", list.clone(), two.clone(), None),
        ("to", list, json!("A <a@example.com>"), Some(json!(["ops@example.com", "A <a@example.com>"]))),
        ("to", json!("{{event.data.v}}"), two.clone(), None),
        ("cc", json!("{{event.data.v}}"), two.clone(), None),
        ("to", json!("{{event.data.v}}"), json!([two]), None),
        (
            "to",
            json!("{{event.data.v}}"),
            json!(["a@example.com", "b@example.com"]),
            Some(json!(["a@example.com", "b@example.com"])),
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let event_type = format!("hostile.row{row}");
        let mut with = json!({"to": "ok@example.com", "subject": event_type, "text": "t"});
        with[parameter] = addresses;
        scene::automation(
            &client,
            &json!({"name": event_type, "on": [event_type], "then": [{"action": "email-send", "with": with}]}),
        );
        let event = scene::send(&client, &event_type, &json!({"v": value, "mail": "m@example.com"}));
        let outcome = scene::story(&client, &event)["runs"][0]["steps"][0]["outcome"].clone();
        let mails = scene::all(&client, "/v1/mails");
        let mail = mails.iter().find(|mail| mail["letter"]["subject"] == *event_type);
        match takes {
            Some(to) => assert_eq!(mail.map(|mail| &mail["letter"]["to"]), Some(&to), "{with} {outcome:#}"),
            None => {
                assert_eq!((&outcome["code"], mail), (&json!("parameters.invalid"), None), "{with} {outcome:#}");
                assert!(text(&outcome["message"]).contains(parameter), "{with} {outcome:#}");
            }
        }
    }
}

#[test]
fn an_empty_address_variable_is_skipped_or_reported() {
    let server = Server::shared();
    let client = server.space("mails-empty");
    for (row, (parameter, value, said)) in [
        ("cc", json!(""), None),
        ("bcc", json!(null), None),
        ("reply_to", json!([]), None),
        ("to", json!(""), Some("give ada@example.com")),
        ("to", json!(null), Some("a list")),
    ]
    .into_iter()
    .enumerate()
    {
        let event_type = format!("empty.row{row}");
        let mut with = json!({"to": "ok@example.com", "subject": "s", "text": "t"});
        with[parameter] = json!("{{event.data.v}}");
        scene::automation(
            &client,
            &json!({"name": event_type, "on": [event_type], "then": [{"action": "email-send", "with": with}]}),
        );
        let event = scene::send(&client, &event_type, &json!({"v": value}));
        let outcome = scene::story(&client, &event)["runs"][0]["steps"][0]["outcome"].clone();
        match said {
            None => assert_eq!(outcome["kind"], "done", "{parameter} {value}: {outcome:#}"),
            Some(said) => {
                let message = text(&outcome["message"]);
                assert!(message.contains("to") && message.contains(said), "{value}: {message}");
            }
        }
    }
}

#[test]
fn without_a_mail_server_mails_are_stored() {
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
