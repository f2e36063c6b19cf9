// The plugin-kind `plugin-name`.
#include "condition_plugin_cpp.h"
#include "hookwright_json.h"

namespace json = hookwright::json;
using hookwright::plugin::types::Failure;
using wit::string;

hookwright::plugin::types::Manifest exports::hookwright::plugin::metadata::Describe() {
  return {
      string::from_view("plugin-name"),
      string::from_view("0.1.0"),
      string::from_view("Holds where the event's level is the expected one"),
      string::from_view(R"({"type":"object","required":["level"],"properties":{"level":{"type":"string"}},"additionalProperties":false})"),
      {},
  };
}

namespace plugin = exports::hookwright::plugin::condition;

std::expected<plugin::Verdict, Failure> plugin::Evaluate(Event event, string parameters) {
  json::Slice expected = json::get(parameters.get_view(), "level");
  json::Slice level = json::get(event.data.get_view(), "level");
  std::string reason = "level is " + json::compact(level, "nothing");
  reason += ", expected " + json::compact(expected, "nothing");
  return Verdict{json::equal(level, expected), string::from_view(reason)};
}
