//! The table of routes: the only place that defines each route, its permission, and its handler.

use std::collections::HashMap;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::Response;
use axum::routing::{any_service, delete_service, get_service, patch_service, post_service, put_service};
use http::{HeaderMap, Method, StatusCode, Uri};
use tower_service::Service as _;

use crate::auth::Needs;
use crate::dialect::Dialect;
use crate::gate::{Answering, Gate, Open};
use crate::problem::Problem;
use crate::{
    Shared, attempts, automations, configuration, event_types, events, health, keys, kinds, mails, outcomes, plugins,
    policies, records, refusals, replays, resthooks, rollouts, schedules, secrets, source_log, sources, tickets,
    versions, webhook_policies, webhooks, workflows, xurrent,
};

/// A route, for tests and documentation.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method; `ANY` for all.
    pub method: &'static str,
    /// The path, with `{name}` for its variable parts.
    pub path: &'static str,
    /// The permission that the caller needs.
    pub needs: Needs,
    /// What it does.
    pub summary: &'static str,
}

macro_rules! routes {
    ($($verb:ident $path:literal $needs:ident $handler:path, $summary:literal;)*) => {
        /// All routes.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($verb),
            path: $path,
            needs: Needs::$needs,
            summary: $summary,
        }),*];

        fn table(app: &Shared) -> Vec<(&'static str, &'static str, Open)> {
            vec![$((stringify!($verb), $path, Gate::before(app, $path, Needs::$needs, $handler))),*]
        }
    };
}

routes! {
    GET "/healthz" Nothing health::alive, "Answers 200 while the server is alive, and reports the health of its storage";
    GET "/readyz" Nothing health::ready, "Answers 200 while plugins are loaded and the storage accepts events, else 503";
    POST "/webhook" IngestNamed events::push, "Accept an event: service, trigger_event_type, attributes";
    ANY "/in/{token}" Nothing sources::receive, "Receive a provider's request for a source";
    ANY "/in/{token}/" Nothing sources::receive, "The same, for senders that append a slash";
    ANY "/in/{token}/{*path}" Nothing sources::receive, "The same, below the source's URL";
    POST "/v1/events" Ingest events::send, "Accept an event: native JSON or CloudEvents";
    GET "/v1/refused-requests" Administer refusals::list, "List rejected requests to /webhook and /v1/events, newest first";
    GET "/v1/refused-requests/{id}" Administer refusals::read, "Read a rejected request, with the reason";
    GET "/v1/events" Read events::list, "List events, newest first";
    GET "/v1/events/{id}" Read events::story, "Show everything that happened because of an event";
    GET "/v1/events/{id}/explain" Read events::explain, "Explain how each automation evaluated an event";
    POST "/v1/events/{id}/replay" Edit replays::event, "Replay a stored event, as a dry run or for real";
    GET "/v1/events/{id}/payload" Read events::payload, "Read the payload as received, byte for byte";
    POST "/v1/automations" Edit automations::create, "Create an automation";
    GET "/v1/automations" Read automations::list, "List automations";
    GET "/v1/automations/{id}" Read automations::read, "Read an automation";
    PATCH "/v1/automations/{id}" Edit automations::change, "Update an automation";
    DELETE "/v1/automations/{id}" Edit automations::delete, "Delete an automation";
    POST "/v1/automations/{id}/enable" Edit automations::switch::<true>, "Enable an automation";
    POST "/v1/automations/{id}/disable" Edit automations::switch::<false>, "Disable an automation";
    POST "/v1/automations/{id}/test" Edit automations::test, "Dry-run an automation, without saving anything";
    POST "/v1/workflows" Edit workflows::create, "Create a workflow";
    GET "/v1/workflows" Read workflows::list, "List workflows";
    GET "/v1/workflows/{name}" Read workflows::read, "Read a workflow";
    PATCH "/v1/workflows/{name}" Edit workflows::change, "Update a workflow, which creates a new version";
    DELETE "/v1/workflows/{name}" Edit workflows::delete, "Delete a workflow";
    GET "/v1/workflows/{name}/versions" Read workflows::versions, "List the versions of a workflow";
    POST "/v1/workflows/{name}/start" Edit workflows::start, "Start a workflow";
    POST "/v1/schedules" Edit schedules::create, "Create a schedule";
    GET "/v1/schedules" Read schedules::list, "List schedules, newest first";
    GET "/v1/schedules/{id}" Read schedules::read, "Read a schedule with its state";
    PATCH "/v1/schedules/{id}" Edit schedules::change, "Update a schedule";
    DELETE "/v1/schedules/{id}" Edit schedules::delete, "Delete a schedule";
    GET "/v1/plugins" Read plugins::list, "List plugins";
    GET "/v1/plugins/{name}" Read plugins::read, "Read a plugin with its manifest";
    PUT "/v1/plugins/{name}" Administer plugins::install, "Install a new version of a plugin";
    DELETE "/v1/plugins/{name}" Administer plugins::remove, "Remove an uploaded plugin";
    GET "/v1/plugins/{name}/versions" Read versions::list, "List the versions of an uploaded plugin";
    GET "/v1/plugins/{name}/component" Administer versions::component, "Download the component of a version of an uploaded plugin";
    POST "/v1/plugins/{name}/activate" Administer versions::activate, "Activate a stored version";
    POST "/v1/plugins/{name}/compare" Administer replays::compare, "Compare a version with the active one on recorded calls";
    GET "/v1/comparisons" Administer replays::comparisons, "List comparisons of versions since the start, newest first";
    GET "/v1/comparisons/{id}" Administer replays::comparison, "Read a comparison's progress and results";
    POST "/v1/plugins/{name}/rollout" Administer rollouts::begin, "Start a rollout of a stored version, as shadow or canary";
    DELETE "/v1/plugins/{name}/rollout" Administer rollouts::end, "End a rollout: the live version stays";
    POST "/v1/plugins/{name}/promote" Administer rollouts::promote, "Promote the version that is being rolled out";
    POST "/v1/plugins/{name}/rollback" Administer versions::roll_back, "Roll back to the previous version";
    POST "/v1/plugins/{name}/approve" Administer versions::approve, "Grant what the held version requests, and activate it";
    GET "/v1/plugins/{name}/policy" Administer policies::read, "Read a plugin's policy";
    PUT "/v1/plugins/{name}/policy" Administer policies::replace, "Set a plugin's policy";
    POST "/v1/plugins/{name}/grants" Administer policies::grant, "Add grants to a plugin's policy";
    GET "/v1/plugins/{name}/logs" Read policies::logs, "Read a plugin's recent log lines";
    PUT "/v1/secrets/{name}" Administer secrets::put, "Set a secret, which cannot be read back";
    GET "/v1/secrets" Administer secrets::list, "List the names of secrets";
    DELETE "/v1/secrets/{name}" Administer secrets::delete, "Delete a secret";
    POST "/v1/records/{kind}" Edit records::create, "Create a record";
    GET "/v1/records/{kind}" Read records::list, "List records of a kind: filtered, sorted";
    GET "/v1/records/{kind}/{id}" Read records::read, "Read a record";
    PATCH "/v1/records/{kind}/{id}" Edit records::change, "Update a record";
    DELETE "/v1/records/{kind}/{id}" Edit records::delete, "Delete a record";
    GET "/v1/records/{kind}/{id}/history" Read records::history, "List the changes of a record, newest first";
    POST "/v1/records/{kind}/{id}/notes" Edit records::add_note, "Add a note to a record";
    GET "/v1/records/{kind}/{id}/notes" Read records::notes, "List a record's notes";
    GET "/v1/kinds" Read kinds::list, "List the kinds of record";
    GET "/v1/kinds/{kind}" Read kinds::read, "Read a kind of record: fields, events, schema";
    PUT "/v1/kinds/{kind}" Administer kinds::declare, "Create or update a kind of record";
    DELETE "/v1/kinds/{kind}" Administer kinds::delete, "Delete a kind that has no records";
    GET "/v1/mails" Read mails::list, "List mails, newest first";
    GET "/v1/mails/{id}" Read mails::read, "Read a mail";
    POST "/v1/tickets" Edit tickets::create, "Create a ticket";
    GET "/v1/tickets" Read tickets::list, "List tickets";
    GET "/v1/tickets/{id}" Read tickets::read, "Read a ticket";
    PATCH "/v1/tickets/{id}" Edit tickets::change, "Update a ticket";
    POST "/v1/tickets/{id}/notes" Edit tickets::add_note, "Add a note to a ticket";
    GET "/v1/tickets/{id}/notes" Read tickets::notes, "List a ticket's notes";
    POST "/v1/webhooks" Administer webhooks::create, "Subscribe a URL to event types";
    GET "/v1/webhooks" Read webhooks::list, "List webhooks";
    GET "/v1/webhooks/{id}" Read webhooks::read, "Read a webhook";
    PATCH "/v1/webhooks/{id}" Administer webhooks::change, "Update a webhook";
    DELETE "/v1/webhooks/{id}" Administer webhooks::delete, "Delete a webhook";
    POST "/v1/webhooks/{id}/enable" Administer webhooks::switch::<true>, "Enable a webhook that is disabled or dead";
    POST "/v1/webhooks/{id}/disable" Administer webhooks::switch::<false>, "Disable a webhook";
    POST "/v1/webhooks/{id}/test" Administer webhooks::test, "Send a test event to a webhook, also if it is disabled";
    POST "/v1/webhooks/{id}/rotate" Administer webhooks::rotate, "Rotate a webhook's key: the old one stays valid during an overlap";
    POST "/v1/webhooks/{id}/verify" Administer webhooks::verify, "Send the verification challenge to a webhook's receiver again";
    POST "/v1/webhooks/{id}/recover" Administer webhooks::recover, "Redeliver the events that a webhook failed to receive or missed";
    GET "/v1/webhooks/{id}/keys" Read webhook_policies::key_set, "Read the public keys that verify a webhook's messages";
    POST "/v1/webhook-policies" Administer webhook_policies::create, "Create a webhook signing policy";
    GET "/v1/webhook-policies" Read webhook_policies::list, "List webhook policies, newest first";
    GET "/v1/webhook-policies/{id}" Read webhook_policies::read, "Read a webhook policy";
    PATCH "/v1/webhook-policies/{id}" Administer webhook_policies::change, "Update a webhook policy";
    DELETE "/v1/webhook-policies/{id}" Administer webhook_policies::delete, "Delete a webhook policy that no webhook uses";
    POST "/v1/webhook-policies/{id}/rotate" Administer webhook_policies::rotate, "Rotate a webhook policy's key";
    GET "/v1/webhook-policies/{id}/public-key" Read webhook_policies::public_key, "Read a webhook policy's public key, as PEM";
    POST "/api/v2/resthooks" Administer resthooks::create, "Subscribe a URL, as Capsule's clients do";
    GET "/api/v2/resthooks" Administer resthooks::list, "List webhooks in the format of Capsule's REST hooks";
    GET "/api/v2/resthooks/{id}" Administer resthooks::read, "Read a webhook in the format of Capsule's REST hooks";
    DELETE "/api/v2/resthooks/{id}" Administer resthooks::delete, "Unsubscribe, as Capsule's clients do";
    GET "/webhooks" Administer xurrent::list, "List webhooks in Xurrent's format";
    GET "/webhooks/enabled" Administer xurrent::enabled, "List enabled webhooks in Xurrent's format";
    GET "/webhooks/disabled" Administer xurrent::disabled, "List disabled webhooks in Xurrent's format";
    POST "/webhooks" Administer xurrent::create, "Create a webhook, as Xurrent's clients do";
    GET "/webhooks/{id}" Administer xurrent::read, "Read a webhook in Xurrent's format";
    PATCH "/webhooks/{id}" Administer xurrent::change, "Update a webhook, as Xurrent's clients do";
    DELETE "/webhooks/{id}" Administer xurrent::delete, "Delete a webhook, as Xurrent's clients do";
    POST "/webhooks/{id}/test" Administer xurrent::test, "Send a test event to a webhook, as Xurrent's clients do";
    GET "/v1/event-types" Read event_types::list, "List event types by name";
    POST "/v1/event-types" Administer event_types::create, "Register an event type";
    GET "/v1/event-types/{name}" Read event_types::read, "Read an event type with its schema and example";
    PUT "/v1/event-types/{name}" Administer event_types::replace, "Register or replace an event type";
    DELETE "/v1/event-types/{name}" Administer event_types::delete, "Delete a registered event type";
    GET "/v1/vocabularies" Read event_types::vocabularies, "List the reference systems' names of event types";
    ANY "/confirm/{token}" Nothing webhooks::confirm, "Confirm a webhook with the link that was sent to its receiver";
    GET "/certificates/{space}/{webhook}/{file}" Nothing webhooks::certificate, "Read the certificate of a key that signs as Amazon SNS does";
    GET "/v1/runs" Read outcomes::runs, "List runs, newest first";
    GET "/v1/runs/{id}" Read outcomes::run, "Read a run";
    POST "/v1/runs/{id}/cancel" Edit outcomes::cancel, "Cancel a run";
    GET "/v1/deliveries" Read outcomes::deliveries, "List deliveries, newest first";
    GET "/v1/deliveries/{id}" Read outcomes::delivery, "Read a delivery with its attempts";
    POST "/v1/deliveries/{id}/redeliver" Edit attempts::redeliver, "Redeliver a delivery";
    GET "/v1/attempts" Read attempts::list, "List delivery attempts, newest first";
    GET "/v1/attempts/export" Read attempts::export, "Export the requests to webhooks that match a filter, one per line";
    POST "/v1/redeliveries" Edit attempts::redeliver_all, "Redeliver all deliveries that match a filter";
    GET "/v1/redeliveries" Read attempts::redeliveries, "List redeliveries since the start, newest first";
    GET "/v1/redeliveries/{id}" Read attempts::redelivery, "Read a redelivery's progress";
    POST "/v1/sources" Administer sources::create, "Create a source with its own URL";
    GET "/v1/sources" Administer sources::list, "List sources";
    GET "/v1/sources/{id}" Administer sources::read, "Read a source";
    PATCH "/v1/sources/{id}" Administer sources::change, "Update a source";
    DELETE "/v1/sources/{id}" Administer sources::delete, "Delete a source";
    POST "/v1/sources/{id}/poll" Administer sources::poll, "Poll a source now";
    POST "/v1/sources/{id}/rotate" Administer sources::rotate, "Rotate a source's URL";
    GET "/v1/sources/{id}/requests" Administer source_log::list, "List the latest requests to a source's URL, newest first";
    GET "/v1/sources/{id}/requests/{request}" Administer source_log::read, "Read a request to a source's URL";
    GET "/v1/sources/{id}/requests/{request}/automation" Administer source_log::propose, "Propose an automation for such requests, ready to be saved";
    POST "/v1/configuration/plan" Administer configuration::plan, "Show what a configuration document would change, without changing it";
    POST "/v1/configuration/apply" Administer configuration::apply, "Apply a configuration document to the space, all or nothing";
    GET "/v1/configuration/export" Administer configuration::export, "Export the space's configuration, without secrets";
    POST "/v1/keys" Administer keys::create, "Create an API key";
    GET "/v1/keys" Administer keys::list, "List API keys";
    GET "/v1/keys/{id}" Administer keys::read, "Read an API key's metadata";
    PATCH "/v1/keys/{id}" Administer keys::change, "Set the user that an API key represents";
    DELETE "/v1/keys/{id}" Administer keys::delete, "Revoke an API key";
    POST "/v1/keys/{id}/rotate" Administer keys::rotate, "Rotate an API key";
}

/// All routes. One without variable parts in its path is found at once; the router reads the paths of the others.
#[derive(Clone)]
pub(crate) struct Routes {
    fixed: Arc<HashMap<&'static str, Vec<(Method, Open)>>>,
    router: Router,
}

impl Routes {
    pub(crate) fn new(app: &Shared) -> Self {
        let mut fixed = HashMap::<_, Vec<_>>::new();
        let mut router = Router::new();
        for (verb, path, gate) in table(app) {
            if !path.contains('{')
                && let Ok(method) = verb.parse()
            {
                fixed.entry(path).or_default().push((method, gate.clone()));
            }
            let route = match verb {
                "GET" => get_service(gate),
                "POST" => post_service(gate),
                "PUT" => put_service(gate),
                "PATCH" => patch_service(gate),
                "DELETE" => delete_service(gate),
                _ => any_service(gate),
            };
            router = router.route(path, route);
        }
        let router = router.fallback(nowhere).method_not_allowed_fallback(wrong_method);
        Self { fixed: Arc::new(fixed), router }
    }

    /// Responds to a request.
    pub(crate) fn answer(&self, request: Request) -> Answering {
        let gates = self.fixed.get(request.uri().path()).into_iter().flatten();
        let mut found = gates.filter(|(method, _)| method == request.method());
        if let Some((_, gate)) = found.next() {
            return gate.pass(request);
        }
        let answering = self.router.clone().call(request);
        Box::pin(async move { answering.await.unwrap_or_else(|never| match never {}) })
    }
}

async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let problem = Problem::new(StatusCode::NOT_FOUND, "route.not_found", format!("there is nothing at {path}"));
    Dialect::answer(&path, problem.unread(&headers))
}

async fn wrong_method(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let method: String = method.as_str().chars().take(20).collect();
    let detail = format!("{path} does not support {method}; the header Allow lists the supported methods");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", detail);
    Dialect::answer(&path, problem.unread(&headers))
}
