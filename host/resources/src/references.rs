//! What objects of a space refer to by name: workflows and kinds of record. An unknown name is refused when the object
//! is saved, and nothing is deleted to which an object refers.

use std::collections::BTreeSet;
use std::sync::Arc;

use hookwright_foundation::error::PipelineError;
use hookwright_model::{
    Automation, Kind, Mistake, Mistakes, RecordKind, Schedule, SigningPolicy, SpaceId, StepKind, Webhook, When,
    abridged, builtin_kind, is_kind,
};
use hookwright_plugin::{Listed, NameOf, Plugin, Registry};
use hookwright_routing::catalogue::Catalogue;
use hookwright_store::Store;
use serde_json::{Map, Value};

use crate::check_scope::CheckScope;
use crate::pending_changes::{PendingChanges, Unread};

/// How many names a message lists.
const MAX_LISTED: usize = 20;

/// A name in the parameters of a plugin.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Reference<'a> {
    /// The parameter that it is in.
    parameter: &'a str,
    /// What the name refers to.
    what: NameOf,
    /// The name.
    name: &'a str,
}

/// The names in the parameters. The value of a variable is not known before a run.
fn references<'a>(plugin: &'a Plugin, with: &'a Map<String, Value>) -> Vec<Reference<'a>> {
    let written = |parameter: &str| with.get(parameter).and_then(Value::as_str);
    let is_known = |name: &&str| !name.contains("{{");
    let names = plugin.names().iter().filter_map(|(parameter, what)| {
        let name = written(parameter).filter(is_known)?;
        Some(Reference { parameter: parameter.as_str(), what: *what, name })
    });
    let record = plugin.record_parameter().and_then(|parameter| {
        // `ticket/7`: of the record only the kind is known.
        let (name, _) = written(parameter)?.split_once('/')?;
        is_known(&name).then_some(Reference { parameter, what: NameOf::Kind, name })
    });
    names.chain(record).collect()
}

/// The error for an unknown name.
pub(crate) fn unknown(what: NameOf, name: &str) -> String {
    let shown = abridged(name);
    match what {
        NameOf::Workflow => {
            format!("there is no workflow `{shown}` in this space: correct the name, or create the workflow first")
        }
        NameOf::Kind => format!(
            "there is no kind of record `{shown}` in this space: correct the name, or declare the kind first \
             (PUT /v1/kinds/{{kind}})"
        ),
    }
}

/// The objects that refer to something, for a message.
pub(crate) fn listed(users: &BTreeSet<String>) -> String {
    let first = users.iter().take(MAX_LISTED).cloned().collect::<Vec<_>>().join(", ");
    match users.len().saturating_sub(MAX_LISTED) {
        0 => first,
        more => format!("{first} and {more} more"),
    }
}

/// An object that can refer to workflows and kinds of record.
#[derive(Clone, Copy)]
pub(crate) enum Referrer<'a> {
    Automation(&'a Automation),
    /// A workflow as a run executes it.
    Workflow(&'a Automation),
    Webhook(&'a Webhook),
    Schedule(&'a Schedule),
    Kind(&'a RecordKind),
}

impl Referrer<'_> {
    /// Its name in messages.
    pub(crate) fn label(self) -> String {
        let labelled = |what: &str, name: &str, id: &str| format!("the {what} `{}` ({id})", abridged(name));
        match self {
            Self::Automation(one) => labelled("automation", &one.name, one.id.as_str()),
            Self::Workflow(one) => format!("the workflow `{}`", one.name),
            Self::Webhook(one) => labelled("webhook", &one.name, one.id.as_str()),
            Self::Schedule(one) => labelled("schedule", &one.name, &one.id.to_string()),
            Self::Kind(one) => format!("the kind `{}`", one.name()),
        }
    }

    /// Whether the name is its own: an object that refers to itself does not prevent its own deletion.
    fn is_named(self, what: NameOf, name: &str) -> bool {
        match (self, what) {
            (Self::Workflow(one), NameOf::Workflow) => one.name == name,
            (Self::Kind(one), NameOf::Kind) => one.name() == name,
            _ => false,
        }
    }
}

/// What refers to which plugin, workflow or kind of record.
pub(crate) struct References {
    pub(crate) catalogue: Arc<Catalogue>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) store: Store,
}

impl References {
    /// Whether a workflow or a kind of this name will exist, or is unknown because the document cannot be read.
    pub(crate) fn exists_ahead(&self, space: &SpaceId, pending: &PendingChanges, what: NameOf, name: &str) -> bool {
        let (unread, is_there) = match what {
            NameOf::Workflow => {
                let ahead = pending.workflows.get(name).map(Option::is_some);
                let is_coming = pending.coming_workflows.contains(name);
                let is_there = || ahead.unwrap_or_else(|| self.catalogue.procedure(space, name).is_some());
                (&pending.unread_workflows, is_coming || is_there())
            }
            NameOf::Kind => {
                // What cannot be looked up is not refused for that.
                let is_own =
                    || is_kind(name) && self.store.kinds.own_kind(space, name).map_or(true, |kind| kind.is_some());
                let is_there = || pending.kinds.get(name).copied().unwrap_or_else(is_own);
                let is_coming = || pending.coming_kinds.contains(name);
                (&pending.unread_kinds, builtin_kind(name).is_some() || is_coming() || is_there())
            }
        };
        is_there || unread.any || unread.names.contains(name)
    }

    /// The unknown names in the parameters of a plugin; `path` is that of the parameters.
    pub(crate) fn unknown_names(
        &self,
        scope: CheckScope<'_>,
        plugin: &Plugin,
        with: &Map<String, Value>,
        path: &str,
    ) -> Vec<Mistake> {
        let is_unknown = |found: &Reference<'_>| {
            // A workflow may start itself.
            let is_itself = found.what == NameOf::Workflow && scope.itself == Some(found.name);
            !is_itself && !self.exists_ahead(scope.space, scope.pending, found.what, found.name)
        };
        let unknown_ones = references(plugin, with).into_iter().filter(is_unknown);
        unknown_ones
            .map(|found| Mistake::new(format!("{path}.{}", found.parameter), unknown(found.what, found.name)))
            .collect()
    }

    /// Fails if fields of a kind refer to kinds that do not exist. A kind may refer to itself.
    pub(crate) fn check_kind_references(
        &self,
        space: &SpaceId,
        pending: &PendingChanges,
        kind: &RecordKind,
    ) -> Result<(), Mistakes> {
        let mut mistakes = Mistakes::default();
        for (path, name) in kind.references() {
            if name != kind.name() && !self.exists_ahead(space, pending, NameOf::Kind, name) {
                mistakes.add(path, unknown(NameOf::Kind, name));
            }
        }
        mistakes.check()
    }

    /// Calls `found` with each name in the parameters of a plugin.
    fn names_in_parameters(
        &self,
        scope: CheckScope<'_>,
        plugin: &str,
        with: &Map<String, Value>,
        found: &mut dyn FnMut(NameOf, &str),
    ) {
        let Some(plugin) = self.plugin_ahead(scope.space, scope.pending, plugin) else { return };
        for reference in references(&plugin, with) {
            found(reference.what, reference.name);
        }
    }

    /// Calls `found` with each name of another object that an object refers to.
    pub(crate) fn names_in(&self, scope: CheckScope<'_>, referrer: Referrer<'_>, found: &mut dyn FnMut(NameOf, &str)) {
        let mut found = |what: NameOf, name: &str| {
            if !referrer.is_named(what, name) {
                found(what, name);
            }
        };
        let mut conditions = |when: &When| {
            when.conditions("", &mut |_, condition| {
                self.names_in_parameters(scope, &condition.plugin, &condition.with, &mut found);
            });
        };
        match referrer {
            Referrer::Automation(one) | Referrer::Workflow(one) => {
                let of_steps = one.then.iter().filter_map(|step| step.when.as_ref());
                one.when.iter().chain(of_steps).for_each(&mut conditions);
                for step in one.then.iter().filter(|step| step.kind != StepKind::Wait) {
                    self.names_in_parameters(scope, &step.plugin, &step.with, &mut found);
                }
            }
            Referrer::Webhook(one) => {
                one.when.iter().for_each(&mut conditions);
                if let Some(transform) = &one.transform {
                    self.names_in_parameters(scope, transform, &one.with, &mut found);
                }
            }
            Referrer::Schedule(one) => {
                if let Some(workflow) = &one.workflow {
                    found(NameOf::Workflow, workflow);
                }
                if let Some(each) = &one.for_each {
                    found(NameOf::Kind, &each.kind);
                }
            }
            Referrer::Kind(one) => one.references().into_iter().for_each(|(_, name)| found(NameOf::Kind, name)),
        }
    }

    /// The objects of a space that refer to a workflow or a kind, except that workflow or kind itself.
    fn users_of(&self, space: &SpaceId, to: (NameOf, &str)) -> Result<BTreeSet<String>, PipelineError> {
        let pending = PendingChanges::default();
        let scope = CheckScope { space, pending: &pending, itself: None };
        let mut users = BTreeSet::new();
        let mut look_into = |referrer: Referrer<'_>| {
            self.names_in(scope, referrer, &mut |what, name| {
                if (what, name) == to {
                    users.insert(referrer.label());
                }
            });
        };
        self.catalogue.automations(space).iter().for_each(|one| look_into(Referrer::Automation(one)));
        self.catalogue.procedures(space).iter().for_each(|one| look_into(Referrer::Workflow(one)));
        self.catalogue.webhooks(space).iter().for_each(|one| look_into(Referrer::Webhook(one)));
        self.store.schedules.schedules(space)?.iter().for_each(|one| look_into(Referrer::Schedule(one)));
        self.store.kinds.own_kinds(space)?.iter().for_each(|one| look_into(Referrer::Kind(one)));
        Ok(users)
    }

    /// Fails if an object of the space refers to this. Which parameters are names is known only once a plugin is loaded.
    pub(crate) fn check_unused(&self, space: &SpaceId, what: NameOf, name: &str) -> Result<(), PipelineError> {
        let users = self.users_of(space, (what, name))?;
        if users.is_empty() {
            return Ok(());
        }
        let (code, noun) = match what {
            NameOf::Workflow => ("workflow.in_use", "workflow"),
            NameOf::Kind => ("kind.in_use", "kind"),
        };
        let message =
            format!("the {noun} `{}` is used by {}: change or delete those first", abridged(name), listed(&users));
        Err(PipelineError::Conflict { code, message })
    }
}

impl References {
    /// The plugin that will have this name.
    pub(crate) fn plugin_ahead(&self, space: &SpaceId, pending: &PendingChanges, name: &str) -> Option<Arc<Plugin>> {
        match pending.plugins.get(name) {
            Some(ahead) => ahead.clone(),
            None => self.registry.get(space, name),
        }
    }

    /// Whether a use of this plugin cannot be validated because the document's object is unknown.
    pub(crate) fn is_unread(&self, space: &SpaceId, pending: &PendingChanges, plugin: &str) -> bool {
        let Unread { names, any } = &pending.unread_plugins;
        names.contains(plugin) || (*any && self.plugin_ahead(space, pending, plugin).is_none())
    }

    /// The names of the plugins of a kind that will exist.
    pub(crate) fn names_ahead(&self, space: &SpaceId, pending: &PendingChanges, kind: Kind) -> Vec<String> {
        let listed = self.registry.list(space);
        let fits = |l: &Listed| !l.shadowed && l.plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind));
        let present = listed.into_iter().filter(fits).map(|l| l.name);
        let mut names: Vec<String> = present.filter(|name| !pending.plugins.contains_key(name)).collect();
        let ahead =
            pending.plugins.iter().filter(|(_, plugin)| plugin.as_ref().is_some_and(|p| p.kinds().contains(&kind)));
        names.extend(ahead.map(|(name, _)| name.clone()));
        names.sort();
        names
    }

    /// How a webhook's messages will be signed. `None`: there is no such policy.
    pub(crate) fn signing_ahead(
        &self,
        pending: &PendingChanges,
        webhook: &Webhook,
    ) -> Result<Option<SigningPolicy>, PipelineError> {
        let Some(number) = webhook.policy else { return Ok(Some(webhook.signing.clone())) };
        if let Some(signing) = pending.policies.get(&number) {
            return Ok(Some(signing.clone()));
        }
        Ok(self.store.webhooks.webhook_policy(&webhook.space, number)?.map(|policy| policy.signing))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{HashMap, HashSet};

    use hookwright_model::{OnUnavailable, Workflow};
    use hookwright_samples::{self as samples, NOW, registry};
    use hookwright_store::{ConfigChange, Configured, Stored, Swap};
    use serde_json::json;

    use super::*;

    fn references_of(store: &Store) -> References {
        References { catalogue: Arc::default(), registry: registry(), store: store.clone() }
    }

    async fn declare(store: &Store, kind: RecordKind) {
        let change = ConfigChange::Kind(Box::new(Swap { was: None, is: Some(kind) }));
        let declared = store.configuration.configure(&SpaceId::main(), vec![change]).await.unwrap();
        assert!(matches!(declared, Configured::Done(_)));
    }

    /// A kind whose fields refer to these kinds.
    fn kind(name: &str, to: &[&str]) -> RecordKind {
        let fields: Map<String, Value> =
            to.iter().map(|to| ((*to).to_owned(), json!({"type": "reference", "kind": to}))).collect();
        RecordKind::declare(name, serde_json::from_value(json!({"fields": fields})).unwrap(), None, NOW).unwrap()
    }

    fn names(names: &[&str]) -> HashSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_message_lists_the_first_users_and_counts_the_others() {
        let users = |count: u32| (1..=count).map(|number| format!("{number:02}")).collect();
        assert_eq!(listed(&users(2)), "01, 02");
        assert!(listed(&users(20)).ends_with("19, 20"));
        assert!(listed(&users(25)).ends_with("19, 20 and 5 more"));
    }

    #[test]
    fn schedules_name_their_workflow_and_the_kind_of_their_records() {
        let (_folder, store) = samples::store();
        let (references, space, pending) = (references_of(&store), SpaceId::main(), PendingChanges::default());
        let scope = CheckScope { space: &space, pending: &pending, itself: None };
        let found = |more: Value| {
            let (schedule, mut names) = (samples::schedule(&more), Vec::new());
            references.names_in(scope, Referrer::Schedule(&schedule), &mut |what, name| {
                names.push((what == NameOf::Kind, name.to_owned()));
            });
            names
        };
        assert!(found(json!({})).is_empty());
        assert_eq!(found(json!({"workflow": "w"})), [(false, "w".to_owned())]);
        assert_eq!(found(json!({"for_each": {"kind": "order"}})), [(true, "order".to_owned())]);
    }

    #[tokio::test]
    async fn a_kind_exists_as_the_changes_that_are_validated_with_it_leave_it() {
        let (_folder, store) = samples::store();
        let (references, space) = (references_of(&store), SpaceId::main());
        declare(&store, kind("order", &[])).await;
        let exists = |pending: &PendingChanges, name| references.exists_ahead(&space, pending, NameOf::Kind, name);
        let now = PendingChanges::default();
        let found = ["ticket", "order", "parcel", "Not a kind"].map(|name| exists(&now, name));
        assert_eq!(found, [true, true, false, false]);
        let deleted =
            PendingChanges { kinds: HashMap::from([("order".to_owned(), false)]), ..PendingChanges::default() };
        assert!(!exists(&deleted, "order") && exists(&deleted, "ticket"));
        let declared =
            PendingChanges { kinds: HashMap::from([("parcel".to_owned(), true)]), ..PendingChanges::default() };
        let coming = PendingChanges { coming_kinds: names(&["parcel"]), ..PendingChanges::default() };
        let named = Unread { names: names(&["parcel"]), any: false };
        let unread = PendingChanges { unread_kinds: named, ..PendingChanges::default() };
        for pending in [declared, coming, unread] {
            assert!(exists(&pending, "parcel") && !exists(&pending, "crate"));
        }
        let any = Unread { any: true, ..Unread::default() };
        assert!(exists(&PendingChanges { unread_kinds: any, ..PendingChanges::default() }, "crate"));
    }

    #[tokio::test]
    async fn a_workflow_exists_as_the_changes_that_are_validated_with_it_leave_it() {
        let (_folder, store) = samples::store();
        let (references, space) = (references_of(&store), SpaceId::main());
        let exists = |pending: &PendingChanges, name| references.exists_ahead(&space, pending, NameOf::Workflow, name);
        assert!(!exists(&PendingChanges::default(), "w"));
        let workflow = Workflow {
            name: "w".to_owned(),
            description: String::new(),
            version: 1,
            input: Map::new(),
            steps: vec![],
            on_unavailable: OnUnavailable::Park,
            concurrency: None,
            enabled: true,
            created_at: NOW,
            updated_at: NOW,
        };
        references.catalogue.follow(&space, &[ConfigChange::Workflow(Swap { was: None, is: Some(workflow) })]);
        assert!(exists(&PendingChanges::default(), "w"));
        let deleted =
            PendingChanges { workflows: HashMap::from([("w".to_owned(), None)]), ..PendingChanges::default() };
        assert!(!exists(&deleted, "w"));
        let coming = PendingChanges { coming_workflows: names(&["v"]), ..PendingChanges::default() };
        assert!(exists(&coming, "v") && exists(&coming, "w") && !exists(&coming, "u"));
        let kinds = PendingChanges { coming_kinds: names(&["u"]), ..PendingChanges::default() };
        assert!(!exists(&kinds, "u"), "a kind is no workflow");
    }

    #[tokio::test]
    async fn a_kind_may_refer_to_itself_and_to_kinds_that_exist() {
        let (_folder, store) = samples::store();
        let (references, space) = (references_of(&store), SpaceId::main());
        let check = |pending: &PendingChanges| {
            let order = kind("order", &["order", "ticket", "customer"]);
            references.check_kind_references(&space, pending, &order)
        };
        let mistakes = check(&PendingChanges::default()).unwrap_err().0;
        let paths: Vec<&str> = mistakes.iter().map(|mistake| mistake.path.as_str()).collect();
        assert_eq!(paths, ["fields.customer.kind"]);
        assert_eq!(check(&PendingChanges { coming_kinds: names(&["customer"]), ..PendingChanges::default() }), Ok(()));
    }

    #[tokio::test]
    async fn what_other_objects_refer_to_is_in_use() {
        let (_folder, store) = samples::store();
        let (references, space) = (references_of(&store), SpaceId::main());
        let schedule = samples::schedule(&json!({"workflow": "w"}));
        assert_eq!(store.schedules.put_schedule(&space, &schedule, None).await.unwrap(), Stored::Done);
        declare(&store, kind("order", &["order", "customer"])).await;
        for (what, name, code, user) in [
            (NameOf::Workflow, "w", "workflow.in_use", "the schedule `s` (sch_1)"),
            (NameOf::Kind, "customer", "kind.in_use", "the kind `order`"),
        ] {
            let refused = references.check_unused(&space, what, name).unwrap_err();
            assert_eq!(refused.code(), code);
            assert!(refused.to_string().contains(user), "{refused}");
        }
        for (what, name) in [(NameOf::Kind, "order"), (NameOf::Kind, "w"), (NameOf::Workflow, "customer")] {
            assert!(references.check_unused(&space, what, name).is_ok(), "{name}");
        }
    }
}
