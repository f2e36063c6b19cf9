//! One delivery, once it is known to be GitLab's.

use hookwright_sdk::inbound::{Perhaps, dotted, event_id, head, subject};
use hookwright_sdk::{Refusal, Request};
use serde::Deserialize;

/// The parts of an event.
pub(crate) struct Delivery {
    pub(crate) id: Option<String>,
    pub(crate) event_type: String,
    pub(crate) subject: Option<String>,
}

/// The parts of a payload from which the envelope is made.
#[derive(Deserialize)]
struct Head {
    /// `merge_request`, `push` ...; system hooks have `event_name` in its place.
    #[serde(default)]
    object_kind: Perhaps<String>,
    #[serde(default)]
    event_name: Perhaps<String>,
    /// Of a release or a member, where it stands at the top.
    #[serde(default)]
    action: Perhaps<String>,
    #[serde(default)]
    object_attributes: Perhaps<Attributes>,
    #[serde(default)]
    project: Perhaps<Project>,
    #[serde(default)]
    path_with_namespace: Perhaps<String>,
    #[serde(default)]
    group: Perhaps<Group>,
    #[serde(default)]
    full_path: Perhaps<String>,
    #[serde(default)]
    group_path: Perhaps<String>,
}

#[derive(Deserialize)]
struct Attributes {
    #[serde(default)]
    action: Perhaps<String>,
}

#[derive(Deserialize)]
struct Project {
    path_with_namespace: String,
}

#[derive(Deserialize)]
struct Group {
    full_path: String,
}

impl Delivery {
    /// Reads a request whose body is `payload`.
    ///
    /// # Errors
    /// The refusal, with status 400: nothing in it says what happened.
    pub(crate) fn read(request: &Request, payload: &str) -> Result<Self, Refusal> {
        let head: Head = head(payload).map_err(|said| Refusal::new(400, "gitlab.payload_invalid", said))?;
        let kind = head.object_kind.0.or(head.event_name.0).or_else(|| request.header("x-gitlab-event").map(named));
        let kind = kind.map(|kind| dotted(&kind)).filter(|kind| !kind.is_empty()).ok_or_else(|| {
            let said = "neither the payload (object_kind, event_name) nor the x-gitlab-event header says what happened: \
                        this is not what GitLab sends";
            Refusal::new(400, "gitlab.event_missing", said)
        })?;
        let action = head.object_attributes.0.and_then(|attributes| attributes.action.0).or(head.action.0);
        let action = action.map(|action| dotted(&action)).filter(|action| !action.is_empty());
        let event_type = match action {
            Some(action) => format!("gitlab.{kind}.{action}"),
            None => format!("gitlab.{kind}"),
        };
        let project = head.project.0.map(|project| project.path_with_namespace).or(head.path_with_namespace.0);
        let group = head.group.0.map(|group| group.full_path).or(head.full_path.0).or(head.group_path.0);
        Ok(Self { id: id(request), event_type, subject: project.or(group).as_deref().and_then(subject) })
    }
}

/// `Merge Request Hook` as the payload would say it.
fn named(header: &str) -> String {
    header.trim().trim_end_matches(" Hook").to_lowercase()
}

/// GitLab's id of the delivery, the same when it is sent again. The event's UUID comes last: events that webhooks caused
/// share one.
fn id(request: &Request) -> Option<String> {
    ["idempotency-key", "webhook-id", "x-gitlab-event-uuid"].iter().find_map(|name| event_id(request.header(name)?))
}
