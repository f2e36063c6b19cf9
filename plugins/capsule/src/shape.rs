//! A record as Capsule's own API shows it: every field of its kind, null where there is nothing, times in whole seconds.

use hookwright_sdk::dates::Instant;
use hookwright_sdk::outgoing::{Members, Object, User, number};
use serde_json::value::RawValue;

/// What a field is without a value, and whether it is a time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Null,
    List,
    Time,
}
use Field::{List, Null, Time};

/// The fields of a person, in the order of Capsule's article on REST hooks.
const PERSON: &[(&str, Field)] = &[
    ("id", Null),
    ("type", Null),
    ("about", Null),
    ("title", Null),
    ("firstName", Null),
    ("lastName", Null),
    ("jobTitle", Null),
    ("createdAt", Time),
    ("updatedAt", Time),
    ("organisation", Null),
    ("lastContactedAt", Time),
    ("addresses", List),
    ("phoneNumbers", List),
    ("websites", List),
    ("emailAddresses", List),
    ("pictureURL", Null),
];
const ORGANISATION: &[(&str, Field)] = &[
    ("id", Null),
    ("type", Null),
    ("about", Null),
    ("name", Null),
    ("createdAt", Time),
    ("updatedAt", Time),
    ("lastContactedAt", Time),
    ("addresses", List),
    ("phoneNumbers", List),
    ("websites", List),
    ("emailAddresses", List),
    ("pictureURL", Null),
];
const OPPORTUNITY: &[(&str, Field)] = &[
    ("id", Null),
    ("name", Null),
    ("description", Null),
    ("party", Null),
    ("owner", Null),
    ("team", Null),
    ("milestone", Null),
    ("value", Null),
    ("probability", Null),
    ("expectedCloseOn", Null),
    ("closedOn", Null),
    ("createdAt", Time),
    ("updatedAt", Time),
];
const KASE: &[(&str, Field)] = &[
    ("id", Null),
    ("name", Null),
    ("description", Null),
    ("status", Null),
    ("party", Null),
    ("owner", Null),
    ("team", Null),
    ("stage", Null),
    ("closedOn", Null),
    ("createdAt", Time),
    ("updatedAt", Time),
];
const USER: &[(&str, Field)] = &[
    ("id", Null),
    ("username", Null),
    ("name", Null),
    ("role", Null),
    ("timezone", Null),
    ("createdAt", Time),
    ("updatedAt", Time),
];
/// Members that a hook has embedded as lists; all others are null where there is nothing.
const EMBEDDED_LISTS: [&str; 2] = ["tags", "fields"];

/// A record of this kind in Capsule's shape. `None`: it is not an object, or of a kind that Capsule does not have.
/// `time` is the
/// event's, `completed_by` who completed the record, if the event tells of that, `embed` the names of further members.
pub(crate) fn shaped(
    kind: &str,
    record: &RawValue,
    time: &str,
    completed_by: Option<&User>,
    embed: Option<&str>,
) -> Option<String> {
    let members = Members::of(record)?;
    let is_organisation = || {
        members.text("type").as_deref() == Some("organisation")
            || (members.first(&["type", "firstName", "lastName"]).is_none() && members.first(&["name"]).is_some())
    };
    let object = match kind {
        "party" if is_organisation() => completed(ORGANISATION, &members),
        "party" => completed(PERSON, &members),
        "opportunity" => completed(OPPORTUNITY, &members),
        "kase" => completed(KASE, &members),
        "user" => completed(USER, &members),
        // A task that has no title was not written as a task of Hookwright's, and is left as received.
        "task" if members.get("title").is_some() => task(&members, time, completed_by),
        _ => return None,
    };
    Some(embedded(object, &members, kind, embed).finish())
}

/// The kind's fields in their order, then whatever else the record has.
fn completed(fields: &[(&str, Field)], members: &Members<'_>) -> Object {
    let mut object = Object::default();
    for (name, field) in fields {
        object = match (members.get(name), field) {
            (Some(value), Time) => timed(object, name, value),
            (Some(value), _) => object.with(name, value),
            (None, List) => object.with_list(name, []),
            (None, _) => object.with(name, &()),
        };
    }
    for (name, value) in members.iter().filter(|(name, _)| !fields.iter().any(|(known, _)| known == name)) {
        object = object.with(name, value);
    }
    object
}

/// A time without the fraction of its second.
fn timed(object: Object, name: &str, value: &RawValue) -> Object {
    let read = serde_json::from_str::<String>(value.get()).ok().and_then(|text| Instant::of_text(&text));
    match read {
        Some(at) => object.with(name, &Instant { nanos: 0, ..at }.to_string()),
        None => object.with(name, value),
    }
}

/// A task: Hookwright's has the fields of Uspacy's, Capsule's has others for the same.
fn task(members: &Members<'_>, time: &str, completed_by: Option<&User>) -> Object {
    let seconds = |name: &str| {
        let seconds = members.integer(name).filter(|seconds| *seconds > 0)?;
        Some(Instant { seconds, nanos: 0 }.to_string())
    };
    let deadline = seconds("deadline");
    let (due_on, due_time) = deadline.as_deref().map_or((None, None), |at| {
        let (day, clock) = at.split_once('T').unwrap_or((at, ""));
        let clock = clock.trim_end_matches('Z');
        (Some(day.to_owned()), Some(clock.to_owned()).filter(|clock| clock != "00:00:00"))
    });
    let status = members.text("status").unwrap_or_default().to_lowercase();
    let closed = seconds("closedDate");
    let is_done = matches!(status.as_str(), "done" | "completed") || closed.is_some();
    let updated = Instant::of_text(time).map(|at| Instant { nanos: 0, ..at }.to_string());
    let empty = |value: &&RawValue| !matches!(value.get(), "\"\"" | "null");
    Object::default()
        .with("id", &members.get("id"))
        .with("type", "task")
        .with("description", &members.get("title"))
        .with("detail", &members.get("body").filter(empty))
        .with("category", &members.get("category"))
        .with("dueOn", &due_on)
        .with("dueTime", &due_time)
        .with("status", if is_done { "COMPLETED" } else { "OPEN" })
        .with("party", &linked(members, &["contacts", "companies"]))
        .with("opportunity", &linked(members, &["deals", "opportunities"]))
        .with("kase", &linked(members, &["projects", "kases"]))
        .with("owner", &user(members, "responsibleId"))
        .with("hasTrack", &false)
        .with("createdAt", &seconds("createdDate"))
        .with("updatedAt", &updated.or_else(|| seconds("createdDate")))
        .with("completedAt", &closed.clone())
        .with("completedBy", &user(members, "closedBy").or_else(|| completed_by.filter(|_| is_done).map(shown)))
}

/// A user whose name is known.
fn shown(user: &User) -> serde_json::Value {
    let mut shown = serde_json::json!({"id": number(user.id.as_str())});
    if let (Some(shown), Some(name)) = (shown.as_object_mut(), &user.name) {
        shown.insert("name".to_owned(), name.as_str().into());
    }
    shown
}

/// The user whom a field names.
fn user(members: &Members<'_>, name: &str) -> Option<serde_json::Value> {
    let id = members.get(name)?;
    if id.get().starts_with('{') {
        return serde_json::from_str(id.get()).ok();
    }
    // Capsule's ids are numbers.
    let number = members.integer(name)?;
    Some(serde_json::json!({"id": number}))
}

/// The first record of the CRM of these sorts that a task is about.
fn linked(members: &Members<'_>, sorts: &[&str]) -> Option<serde_json::Value> {
    let about = members.object("crmEntities")?;
    let first = sorts.iter().find_map(|sort| about.list(sort).into_iter().next())?;
    let entity = Members::of(first)?;
    Some(serde_json::json!({"id": entity.integer("id")?, "name": entity.text("title").or_else(|| entity.text("name"))}))
}

/// The members that a hook wants in any case.
fn embedded(mut object: Object, members: &Members<'_>, kind: &str, embed: Option<&str>) -> Object {
    let names = embed.unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
    for name in names {
        let known = match kind {
            "opportunity" => OPPORTUNITY,
            "kase" => KASE,
            "user" => USER,
            "party" => PERSON,
            _ => &[],
        };
        let is_there = if kind == "task" {
            ["party", "opportunity", "kase", "owner"].contains(&name)
        } else {
            members.get(name).is_some() || known.iter().any(|(field, _)| *field == name)
        };
        if is_there {
            continue;
        }
        object = match members.get(name) {
            Some(value) => object.with(name, value),
            None if EMBEDDED_LISTS.contains(&name) => object.with_list(name, []),
            None => object.with(name, &()),
        };
    }
    object
}
