/* The plugin-kind `plugin-name`. */
#include "action_plugin.h"
#include "hookwright_json.h"

void exports_hookwright_plugin_metadata_describe(exports_hookwright_plugin_metadata_manifest_t *manifest) {
  action_plugin_string_dup(&manifest->name, "plugin-name");
  action_plugin_string_dup(&manifest->version, "0.1.0");
  action_plugin_string_dup(&manifest->summary, "Adds a note about the event to a ticket");
  action_plugin_string_dup(&manifest->parameters,
      "{\"type\":\"object\",\"required\":[\"ticket\"],\"properties\":{\"ticket\":{\"type\":[\"string\",\"integer\"]}},\"additionalProperties\":false}");
  manifest->hints.ptr = NULL;
  manifest->hints.len = 0;
}

bool exports_hookwright_plugin_action_run(exports_hookwright_plugin_action_event_t *event,
                                          exports_hookwright_plugin_action_json_t *parameters,
                                          exports_hookwright_plugin_action_outcome_t *outcome,
                                          exports_hookwright_plugin_action_failure_t *failure) {
  /* An id may be a number or a string. */
  json_t given = json_member(json_of(parameters->ptr, parameters->len), "ticket");
  buffer_t ticket = {0}, text = {0}, result = {0};
  if (!json_text(given, &ticket)) buffer_compact(&ticket, given, "");
  buffer_add(&text, event->event_type.ptr, event->event_type.len);
  buffer_say(&text, " from ");
  buffer_add(&text, event->source.ptr, event->source.len);

  action_plugin_string_t id = {ticket.ptr, ticket.len}, said = {text.ptr, text.len}, note;
  /* false: the host has filled in `failure`, which is passed on unchanged. */
  bool ok = hookwright_plugin_tickets_add_note(&id, &said, false, &note, failure);
  if (ok) {
    buffer_say(&result, "{\"note\":");
    buffer_quote(&result, note.ptr, note.len);
    buffer_say(&result, "}");
    action_plugin_string_free(&note);
    outcome->tag = EXPORTS_HOOKWRIGHT_PLUGIN_ACTION_OUTCOME_DONE;
    /* Given away: it is freed once the host has read it. */
    outcome->val.done.ptr = result.ptr;
    outcome->val.done.len = result.len;
  }
  buffer_free(&ticket);
  buffer_free(&text);
  exports_hookwright_plugin_action_event_free(event);
  action_plugin_string_free(parameters);
  return ok;
}
