/* The action `probe-action` (see ../../../README.md). */
#include "action_plugin.h"
#include "hookwright_json.h"

#include <string.h>

typedef action_plugin_string_t string_t;
typedef action_plugin_list_u8_t bytes_t;
typedef exports_hookwright_plugin_action_failure_t failure_t;
typedef exports_hookwright_plugin_action_outcome_t outcome_t;

/* One call: its input, and where its result is written. */
typedef struct {
  string_t data_text;
  json_t data;
  json_t with;
  buffer_t result;
  outcome_t *outcome;
  failure_t *failure;
} call_t;

/* Lends a buffer's bytes to the host. */
static string_t lent(buffer_t buffer) { return (string_t){buffer.ptr, buffer.len}; }
static bytes_t lent_bytes(buffer_t buffer) { return (bytes_t){buffer.ptr, buffer.len}; }

static string_t literal(const char *text) { return (string_t){(uint8_t *)text, strlen(text)}; }

static string_t copy(const char *text) {
  string_t copy;
  action_plugin_string_dup(&copy, text);
  return copy;
}

/* A parameter that is a string, as UTF-8; empty if it is not one. */
static buffer_t parameter(call_t *call, const char *name) {
  buffer_t text = {0};
  json_text(json_member(call->with, name), &text);
  return text;
}

/* An id: a string without its quotes, or a number as it is written. */
static buffer_t id_parameter(call_t *call, const char *name) {
  json_t value = json_member(call->with, name);
  buffer_t id = {0};
  if (!json_text(value, &id)) buffer_compact(&id, value, "");
  return id;
}

static void add_hex(call_t *call, bytes_t bytes) {
  string_t hex;
  hookwright_plugin_encoding_hex_encode(&bytes, &hex);
  buffer_quote(&call->result, hex.ptr, hex.len);
  action_plugin_string_free(&hex);
}

static bool fails(call_t *call, const char *code, buffer_t message) {
  call->failure->code = copy(code);
  call->failure->message = lent(message);
  call->failure->retry_after_ms.is_some = false;
  return false;
}

static bool echo(call_t *call) {
  buffer_add(&call->result, call->data_text.ptr, call->data_text.len);
  return true;
}

static bool unicode(call_t *call) {
  buffer_t text = parameter(call, "text");
  string_t lent_text = lent(text), back;
  bytes_t bytes;
  hookwright_plugin_encoding_utf8_encode(&lent_text, &bytes);
  buffer_say(&call->result, "{\"bytes\":");
  buffer_count(&call->result, bytes.len);
  buffer_say(&call->result, ",\"hex\":");
  add_hex(call, bytes);
  bool ok = hookwright_plugin_encoding_utf8_decode(&bytes, &back, call->failure);
  if (ok) {
    bool same = back.len == text.len && memcmp(back.ptr, text.ptr, text.len) == 0;
    buffer_say(&call->result, same ? ",\"same\":true}" : ",\"same\":false}");
    action_plugin_string_free(&back);
  }
  action_plugin_list_u8_free(&bytes);
  buffer_free(&text);
  return ok;
}

static bool numbers(call_t *call) {
  buffer_say(&call->result, "{\"numbers\":");
  buffer_compact(&call->result, json_member(call->data, "numbers"), "null");
  buffer_say(&call->result, ",\"first\":");
  buffer_compact(&call->result, json_path(call->data, "numbers.0", 9), "null");
  buffer_say(&call->result, "}");
  return true;
}

static bool hash(call_t *call) {
  buffer_t algorithm = parameter(call, "algorithm"), text = parameter(call, "text");
  string_t name = lent(algorithm);
  bytes_t data = lent_bytes(text), digest;
  bool ok = hookwright_plugin_crypto_digest(&name, &data, &digest, call->failure);
  if (ok) {
    buffer_say(&call->result, "{\"hex\":");
    add_hex(call, digest);
    buffer_say(&call->result, "}");
    action_plugin_list_u8_free(&digest);
  }
  buffer_free(&algorithm);
  buffer_free(&text);
  return ok;
}

static bool hmac(call_t *call) {
  buffer_t algorithm = parameter(call, "algorithm"), secret = parameter(call, "secret"), text = parameter(call, "text");
  string_t name = lent(algorithm), key = lent(secret);
  bytes_t data = lent_bytes(text), code;
  bool ok = hookwright_plugin_crypto_hmac(&name, &key, &data, &code, call->failure);
  if (ok) {
    buffer_say(&call->result, "{\"hex\":");
    add_hex(call, code);
    failure_t refusal;
    bool verified = hookwright_plugin_crypto_verify_hmac(&name, &key, &data, &code, &refusal);
    if (!verified) hookwright_plugin_types_failure_free(&refusal);
    if (code.len > 0) code.ptr[code.len - 1] ^= 1;
    bool refused = !hookwright_plugin_crypto_verify_hmac(&name, &key, &data, &code, &refusal);
    if (refused) hookwright_plugin_types_failure_free(&refusal);
    buffer_say(&call->result, verified ? ",\"verified\":true" : ",\"verified\":false");
    buffer_say(&call->result, refused ? ",\"refused\":true}" : ",\"refused\":false}");
    action_plugin_list_u8_free(&code);
  }
  buffer_free(&algorithm);
  buffer_free(&secret);
  buffer_free(&text);
  return ok;
}

static bool base64(call_t *call) {
  bool decodes = json_is_text(json_member(call->with, "decode"));
  buffer_t text = parameter(call, decodes ? "decode" : "text");
  string_t encoded;
  bytes_t data = lent_bytes(text), decoded;
  if (decodes) encoded = lent(text);
  else hookwright_plugin_encoding_base64_encode(&data, &encoded);
  bool ok = hookwright_plugin_encoding_base64_decode(&encoded, &decoded, call->failure);
  if (ok && decodes) {
    buffer_say(&call->result, "{\"hex\":");
    add_hex(call, decoded);
    buffer_say(&call->result, "}");
  } else if (ok) {
    bool same = decoded.len == text.len && memcmp(decoded.ptr, text.ptr, text.len) == 0;
    buffer_say(&call->result, "{\"base64\":");
    buffer_quote(&call->result, encoded.ptr, encoded.len);
    buffer_say(&call->result, same ? ",\"same\":true}" : ",\"same\":false}");
  }
  if (ok) action_plugin_list_u8_free(&decoded);
  if (!decodes) action_plugin_string_free(&encoded);
  buffer_free(&text);
  return ok;
}

static bool tell_time(call_t *call) {
  string_t now;
  hookwright_plugin_clock_now(&now);
  buffer_say(&call->result, "{\"now\":");
  buffer_quote(&call->result, now.ptr, now.len);
  buffer_say(&call->result, ",\"ms\":");
  buffer_count(&call->result, (uint64_t)hookwright_plugin_clock_now_ms());
  buffer_say(&call->result, "}");
  action_plugin_string_free(&now);
  return true;
}

static bool draw(call_t *call) {
  bytes_t bytes;
  string_t one, other;
  hookwright_plugin_random_bytes(16, &bytes);
  hookwright_plugin_random_uuid(&one);
  hookwright_plugin_random_uuid(&other);
  hookwright_plugin_random_bits();
  bool differs = one.len != other.len || memcmp(one.ptr, other.ptr, one.len) != 0;
  buffer_say(&call->result, "{\"bytes\":");
  buffer_count(&call->result, bytes.len);
  buffer_say(&call->result, ",\"uuid\":");
  buffer_count(&call->result, one.len);
  buffer_say(&call->result, differs ? ",\"differs\":true}" : ",\"differs\":false}");
  action_plugin_list_u8_free(&bytes);
  action_plugin_string_free(&one);
  action_plugin_string_free(&other);
  return true;
}

static bool write_log(call_t *call) {
  buffer_t text = parameter(call, "text");
  string_t level = literal("warn"), message = lent(text);
  action_plugin_tuple2_string_string_t field = {literal("probe"), literal("log")};
  hookwright_plugin_log_pairs_t fields = {&field, 1};
  hookwright_plugin_log_write(&level, &message, &fields);
  buffer_say(&text, "\n");
  bytes_t printed = lent_bytes(text);
  hookwright_plugin_log_print(&printed);
  buffer_free(&text);
  buffer_say(&call->result, "{\"logged\":2}");
  return true;
}

static bool ticket(call_t *call) {
  buffer_t id = id_parameter(call, "id"), changes = {0};
  buffer_compact(&changes, json_member(call->with, "changes"), "{}");
  string_t name = lent(id), with = lent(changes), after;
  hookwright_plugin_tickets_option_json_t before;
  bool ok = hookwright_plugin_tickets_get(&name, &before, call->failure);
  if (ok && !before.is_some) {
    buffer_t reason = {0};
    buffer_say(&reason, "there is no ticket ");
    buffer_add(&reason, id.ptr, id.len);
    call->outcome->tag = EXPORTS_HOOKWRIGHT_PLUGIN_ACTION_OUTCOME_SKIPPED;
    call->outcome->val.skipped = lent(reason);
  } else if (ok) {
    ok = hookwright_plugin_tickets_update(&name, &with, &after, call->failure);
    if (ok) {
      buffer_say(&call->result, "{\"before\":");
      buffer_add(&call->result, before.val.ptr, before.val.len);
      buffer_say(&call->result, ",\"after\":");
      buffer_add(&call->result, after.ptr, after.len);
      buffer_say(&call->result, "}");
      action_plugin_string_free(&after);
    }
    action_plugin_string_free(&before.val);
  }
  buffer_free(&id);
  buffer_free(&changes);
  return ok;
}

/* A result that is one id. */
static void add_id(call_t *call, const char *opening, string_t *id) {
  buffer_say(&call->result, opening);
  buffer_quote(&call->result, id->ptr, id->len);
  buffer_say(&call->result, "}");
  action_plugin_string_free(id);
}

static bool note(call_t *call) {
  buffer_t id = id_parameter(call, "id"), text = parameter(call, "text");
  bool is_public = json_equal(json_member(call->with, "public"), json_of("true", 4));
  string_t name = lent(id), said = lent(text), made;
  bool ok = hookwright_plugin_tickets_add_note(&name, &said, is_public, &made, call->failure);
  if (ok) add_id(call, "{\"note\":", &made);
  buffer_free(&id);
  buffer_free(&text);
  return ok;
}

static bool emit(call_t *call) {
  buffer_t type = parameter(call, "type"), subject = parameter(call, "subject"), data = {0};
  bool about = json_is_text(json_member(call->with, "subject"));
  buffer_compact(&data, json_member(call->with, "data"), "null");
  string_t name = lent(type), of = lent(subject), payload = lent(data), made;
  bool ok = hookwright_plugin_events_emit(&name, about ? &of : NULL, &payload, &made, call->failure);
  if (ok) add_id(call, "{\"event\":", &made);
  buffer_free(&type);
  buffer_free(&subject);
  buffer_free(&data);
  return ok;
}

/* Adds the value of the key, or null. `there`, if given, is set to whether it exists. */
static bool add_value(call_t *call, string_t *key, bool *there) {
  action_plugin_option_list_u8_t value;
  if (!hookwright_plugin_kv_get(key, &value, call->failure)) return false;
  if (there != NULL) *there = value.is_some;
  else if (value.is_some) buffer_quote(&call->result, value.val.ptr, value.val.len);
  else buffer_say(&call->result, "null");
  if (value.is_some) action_plugin_list_u8_free(&value.val);
  return true;
}

static bool kv(call_t *call) {
  buffer_t key = parameter(call, "key"), value = parameter(call, "value");
  json_t seconds = json_member(call->with, "ttl_seconds");
  uint32_t ttl = json_count(seconds, UINT32_MAX, 0);
  bool removes = json_equal(json_member(call->with, "remove"), json_of("true", 4)), there = true;
  string_t name = lent(key);
  bytes_t bytes = lent_bytes(value);
  action_plugin_list_string_t keys;
  buffer_say(&call->result, "{\"before\":");
  bool ok = add_value(call, &name, NULL) &&
            hookwright_plugin_kv_set(&name, &bytes, seconds.at == NULL ? NULL : &ttl, call->failure);
  buffer_say(&call->result, ",\"after\":");
  ok = ok && add_value(call, &name, NULL) && hookwright_plugin_kv_keys(&name, 10, &keys, call->failure);
  if (ok) {
    buffer_say(&call->result, ",\"keys\":");
    buffer_count(&call->result, keys.len);
    action_plugin_list_string_free(&keys);
    if (removes) ok = hookwright_plugin_kv_remove(&name, call->failure) && add_value(call, &name, &there);
    buffer_say(&call->result, there ? ",\"removed\":false}" : ",\"removed\":true}");
  }
  buffer_free(&key);
  buffer_free(&value);
  return ok;
}

static bool is_content_type(string_t name) {
  const char *wanted = "content-type";
  if (name.len != strlen(wanted)) return false;
  for (size_t i = 0; i < name.len; i++) {
    uint8_t byte = name.ptr[i];
    if ((byte >= 'A' && byte <= 'Z' ? byte + 32 : byte) != (uint8_t)wanted[i]) return false;
  }
  return true;
}

static bool http(call_t *call) {
  buffer_t method = parameter(call, "method"), url = parameter(call, "url"), body = {0};
  if (method.len == 0) buffer_say(&method, "POST");
  buffer_compact(&body, json_member(call->with, "body"), "");
  action_plugin_tuple2_string_string_t headers[] = {{literal("content-type"), literal("application/json")},
                                                    {literal("x-probe"), literal("http")}};
  hookwright_plugin_http_request_t request = {
      .method = lent(method),
      .url = lent(url),
      .headers = {headers, 2},
      .body = lent_bytes(body),
      .timeout_ms = {true, 5000},
  };
  hookwright_plugin_http_response_t response;
  bool ok = hookwright_plugin_http_send(&request, &response, call->failure);
  if (ok) {
    buffer_say(&call->result, "{\"status\":");
    buffer_count(&call->result, response.status);
    buffer_say(&call->result, ",\"type\":");
    size_t at = 0;
    while (at < response.headers.len && !is_content_type(response.headers.ptr[at].f0)) at++;
    if (at < response.headers.len)
      buffer_quote(&call->result, response.headers.ptr[at].f1.ptr, response.headers.ptr[at].f1.len);
    else buffer_say(&call->result, "null");
    buffer_say(&call->result, ",\"body\":");
    buffer_quote(&call->result, response.body.ptr, response.body.len);
    buffer_say(&call->result, "}");
    hookwright_plugin_http_response_free(&response);
  }
  buffer_free(&method);
  buffer_free(&url);
  buffer_free(&body);
  return ok;
}

static bool fail(call_t *call) { return fails(call, "probe.failed", parameter(call, "text")); }

static bool retry(call_t *call) {
  fails(call, "probe.later", parameter(call, "text"));
  call->failure->retry_after_ms.is_some = true;
  call->failure->retry_after_ms.val = json_count(json_member(call->with, "after_ms"), UINT32_MAX, 0);
  return false;
}

static bool skip(call_t *call) {
  call->outcome->tag = EXPORTS_HOOKWRIGHT_PLUGIN_ACTION_OUTCOME_SKIPPED;
  call->outcome->val.skipped = lent(parameter(call, "text"));
  return true;
}

static bool big(call_t *call) {
  string_t algorithm = literal("sha256");
  bytes_t data = {call->data_text.ptr, call->data_text.len}, digest;
  if (!hookwright_plugin_crypto_digest(&algorithm, &data, &digest, call->failure)) return false;
  buffer_say(&call->result, "{\"bytes\":");
  buffer_count(&call->result, data.len);
  buffer_say(&call->result, ",\"sha256\":");
  add_hex(call, digest);
  buffer_say(&call->result, "}");
  action_plugin_list_u8_free(&digest);
  return true;
}

static const struct {
  const char *name;
  bool (*work)(call_t *);
} PROBES[] = {
    {"echo", echo},     {"unicode", unicode}, {"numbers", numbers}, {"hash", hash}, {"hmac", hmac}, {"base64", base64},
    {"time", tell_time}, {"random", draw},    {"log", write_log},   {"ticket", ticket}, {"note", note}, {"emit", emit},
    {"kv", kv},         {"http", http},       {"fail", fail},       {"retry", retry}, {"skip", skip}, {"big", big},
};

void exports_hookwright_plugin_metadata_describe(exports_hookwright_plugin_metadata_manifest_t *manifest) {
  manifest->name = copy("probe-action");
  manifest->version = copy("0.1.0");
  manifest->summary = copy("Calls the host in every way and tells what came back");
  manifest->parameters = copy("{\"type\":\"object\"}");
  manifest->hints.ptr = NULL;
  manifest->hints.len = 0;
}

bool exports_hookwright_plugin_action_run(exports_hookwright_plugin_action_event_t *event,
                                          exports_hookwright_plugin_action_json_t *parameters, outcome_t *outcome,
                                          failure_t *failure) {
  call_t call = {
      .data_text = event->data,
      .data = json_of(event->data.ptr, event->data.len),
      .with = json_of(parameters->ptr, parameters->len),
      .outcome = outcome,
      .failure = failure,
  };
  outcome->tag = EXPORTS_HOOKWRIGHT_PLUGIN_ACTION_OUTCOME_DONE;
  json_t wanted = json_member(call.with, "do");
  buffer_t name = parameter(&call, "do");
  size_t probe = 0, count = sizeof PROBES / sizeof PROBES[0];
  while (probe < count && (strlen(PROBES[probe].name) != name.len || memcmp(PROBES[probe].name, name.ptr, name.len) != 0))
    probe++;
  bool ok;
  if (probe < count) {
    ok = PROBES[probe].work(&call);
  } else {
    buffer_t message = {0};
    buffer_say(&message, "`do` is ");
    buffer_compact(&message, wanted, "nothing");
    buffer_say(&message, ": write one of ");
    for (size_t i = 0; i < count; i++) {
      if (i > 0) buffer_say(&message, ", ");
      buffer_say(&message, PROBES[i].name);
    }
    ok = fails(&call, "parameters.invalid", message);
  }
  if (ok && outcome->tag == EXPORTS_HOOKWRIGHT_PLUGIN_ACTION_OUTCOME_DONE) outcome->val.done = lent(call.result);
  else buffer_free(&call.result);
  buffer_free(&name);
  exports_hookwright_plugin_action_event_free(event);
  action_plugin_string_free(parameters);
  return ok;
}
