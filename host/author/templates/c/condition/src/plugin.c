/* The plugin-kind `plugin-name`. */
#include "condition_plugin.h"
#include "hookwright_json.h"

void exports_hookwright_plugin_metadata_describe(exports_hookwright_plugin_metadata_manifest_t *manifest) {
  condition_plugin_string_dup(&manifest->name, "plugin-name");
  condition_plugin_string_dup(&manifest->version, "0.1.0");
  condition_plugin_string_dup(&manifest->summary, "Holds where the event's level is the expected one");
  condition_plugin_string_dup(&manifest->parameters,
      "{\"type\":\"object\",\"required\":[\"level\"],\"properties\":{\"level\":{\"type\":\"string\"}},\"additionalProperties\":false}");
  manifest->hints.ptr = NULL;
  manifest->hints.len = 0;
}

bool exports_hookwright_plugin_condition_evaluate(exports_hookwright_plugin_condition_event_t *event,
                                                  exports_hookwright_plugin_condition_json_t *parameters,
                                                  exports_hookwright_plugin_condition_verdict_t *verdict,
                                                  exports_hookwright_plugin_condition_failure_t *failure) {
  json_t expected = json_member(json_of(parameters->ptr, parameters->len), "level");
  json_t level = json_member(json_of(event->data.ptr, event->data.len), "level");
  buffer_t reason = {0};
  buffer_say(&reason, "level is ");
  buffer_compact(&reason, level, "nothing");
  buffer_say(&reason, ", expected ");
  buffer_compact(&reason, expected, "nothing");
  verdict->holds = json_equal(level, expected);
  /* Given away: it is freed once the host has read it. */
  verdict->reason.ptr = reason.ptr;
  verdict->reason.len = reason.len;
  exports_hookwright_plugin_condition_event_free(event);
  condition_plugin_string_free(parameters);
  /* false would mean that `failure` is filled in. */
  (void)failure;
  return true;
}
