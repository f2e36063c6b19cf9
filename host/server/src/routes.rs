//! The table of routes: the one place that says what there is, what it needs, and what takes it.

use axum::Router;
use axum::extract::State;
use axum::middleware::{from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, any, delete, get, patch, post, put};
use http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::json;

use crate::auth::{self, Needs};
use crate::dialect::Dialect;
use crate::problem::Problem;
use crate::{
    Shared, attempts, automations, configuration, event_types, events, keys, kinds, mails, outcomes, plugins, policies,
    records, replays, resthooks, rollouts, schedules, secrets, source_log, sources, tickets, versions,
    webhook_policies, webhooks, workflows, xurrent,
};

/// A route, for whoever wants to know them all.
#[derive(Clone, Copy, Debug)]
pub struct Route {
    /// The method; `ANY` for all.
    pub method: &'static str,
    /// The path, with `{name}` for what varies.
    pub path: &'static str,
    /// What the caller must be allowed.
    pub needs: Needs,
    /// What it does.
    pub summary: &'static str,
}

macro_rules! routes {
    ($($verb:ident $path:literal $needs:ident $handler:path, $summary:literal;)*) => {
        /// Every route there is.
        pub const ROUTES: &[Route] = &[$(Route {
            method: stringify!($verb),
            path: $path,
            needs: Needs::$needs,
            summary: $summary,
        }),*];

        fn table(app: &Shared) -> Router<Shared> {
            Router::new()$(.route($path, guarded(app, $path, Needs::$needs, routes!(@$verb $handler))))*
        }
    };
    (@GET $handler:path) => { get($handler) };
    (@POST $handler:path) => { post($handler) };
    (@PUT $handler:path) => { put($handler) };
    (@PATCH $handler:path) => { patch($handler) };
    (@DELETE $handler:path) => { delete($handler) };
    (@ANY $handler:path) => { any($handler) };
}

routes! {
    GET "/healthz" Nothing healthz, "Answers 200 once the server serves";
    POST "/webhook" IngestNamed events::push, "Accept an event: service, trigger_event_type, attributes";
    ANY "/in/{token}" Nothing sources::receive, "Let a source take a provider's request";
    ANY "/in/{token}/{*path}" Nothing sources::receive, "The same, below the source's URL";
    POST "/v1/events" Ingest events::send, "Accept an event: native JSON or CloudEvents";
    GET "/v1/events" Read events::list, "List events, newest first";
    GET "/v1/events/{id}" Read events::story, "Tell the whole story of an event";
    GET "/v1/events/{id}/explain" Read events::explain, "Say what each automation made of an event, and why";
    POST "/v1/events/{id}/replay" Edit replays::event, "Run a stored event again, as a dry run or for real";
    GET "/v1/events/{id}/payload" Read events::payload, "The payload as it came in, byte for byte";
    POST "/v1/automations" Edit automations::create, "Make an automation";
    GET "/v1/automations" Read automations::list, "List automations";
    GET "/v1/automations/{id}" Read automations::read, "Read an automation";
    PATCH "/v1/automations/{id}" Edit automations::change, "Change an automation";
    DELETE "/v1/automations/{id}" Edit automations::delete, "Delete an automation";
    POST "/v1/automations/{id}/enable" Edit automations::enable, "Switch an automation on";
    POST "/v1/automations/{id}/disable" Edit automations::disable, "Switch an automation off";
    POST "/v1/automations/{id}/test" Edit automations::test, "Try an automation, and keep nothing of it";
    POST "/v1/workflows" Edit workflows::create, "Make a workflow";
    GET "/v1/workflows" Read workflows::list, "List workflows";
    GET "/v1/workflows/{name}" Read workflows::read, "Read a workflow";
    PATCH "/v1/workflows/{name}" Edit workflows::change, "Change a workflow, which makes a new version of it";
    DELETE "/v1/workflows/{name}" Edit workflows::delete, "Delete a workflow";
    GET "/v1/workflows/{name}/versions" Read workflows::versions, "List the versions of a workflow";
    POST "/v1/workflows/{name}/start" Edit workflows::start, "Start a workflow";
    POST "/v1/schedules" Edit schedules::create, "Make a schedule";
    GET "/v1/schedules" Read schedules::list, "List schedules, newest first";
    GET "/v1/schedules/{id}" Read schedules::read, "Read a schedule and how it goes";
    PATCH "/v1/schedules/{id}" Edit schedules::change, "Change a schedule";
    DELETE "/v1/schedules/{id}" Edit schedules::delete, "Delete a schedule";
    GET "/v1/plugins" Read plugins::list, "List plugins";
    GET "/v1/plugins/{name}" Read plugins::read, "Read what a plugin says of itself";
    PUT "/v1/plugins/{name}" Administer plugins::install, "Put in a new version of a plugin";
    DELETE "/v1/plugins/{name}" Administer plugins::remove, "Take an uploaded plugin out";
    GET "/v1/plugins/{name}/versions" Read versions::list, "List the versions of an uploaded plugin";
    GET "/v1/plugins/{name}/component" Administer versions::component, "The bytes of a version of an uploaded plugin";
    POST "/v1/plugins/{name}/activate" Administer versions::activate, "Put a kept version in use";
    POST "/v1/plugins/{name}/compare" Administer replays::compare, "Compare a version with the one in use on recorded calls";
    GET "/v1/comparisons" Administer replays::comparisons, "List comparisons of versions since the start, newest first";
    GET "/v1/comparisons/{id}" Administer replays::comparison, "How far a comparison has come, and what it found";
    POST "/v1/plugins/{name}/rollout" Administer rollouts::begin, "Call a kept version in the shadow, or as a canary";
    DELETE "/v1/plugins/{name}/rollout" Administer rollouts::end, "End a rollout: the version in use stays";
    POST "/v1/plugins/{name}/promote" Administer rollouts::promote, "Put the version in use that is on its way there";
    POST "/v1/plugins/{name}/rollback" Administer versions::roll_back, "Put the version in use that was so before";
    POST "/v1/plugins/{name}/approve" Administer versions::approve, "Grant what the held version wants, and put it in use";
    GET "/v1/plugins/{name}/policy" Administer policies::read, "Read what a plugin may do";
    PUT "/v1/plugins/{name}/policy" Administer policies::replace, "Say what a plugin may do";
    POST "/v1/plugins/{name}/grants" Administer policies::grant, "Grant a plugin more";
    GET "/v1/plugins/{name}/logs" Read policies::logs, "What a plugin logged lately";
    PUT "/v1/secrets/{name}" Administer secrets::put, "Set a secret, which nobody can read again";
    GET "/v1/secrets" Administer secrets::list, "List the names of secrets";
    DELETE "/v1/secrets/{name}" Administer secrets::delete, "Delete a secret";
    POST "/v1/records/{kind}" Edit records::create, "Make a record";
    GET "/v1/records/{kind}" Read records::list, "List records of a kind: filtered, sorted";
    GET "/v1/records/{kind}/{id}" Read records::read, "Read a record";
    PATCH "/v1/records/{kind}/{id}" Edit records::change, "Change a record";
    DELETE "/v1/records/{kind}/{id}" Edit records::delete, "Delete a record";
    GET "/v1/records/{kind}/{id}/history" Read records::history, "List the changes of a record, newest first";
    POST "/v1/records/{kind}/{id}/notes" Edit records::add_note, "Add a note to a record";
    GET "/v1/records/{kind}/{id}/notes" Read records::notes, "List a record's notes";
    GET "/v1/kinds" Read kinds::list, "List the kinds of record";
    GET "/v1/kinds/{kind}" Read kinds::read, "Read a kind of record: fields, events, schema";
    PUT "/v1/kinds/{kind}" Administer kinds::declare, "Declare a kind of record, or change it";
    DELETE "/v1/kinds/{kind}" Administer kinds::delete, "Delete a kind that has no records";
    GET "/v1/mails" Read mails::list, "List mails, newest first";
    GET "/v1/mails/{id}" Read mails::read, "Read a mail";
    POST "/v1/tickets" Edit tickets::create, "Make a ticket";
    GET "/v1/tickets" Read tickets::list, "List tickets";
    GET "/v1/tickets/{id}" Read tickets::read, "Read a ticket";
    PATCH "/v1/tickets/{id}" Edit tickets::change, "Change a ticket";
    POST "/v1/tickets/{id}/notes" Edit tickets::add_note, "Add a note to a ticket";
    GET "/v1/tickets/{id}/notes" Read tickets::notes, "List a ticket's notes";
    POST "/v1/webhooks" Administer webhooks::create, "Subscribe a URL to event types";
    GET "/v1/webhooks" Read webhooks::list, "List webhooks";
    GET "/v1/webhooks/{id}" Read webhooks::read, "Read a webhook";
    PATCH "/v1/webhooks/{id}" Administer webhooks::change, "Change a webhook";
    DELETE "/v1/webhooks/{id}" Administer webhooks::delete, "Delete a webhook";
    POST "/v1/webhooks/{id}/enable" Administer webhooks::enable, "Switch a webhook on, or bring one back that was given up";
    POST "/v1/webhooks/{id}/disable" Administer webhooks::disable, "Switch a webhook off";
    POST "/v1/webhooks/{id}/test" Administer webhooks::test, "Send a webhook a test, be it on or off";
    POST "/v1/webhooks/{id}/rotate" Administer webhooks::rotate, "Give a webhook a new key, beside which the old one signs for a while";
    POST "/v1/webhooks/{id}/verify" Administer webhooks::verify, "Ask a webhook's receiver again whether it wants to be called";
    POST "/v1/webhooks/{id}/recover" Administer webhooks::recover, "Send again what a webhook did not take";
    GET "/v1/webhooks/{id}/keys" Read webhook_policies::key_set, "The public keys that a webhook's messages are verified with";
    POST "/v1/webhook-policies" Administer webhook_policies::create, "Make a policy by which webhooks are signed";
    GET "/v1/webhook-policies" Read webhook_policies::list, "List webhook policies, newest first";
    GET "/v1/webhook-policies/{id}" Read webhook_policies::read, "Read a webhook policy";
    PATCH "/v1/webhook-policies/{id}" Administer webhook_policies::change, "Change a webhook policy";
    DELETE "/v1/webhook-policies/{id}" Administer webhook_policies::delete, "Delete a webhook policy that no webhook uses";
    POST "/v1/webhook-policies/{id}/rotate" Administer webhook_policies::rotate, "Give a webhook policy a new key";
    GET "/v1/webhook-policies/{id}/public-key" Read webhook_policies::public_key, "A webhook policy's public key, as PEM";
    POST "/api/v2/resthooks" Administer resthooks::create, "Subscribe a URL, as Capsule's clients do";
    GET "/api/v2/resthooks" Administer resthooks::list, "List webhooks as Capsule's REST hooks";
    GET "/api/v2/resthooks/{id}" Administer resthooks::read, "Read a webhook as a REST hook of Capsule's";
    DELETE "/api/v2/resthooks/{id}" Administer resthooks::delete, "Unsubscribe, as Capsule's clients do";
    GET "/webhooks" Administer xurrent::list, "List webhooks as Xurrent's";
    GET "/webhooks/enabled" Administer xurrent::enabled, "List the webhooks that are on, as Xurrent's";
    GET "/webhooks/disabled" Administer xurrent::disabled, "List the webhooks that are off, as Xurrent's";
    POST "/webhooks" Administer xurrent::create, "Make a webhook, as Xurrent's clients do";
    GET "/webhooks/{id}" Administer xurrent::read, "Read a webhook as one of Xurrent's";
    PATCH "/webhooks/{id}" Administer xurrent::change, "Change a webhook, as Xurrent's clients do";
    DELETE "/webhooks/{id}" Administer xurrent::delete, "Delete a webhook, as Xurrent's clients do";
    POST "/webhooks/{id}/test" Administer xurrent::test, "Send a webhook a test, as Xurrent's clients do";
    GET "/v1/event-types" Read event_types::list, "List types of event, by name";
    POST "/v1/event-types" Administer event_types::create, "Register a type of event";
    GET "/v1/event-types/{name}" Read event_types::read, "Read a type of event, with schema and example";
    PUT "/v1/event-types/{name}" Administer event_types::replace, "Register a type of event, or replace one";
    DELETE "/v1/event-types/{name}" Administer event_types::delete, "Forget a type of event that was registered";
    GET "/v1/vocabularies" Read event_types::vocabularies, "What the reference systems call types of event";
    ANY "/confirm/{token}" Nothing webhooks::confirm, "Confirm a webhook by following the link that its receiver was sent";
    GET "/certificates/{space}/{webhook}/{file}" Nothing webhooks::certificate, "The certificate of a key that signs as Amazon SNS does";
    GET "/v1/runs" Read outcomes::runs, "List runs, newest first";
    GET "/v1/runs/{id}" Read outcomes::run, "Read a run";
    POST "/v1/runs/{id}/cancel" Edit outcomes::cancel, "End a run before its last step";
    GET "/v1/deliveries" Read outcomes::deliveries, "List deliveries, newest first";
    GET "/v1/deliveries/{id}" Read outcomes::delivery, "Read a delivery with its attempts";
    POST "/v1/deliveries/{id}/redeliver" Edit attempts::redeliver, "Send a delivery again";
    GET "/v1/attempts" Read attempts::list, "List requests to webhooks, newest first";
    GET "/v1/attempts/export" Read attempts::export, "All requests to webhooks that fit, one a line";
    POST "/v1/redeliveries" Edit attempts::redeliver_all, "Send again every delivery that fits a filter";
    GET "/v1/redeliveries" Read attempts::redeliveries, "List redeliveries since the start, newest first";
    GET "/v1/redeliveries/{id}" Read attempts::redelivery, "How far a redelivery has come";
    POST "/v1/sources" Administer sources::create, "Make a source with a URL of its own";
    GET "/v1/sources" Administer sources::list, "List sources";
    GET "/v1/sources/{id}" Administer sources::read, "Read a source";
    PATCH "/v1/sources/{id}" Administer sources::change, "Change a source";
    DELETE "/v1/sources/{id}" Administer sources::delete, "Delete a source";
    POST "/v1/sources/{id}/poll" Administer sources::poll, "Ask a source for news now";
    POST "/v1/sources/{id}/rotate" Administer sources::rotate, "Give a source a new URL";
    GET "/v1/sources/{id}/requests" Administer source_log::list, "List the last requests at a source's URL, newest first";
    GET "/v1/sources/{id}/requests/{request}" Administer source_log::read, "Read a request at a source's URL";
    GET "/v1/sources/{id}/requests/{request}/automation" Administer source_log::propose, "An automation that takes such requests, ready to be saved";
    POST "/v1/configuration/plan" Administer configuration::plan, "What a document would change, and changing nothing";
    POST "/v1/configuration/apply" Administer configuration::apply, "Make the space be as a document says, all of it or nothing";
    GET "/v1/configuration/export" Administer configuration::export, "What the space holds, as a document without secrets";
    POST "/v1/keys" Administer keys::create, "Make an API key";
    GET "/v1/keys" Administer keys::list, "List API keys";
    GET "/v1/keys/{id}" Administer keys::read, "Read what is known of an API key";
    DELETE "/v1/keys/{id}" Administer keys::delete, "Revoke an API key";
    POST "/v1/keys/{id}/rotate" Administer keys::rotate, "Make a new key in place of one";
}

fn guarded(app: &Shared, path: &str, needs: Needs, route: MethodRouter<Shared>) -> MethodRouter<Shared> {
    if needs == Needs::Nothing {
        return route;
    }
    let route = route.layer(from_fn_with_state((app.clone(), needs), auth::check));
    match Dialect::of(path) {
        Some(dialect) => route.layer(map_response(move |response: Response| async move { dialect.spoken(response) })),
        None => route,
    }
}

/// Everything that the server answers.
pub(crate) fn router(app: Shared) -> Router {
    table(&app).fallback(nowhere).method_not_allowed_fallback(wrong_method).with_state(app)
}

async fn healthz(State(app): State<Shared>) -> Response {
    axum::Json(json!({"status": "ok", "backlog": app.pipeline.store().backlog()})).into_response()
}

async fn nowhere(uri: Uri, headers: HeaderMap) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let problem = Problem::new(StatusCode::NOT_FOUND, "route.not_found", format!("there is nothing at {path}"));
    Dialect::answer(&path, problem.unread(&headers))
}

async fn wrong_method(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    let path: String = uri.path().chars().take(200).collect();
    let method: String = method.as_str().chars().take(20).collect();
    let detail = format!("{path} does not take {method}; the header Allow says what it takes");
    let problem = Problem::new(StatusCode::METHOD_NOT_ALLOWED, "method.not_allowed", detail);
    Dialect::answer(&path, problem.unread(&headers))
}
