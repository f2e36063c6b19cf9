//! Objects that stay in a space and refer to a workflow or a kind of record that a document deletes.

use std::collections::{BTreeMap, BTreeSet};

use hookwright_model::{Mistake, RecordKind};
use hookwright_plugin::NameOf;
use hookwright_store::{ConfigChange, Swap};

use crate::check_scope::CheckScope;
use crate::configuration::part::Draft;
use crate::configuration::state::Section;
use crate::references::{Referrer, listed};

/// The workflows and kinds that a document deletes, by name, and the objects that will refer to each.
struct Users<'a> {
    workflows: BTreeMap<&'a str, BTreeSet<String>>,
    kinds: BTreeMap<&'a str, BTreeSet<String>>,
}

impl Users<'_> {
    /// Adds an object that refers to a name.
    fn add(&mut self, what: NameOf, name: &str, user: Referrer<'_>) {
        let deleted = match what {
            NameOf::Workflow => &mut self.workflows,
            NameOf::Kind => &mut self.kinds,
        };
        if let Some(users) = deleted.get_mut(name) {
            users.insert(user.label());
        }
    }
}

impl Draft<'_> {
    /// Why workflows and kinds that the document deletes cannot be deleted, by path.
    pub(crate) fn still_used(&self) -> Vec<Mistake> {
        let workflows = self.pending.workflows.iter().filter(|(_, ahead)| ahead.is_none());
        let kinds = self.pending.kinds.iter().filter(|(_, is_there)| !**is_there);
        let mut users = Users {
            workflows: workflows.map(|(name, _)| (name.as_str(), BTreeSet::new())).collect(),
            kinds: kinds.map(|(name, _)| (name.as_str(), BTreeSet::new())).collect(),
        };
        if users.workflows.is_empty() && users.kinds.is_empty() {
            return Vec::new();
        }
        self.find_users(&mut users);
        let sections = [(Section::Kinds, users.kinds), (Section::Workflows, users.workflows)];
        let mut found = Vec::new();
        for (section, deleted) in sections {
            for (name, users) in deleted.into_iter().filter(|(_, users)| !users.is_empty()) {
                let message = format!("is used by {}: change or delete those too", listed(&users));
                found.push(Mistake::new(format!("{}.{name}", section.name()), message));
            }
        }
        found
    }

    /// Adds the objects that will refer to what is deleted. Each object is read once, however much is deleted. Objects
    /// that the document creates or changes are validated separately, except workflows, which are created before others
    /// are deleted.
    fn find_users(&self, users: &mut Users<'_>) {
        let touched = self.touched();
        let stays =
            |section: Section, id: &str| !touched.contains(section, id) && !self.unsettled.contains(section, id);
        let scope = CheckScope { space: self.space, pending: &self.pending, itself: None };
        let mut look_into = |referrer: Referrer<'_>| {
            let references = &self.configurations.references;
            references.names_in(scope, referrer, &mut |what, name| users.add(what, name, referrer));
        };
        for automation in self.state.automations.iter().filter(|one| stays(Section::Automations, one.id.as_str())) {
            look_into(Referrer::Automation(automation));
        }
        let made = self.swaps.iter().filter_map(|change| match change {
            ConfigChange::Workflow(Swap { is: Some(workflow), .. }) => Some(workflow),
            _ => None,
        });
        let unchanged = self.state.workflows.iter().filter(|one| stays(Section::Workflows, &one.name));
        for workflow in unchanged.chain(made) {
            look_into(Referrer::Workflow(&workflow.procedure()));
        }
        for webhook in self.state.webhooks.iter().filter(|one| stays(Section::Webhooks, one.id.as_str())) {
            look_into(Referrer::Webhook(webhook));
        }
        for schedule in self.state.schedules.iter().filter(|one| stays(Section::Schedules, &one.id.to_string())) {
            look_into(Referrer::Schedule(schedule));
        }
        for kind in self.kinds_ahead() {
            look_into(Referrer::Kind(kind));
        }
    }

    /// The space's own kinds that will exist. Those that the document creates are among them: when they are validated,
    /// it is not known yet which others are deleted.
    fn kinds_ahead(&self) -> Vec<&RecordKind> {
        let mut kinds: BTreeMap<&str, &RecordKind> = self.state.kinds.iter().map(|kind| (kind.name(), kind)).collect();
        for change in &self.swaps {
            let ConfigChange::Kind(swap) = change else { continue };
            if let Some(was) = &swap.was {
                kinds.remove(was.name());
            }
            if let Some(is) = &swap.is {
                kinds.insert(is.name(), is);
            }
        }
        kinds.into_values().filter(|kind| !self.pending.unread_kinds.names.contains(kind.name())).collect()
    }
}
