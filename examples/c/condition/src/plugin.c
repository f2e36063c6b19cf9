/* The condition `probe-condition` (see ../../../README.md). */
#include "condition_plugin.h"
#include "hookwright_json.h"

#include <string.h>

typedef condition_plugin_string_t string_t;

/* Gives a buffer's bytes away; the bindings free them once the host has read them. */
static string_t given(buffer_t buffer) { return (string_t){buffer.ptr, buffer.len}; }

static string_t text(const char *text) {
  string_t copy;
  condition_plugin_string_dup(&copy, text);
  return copy;
}

void exports_hookwright_plugin_metadata_describe(exports_hookwright_plugin_metadata_manifest_t *manifest) {
  manifest->name = text("probe-condition");
  manifest->version = text("0.1.0");
  manifest->summary = text("Compares a value of the event with an expected one");
  manifest->parameters =
      text("{\"type\":\"object\",\"properties\":{\"path\":{},\"equals\":{}},\"additionalProperties\":false}");
  manifest->hints.ptr = NULL;
  manifest->hints.len = 0;
}

bool exports_hookwright_plugin_condition_evaluate(exports_hookwright_plugin_condition_event_t *event,
                                                  exports_hookwright_plugin_condition_json_t *parameters,
                                                  exports_hookwright_plugin_condition_verdict_t *verdict,
                                                  exports_hookwright_plugin_condition_failure_t *failure) {
  json_t data = json_of(event->data.ptr, event->data.len);
  json_t with = json_of(parameters->ptr, parameters->len);
  json_t path = json_member(with, "path");
  json_t expected = json_member(with, "equals");
  if (expected.at == NULL) expected = json_of("null", 4);

  buffer_t name = {0};
  json_text(path, &name);
  bool named = name.len > 0;
  if (named) {
    json_t value = json_path(data, name.ptr, name.len);
    buffer_t reason = {0};
    buffer_add(&reason, name.ptr, name.len);
    buffer_say(&reason, " is ");
    buffer_compact(&reason, value, "nothing");
    buffer_say(&reason, ", expected ");
    buffer_compact(&reason, expected, "null");
    verdict->holds = json_equal(value, expected);
    verdict->reason = given(reason);
  } else {
    buffer_t message = {0};
    buffer_say(&message, "`path` is ");
    buffer_compact(&message, path, "nothing");
    buffer_say(&message, ": write the dotted path of a value, such as \"a.b\"");
    failure->code = text("parameters.invalid");
    failure->message = given(message);
    failure->retry_after_ms.is_some = false;
  }
  buffer_free(&name);
  exports_hookwright_plugin_condition_event_free(event);
  condition_plugin_string_free(parameters);
  return named;
}
