//! The parts of a payload from which the event's envelope is made.

use hookwright_sdk::inbound::{Perhaps, dotted, subject};
use hookwright_sdk::{Id, Pairs};
use serde::Deserialize;
use serde_json::Value;

/// The part of a payload that the envelope uses.
#[derive(Deserialize)]
pub(crate) struct Head {
    #[serde(default, rename = "webhookEvent")]
    webhook_event: Perhaps<String>,
    /// What kind of change it was, as in `issue_assigned`.
    #[serde(default)]
    issue_event_type_name: Perhaps<String>,
    /// Milliseconds since 1970.
    #[serde(default)]
    timestamp: Perhaps<Value>,
    #[serde(default)]
    issue: Perhaps<Issue>,
    #[serde(default)]
    changelog: Perhaps<Changelog>,
    #[serde(default)]
    user: Perhaps<User>,
    #[serde(default)]
    project: Perhaps<Keyed>,
    #[serde(default)]
    version: Perhaps<Thing>,
    #[serde(default)]
    sprint: Perhaps<Thing>,
    #[serde(default)]
    board: Perhaps<Thing>,
    #[serde(default)]
    worklog: Perhaps<Worklog>,
}

#[derive(Deserialize)]
struct Issue {
    #[serde(default)]
    key: Perhaps<String>,
    #[serde(default)]
    fields: Perhaps<Fields>,
}

#[derive(Deserialize)]
struct Fields {
    #[serde(default)]
    status: Perhaps<Named>,
    #[serde(default)]
    project: Perhaps<Keyed>,
    #[serde(default)]
    issuetype: Perhaps<Named>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Keyed {
    key: String,
}

#[derive(Deserialize)]
struct Thing {
    id: Id,
}

#[derive(Deserialize)]
struct Worklog {
    #[serde(rename = "issueId")]
    issue: Id,
}

#[derive(Deserialize)]
struct User {
    #[serde(default, rename = "accountId")]
    account: Perhaps<String>,
    /// Of data centres.
    #[serde(default)]
    name: Perhaps<String>,
}

#[derive(Deserialize)]
struct Changelog {
    #[serde(default)]
    items: Vec<Change>,
}

#[derive(Deserialize)]
struct Change {
    #[serde(default)]
    field: Perhaps<String>,
    #[serde(default, rename = "fromString")]
    from: Perhaps<String>,
    #[serde(default, rename = "toString")]
    to: Perhaps<String>,
}

impl Head {
    /// `jira.issue.updated` for `jira:issue_updated`: the last word of Jira's name is what happened.
    pub(crate) fn event_type(&self) -> Option<String> {
        let name = self.webhook_event.0.as_deref()?.trim();
        let name = dotted(name.strip_prefix("jira:").unwrap_or(name));
        let named = match name.rsplit_once('_') {
            Some((thing, happened)) if !thing.is_empty() && !happened.is_empty() => format!("{thing}.{happened}"),
            _ => name,
        };
        (!named.is_empty()).then(|| format!("jira.{named}"))
    }

    /// The issue's key, or what else the event is about.
    pub(crate) fn subject(&self) -> Option<String> {
        let issue = self.issue.0.as_ref().and_then(|issue| issue.key.0.clone());
        let thing = |name: &str, thing: &Perhaps<Thing>| Some(format!("{name}/{}", thing.0.as_ref()?.id));
        let worklog = || Some(format!("issue/{}", self.worklog.0.as_ref()?.issue));
        let about = issue
            .or_else(worklog)
            .or_else(|| thing("version", &self.version))
            .or_else(|| thing("sprint", &self.sprint))
            .or_else(|| thing("board", &self.board))
            .or_else(|| Some(self.project.0.as_ref()?.key.clone()))?;
        subject(&about)
    }

    /// When it happened, as Jira writes it.
    pub(crate) fn timestamp(&self) -> Option<&Value> {
        self.timestamp.0.as_ref()
    }

    /// What conditions ask about most: `event.jira-status` is shorter than the way through the payload, and a change of
    /// status is one of many in the changelog.
    pub(crate) fn attributes(&self) -> Pairs {
        let fields = self.issue.0.as_ref().and_then(|issue| issue.fields.0.as_ref());
        let changes = self.changelog.0.as_ref().map_or(&[][..], |log| log.items.as_slice());
        let status = changes.iter().find(|change| change.field.0.as_deref() == Some("status"));
        let changed: Vec<&str> = changes.iter().filter_map(|change| change.field.0.as_deref()).collect();
        let user = self.user.0.as_ref();
        let project = fields.and_then(|fields| fields.project.0.as_ref()).or(self.project.0.as_ref());
        let named = [
            ("jira-event", self.webhook_event.0.clone()),
            ("jira-change", self.issue_event_type_name.0.clone()),
            ("jira-project", project.map(|project| project.key.clone())),
            ("jira-issue-type", fields.and_then(|fields| Some(fields.issuetype.0.as_ref()?.name.clone()))),
            ("jira-status", fields.and_then(|fields| Some(fields.status.0.as_ref()?.name.clone()))),
            ("jira-status-from", status.and_then(|change| change.from.0.clone())),
            ("jira-status-to", status.and_then(|change| change.to.0.clone())),
            ("jira-changed", (!changed.is_empty()).then(|| changed.join(","))),
            ("jira-user", user.and_then(|user| user.account.0.clone().or_else(|| user.name.0.clone()))),
        ];
        named.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
    }
}
