use super::*;
use crate::catalogue::event_type;

/// The combinations of the article.
const CAPSULE: &[(&str, &[&str])] = &[
    ("party", &["created", "updated", "deleted"]),
    ("kase", &["created", "updated", "deleted", "closed", "moved"]),
    ("opportunity", &["created", "updated", "deleted", "closed", "moved"]),
    ("task", &["created", "updated", "completed"]),
    ("user", &["created", "updated", "deleted"]),
];

/// The pairs of the article, with a change of stage where there are stages.
const USPACY: &[(&str, &[&str])] = &[
    ("lead", &["created", "changed", "deleted", "stage_changed"]),
    ("deal", &["created", "changed", "deleted", "stage_changed"]),
    ("contact", &["created", "changed", "deleted"]),
    ("company", &["created", "changed", "deleted"]),
    ("activity", &["created", "changed", "deleted"]),
    ("task", &["created", "changed", "deleted", "stage_changed"]),
    ("post", &["created", "changed", "deleted"]),
    ("comment", &["created", "changed", "deleted"]),
];

/// The list of the article, in its order.
const XURRENT: &str = "automation_rule broadcast.create broadcast.update workflow.create workflow.manager-changed \
    workflow.note-added workflow.status-changed workflow.update ci.create ci.update contract.create contract.update \
    flsa.create flsa.update knowledge_article.create knowledge_article.update organization.create organization.update \
    out_of_office_period.create out_of_office_period.update out_of_office_period.delete person.create person.update \
    problem.create problem.manager-changed problem.member-changed problem.note-added problem.status-changed \
    problem.team-changed problem.update product.create product.update project.create project.manager-changed \
    project.note-added project.status-changed project.update project_task.create project_task.note-added \
    project_task.status-changed project_task.update release.create release.manager-changed release.note-added \
    release.update request.agile-board-column-changed request.create request.major-incident-status-changed \
    request.member-changed request.note-added request.status-changed request.team-changed request.update risk.create \
    risk.update risk.note-added risk.status-changed risk.manager-changed service.create service.update \
    service_instance.create service_instance.update service_offering.create service_offering.update sla.create \
    sla.update task.create task.member-changed task.note-added task.status-changed task.team-changed task.update \
    team.create team.update time_entry.create time_entry.update time_entry.delete";

fn vocabulary(name: &str) -> &'static Vocabulary {
    Vocabulary::named(name).unwrap()
}

fn pairs(table: &[(&str, &[&str])], separator: &str) -> Vec<String> {
    let names = table.iter().flat_map(|(entity, all)| all.iter().map(move |one| format!("{entity}{separator}{one}")));
    names.collect()
}

fn types(patterns: Vec<EventPattern>) -> Vec<String> {
    patterns.into_iter().map(|pattern| pattern.to_string()).collect()
}

#[test]
fn each_vocabulary_has_exactly_the_names_of_its_article() {
    assert_eq!(Vocabulary::all().iter().map(Vocabulary::name).collect::<Vec<_>>(), ["capsule", "uspacy", "xurrent"]);
    assert_eq!(vocabulary("capsule").names(), pairs(CAPSULE, "/"));
    assert_eq!(vocabulary("uspacy").names(), pairs(USPACY, "."));
    assert_eq!(vocabulary("xurrent").names(), XURRENT.split(' ').collect::<Vec<_>>());
    assert!(Vocabulary::all().iter().all(|one| !one.title().is_empty()));
    assert!(Vocabulary::named("zapier").is_none());
}

#[test]
fn every_name_leads_to_native_types_that_lead_back_to_it() {
    for vocabulary in Vocabulary::all() {
        let mut led = 0;
        for name in vocabulary.names() {
            let natives = types(vocabulary.parse(&name).unwrap());
            assert!(!natives.is_empty(), "{name}");
            for native in natives {
                assert_eq!(vocabulary.name_of(&native).as_deref(), Some(name.as_str()), "{native}");
                led += 1;
            }
        }
        // No native type has two names, or one of them would lead to the other.
        assert_eq!(vocabulary.native_types().count(), led, "{}", vocabulary.name());
    }
}

#[test]
fn a_native_change_has_its_name_in_each_vocabulary() {
    for (native, capsule, uspacy, xurrent) in [
        ("ticket.created", None, None, Some("request.create")),
        ("ticket.status-changed", None, None, Some("request.status-changed")),
        ("ticket.moved", None, None, Some("request.agile-board-column-changed")),
        ("party.updated", Some("party/updated"), None, None),
        ("contact.updated", Some("party/updated"), Some("contact.changed"), Some("person.update")),
        ("company.deleted", Some("party/deleted"), Some("company.deleted"), None),
        ("project.moved", Some("kase/moved"), None, None),
        ("project.manager-changed", None, None, Some("project.manager-changed")),
        ("opportunity.moved", Some("opportunity/moved"), Some("deal.stage_changed"), None),
        ("deal.closed", Some("opportunity/closed"), None, None),
        ("lead.moved", None, Some("lead.stage_changed"), None),
        ("task.moved", None, Some("task.stage_changed"), None),
        ("task.completed", Some("task/completed"), None, None),
        ("task.deleted", None, Some("task.deleted"), None),
        ("task.note-added", None, Some("comment.created"), Some("task.note-added")),
        ("contact.moved", None, None, None),
        ("project-task.note-added", None, None, Some("project_task.note-added")),
        ("automation.called", None, None, Some("automation_rule")),
        ("jira.issue.closed", None, None, None),
    ] {
        let expected = [("capsule", capsule), ("uspacy", uspacy), ("xurrent", xurrent)];
        for (name, word) in expected {
            assert_eq!(vocabulary(name).name_of(native).as_deref(), word, "{native} in {name}");
        }
        let words = expected.into_iter().filter_map(|(name, word)| Some((name.to_owned(), word?.to_owned())));
        assert_eq!(Vocabulary::words_for(native), words.collect(), "{native}");
    }
}

#[test]
fn the_first_kind_of_a_name_is_its_own() {
    for (name, word, natives) in [
        ("capsule", "kase/moved", &["project.moved", "kase.moved"][..]),
        ("capsule", "opportunity/closed", &["opportunity.closed", "deal.closed"]),
        ("uspacy", "deal.stage changed", &["deal.moved", "opportunity.moved"]),
        ("uspacy", "lead.stage-changed", &["lead.moved"]),
        ("uspacy", "Task.Stage changed", &["task.moved"]),
        ("xurrent", "request.create", &["request.created", "ticket.created"]),
        ("xurrent", "automation_rule", &["automation.called"]),
    ] {
        assert_eq!(types(vocabulary(name).parse(word).unwrap()), natives, "{word}");
    }
}

#[test]
fn an_unknown_pair_is_reported_with_the_names_of_its_entity_first() {
    for (name, word, first, then) in [
        (
            "capsule",
            "task/deleted",
            "task has task/created, task/updated, task/completed. The others are party/created",
            "user/deleted",
        ),
        ("capsule", "party/moved", "party has party/created, party/updated, party/deleted.", "kase/moved"),
        (
            "uspacy",
            "contact.stage_changed",
            "contact has contact.created, contact.changed, contact.deleted.",
            "lead.stage_changed",
        ),
        ("uspacy", "comment.stage_changed", "comment has comment.created", "task.stage_changed"),
        ("xurrent", "broadcast.delete", "broadcast has broadcast.create, broadcast.update.", "time_entry.delete"),
    ] {
        let mistake = vocabulary(name).parse(word).unwrap_err();
        assert_eq!(mistake.path, "event");
        assert!(mistake.message.starts_with(&format!("`{word}` cannot be: {first}")), "{mistake}");
        assert!(mistake.message.contains(then), "{mistake}");
        for valid in vocabulary(name).names() {
            assert!(mistake.message.contains(&valid), "{valid}: {mistake}");
        }
    }
}

#[test]
fn an_unknown_name_is_reported_with_every_valid_name() {
    for (name, word) in [
        ("capsule", "party"),
        ("capsule", "lead/created"),
        ("uspacy", ""),
        ("xurrent", "webhook.verify"),
        ("xurrent", "*"),
        // Capsule's clients get the name back, so only Capsule's own spelling is accepted.
        ("capsule", "PARTY/CREATED"),
        ("capsule", "Party/Created "),
        ("capsule", " party/created"),
    ] {
        let mistake = vocabulary(name).parse(word).unwrap_err();
        assert!(mistake.message.starts_with(&format!("`{word}` is not an event of {name}: give one of ")), "{mistake}");
        assert!(vocabulary(name).names().iter().all(|valid| mistake.message.contains(valid)), "{mistake}");
    }
    let long = vocabulary("capsule").parse(&"x".repeat(10_000)).unwrap_err();
    assert!(long.message.len() < 1000, "{}", long.message.len());
}

#[test]
fn events_of_changes_are_in_the_catalogue() {
    for verb in ["created", "updated", "status-changed", "note-added"] {
        assert!(event_type(&format!("ticket.{verb}")).is_some(), "{verb}");
    }
    for (verb, _) in crate::events_of_change(
        &serde_json::json!({"status": "open", "stage": 1}),
        &serde_json::json!({"status": "closed", "stage": 2}),
    ) {
        assert!(event_type(&format!("kase.{verb}")).is_some(), "{verb}");
    }
}

/// `docs/reference-systems.md` has a row for each name, with the native types that it stands for.
#[test]
fn the_page_lists_the_native_types_of_each_name() {
    let page = include_str!("../../../../../docs/reference-systems.md");
    for vocabulary in Vocabulary::all() {
        for name in vocabulary.names() {
            let natives = types(vocabulary.parse(&name).unwrap());
            let natives: Vec<String> = natives.iter().map(|native| format!("`{native}`")).collect();
            let row = format!("\n| `{name}` | {} |\n", natives.join(", "));
            assert!(page.contains(&row), "docs/reference-systems.md lacks{row}");
        }
    }
}
