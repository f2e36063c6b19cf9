// The plugin-kind `plugin-name`.
#include "action_plugin_cpp.h"
#include "hookwright_json.h"

namespace json = hookwright::json;
using hookwright::plugin::types::Failure;
using wit::string;

hookwright::plugin::types::Manifest exports::hookwright::plugin::metadata::Describe() {
  return {
      string::from_view("plugin-name"),
      string::from_view("0.1.0"),
      string::from_view("Adds a note about the event to a ticket"),
      string::from_view(R"({"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false})"),
      {},
  };
}

namespace plugin = exports::hookwright::plugin::action;

std::expected<plugin::Outcome, Failure> plugin::Run(Event event, string parameters) {
  // An id may be a number or a text.
  json::Slice given = json::get(parameters.get_view(), "ticket");
  std::string ticket = json::text(given).value_or(json::compact(given, ""));
  std::string text = event.event_type.to_string() + " from " + event.source.to_string();
  auto note = ::hookwright::plugin::tickets::AddNote(ticket, text, false);
  if (!note) return std::unexpected(std::move(note).error());
  std::string result = "{\"note\":" + json::quote(note->get_view()) + "}";
  return Outcome{Outcome::Done{string::from_view(result)}};
}
