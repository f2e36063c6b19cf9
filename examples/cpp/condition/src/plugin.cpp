// The condition `probe-condition` (see ../../../README.md).
#include "condition_plugin_cpp.h"
#include "hookwright_json.h"

namespace json = hookwright::json;
using hookwright::plugin::types::Failure;
using wit::string;

hookwright::plugin::types::Manifest exports::hookwright::plugin::metadata::Describe() {
  return {
      string::from_view("probe-condition"),
      string::from_view("0.1.0"),
      string::from_view("Compares a value of the event with an expected one"),
      string::from_view(R"({"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false})"),
      {},
  };
}

namespace plugin = exports::hookwright::plugin::condition;

std::expected<plugin::Verdict, Failure> plugin::Evaluate(Event event, string parameters) {
  json::Slice given = json::get(parameters.get_view(), "path");
  std::string path = json::text(given).value_or("");
  if (path.empty()) {
    std::string message = "`path` is " + json::compact(given, "nothing");
    message += ": write the dotted path of a value, such as \"a.b\"";
    return std::unexpected(Failure{string::from_view("parameters.invalid"), string::from_view(message), {}});
  }
  json::Slice expected = json::get(parameters.get_view(), "equals").value_or("null");
  json::Slice value = json::follow(event.data.get_view(), path);
  std::string reason = path + " is " + json::compact(value, "nothing") + ", expected " + json::compact(expected, "");
  return Verdict{json::equal(value, expected), string::from_view(reason)};
}
