// The action `probe-action` (see ../../../README.md).
#include "action_plugin_cpp.h"
#include "hookwright_json.h"

#include <array>
#include <cctype>

namespace json = hookwright::json;
namespace host = hookwright::plugin;
namespace plugin = exports::hookwright::plugin::action;
using hookwright::plugin::types::Failure;
using wit::string;

using Bytes = std::span<uint8_t const>;
using Answer = std::expected<plugin::Outcome, Failure>;

namespace {

Bytes bytes(std::string_view text) { return {reinterpret_cast<uint8_t const *>(text.data()), text.size()}; }

std::string_view text(wit::vector<uint8_t> const &bytes) {
  return {reinterpret_cast<char const *>(bytes.data()), bytes.size()};
}

Bytes view(wit::vector<uint8_t> const &bytes) { return bytes.get_const_view(); }

Answer done(std::string_view result) { return plugin::Outcome{plugin::Outcome::Done{string::from_view(result)}}; }

Answer skipped(std::string_view reason) {
  return plugin::Outcome{plugin::Outcome::Skipped{string::from_view(reason)}};
}

Answer failed(std::string_view code, std::string_view message, std::optional<uint32_t> retry_after_ms = {}) {
  return std::unexpected(Failure{string::from_view(code), string::from_view(message), retry_after_ms});
}

std::string say(bool is_so) { return is_so ? "true" : "false"; }

std::string hex_of(Bytes bytes) { return json::quote(host::encoding::HexEncode(bytes).get_view()); }

// The value of a result, or the way out of the function with its failure.
#define TAKE(name, asked)                                                                                              \
  auto name##_result = asked;                                                                                          \
  if (!name##_result) return std::unexpected(std::move(name##_result).error());                                        \
  auto &name = *name##_result

#define CHECK(asked)                                                                                                   \
  if (auto result = asked; !result) return std::unexpected(std::move(result).error())

/// One call: the event, and its parameters.
struct Call {
  std::string_view data, parameters;

  json::Slice get(std::string_view name) const { return json::get(parameters, name); }

  /// A parameter that is a string; empty if it is not one.
  std::string text(std::string_view name) const { return json::text(get(name)).value_or(""); }

  /// A parameter that is a text or a number.
  std::string id(std::string_view name) const {
    auto said = json::text(get(name));
    return said ? *said : json::compact(get(name), "");
  }

  bool is_true(std::string_view name) const { return json::equal(get(name), "true"); }

  std::optional<uint32_t> count(std::string_view name) const { return json::count(get(name)); }
};

Answer echo(Call const &call) { return done(call.data); }

Answer unicode(Call const &call) {
  std::string said = call.text("text");
  auto encoded = host::encoding::Utf8Encode(said);
  TAKE(back, host::encoding::Utf8Decode(view(encoded)));
  std::string result = "{\"bytes\":" + std::to_string(encoded.size()) + ",\"hex\":" + hex_of(view(encoded));
  return done(result + ",\"same\":" + say(back.get_view() == said) + "}");
}

Answer numbers(Call const &call) {
  std::string every = json::compact(json::get(call.data, "numbers"), "null");
  return done("{\"numbers\":" + every + ",\"first\":" + json::compact(json::follow(call.data, "numbers.0"), "null") + "}");
}

Answer hash(Call const &call) {
  TAKE(digest, host::crypto::Digest(call.text("algorithm"), bytes(call.text("text"))));
  return done("{\"hex\":" + hex_of(view(digest)) + "}");
}

Answer hmac(Call const &call) {
  std::string algorithm = call.text("algorithm"), secret = call.text("secret"), data = call.text("text");
  TAKE(code, host::crypto::Hmac(algorithm, secret, bytes(data)));
  std::string hex = hex_of(view(code));
  bool verified = host::crypto::VerifyHmac(algorithm, secret, bytes(data), view(code)).has_value();
  if (!code.empty()) code[code.size() - 1] ^= 1;
  bool refused = !host::crypto::VerifyHmac(algorithm, secret, bytes(data), view(code)).has_value();
  return done("{\"hex\":" + hex + ",\"verified\":" + say(verified) + ",\"refused\":" + say(refused) + "}");
}

Answer base64(Call const &call) {
  if (auto given = json::text(call.get("decode"))) {
    TAKE(decoded, host::encoding::Base64Decode(*given));
    return done("{\"hex\":" + hex_of(view(decoded)) + "}");
  }
  std::string said = call.text("text");
  string encoded = host::encoding::Base64Encode(bytes(said));
  TAKE(decoded, host::encoding::Base64Decode(encoded.get_view()));
  return done("{\"base64\":" + json::quote(encoded.get_view()) + ",\"same\":" + say(text(decoded) == said) + "}");
}

Answer time(Call const &) {
  std::string now = json::quote(host::clock::Now().get_view());
  return done("{\"now\":" + now + ",\"ms\":" + std::to_string(uint64_t(host::clock::NowMs())) + "}");
}

Answer draw(Call const &) {
  size_t drawn = host::random::Bytes(16).size();
  string one = host::random::Uuid(), other = host::random::Uuid();
  host::random::Bits();
  std::string result = "{\"bytes\":" + std::to_string(drawn) + ",\"uuid\":" + std::to_string(one.size());
  return done(result + ",\"differs\":" + say(one.get_view() != other.get_view()) + "}");
}

Answer write(Call const &call) {
  std::string said = call.text("text");
  std::array<std::tuple<std::string_view, std::string_view>, 1> fields = {{{"probe", "log"}}};
  host::log::Write("warn", said, fields);
  said += '\n';
  host::log::Print(bytes(said));
  return done("{\"logged\":2}");
}

Answer ticket(Call const &call) {
  std::string id = call.id("id");
  TAKE(before, host::tickets::Get(id));
  if (!before) return skipped("there is no ticket " + id);
  TAKE(after, host::tickets::Update(id, json::compact(call.get("changes"), "{}")));
  return done("{\"before\":" + before->to_string() + ",\"after\":" + after.to_string() + "}");
}

Answer note(Call const &call) {
  TAKE(id, host::tickets::AddNote(call.id("id"), call.text("text"), call.is_true("public")));
  return done("{\"note\":" + json::quote(id.get_view()) + "}");
}

Answer emit(Call const &call) {
  auto subject = json::text(call.get("subject"));
  std::optional<std::string_view> about;
  if (subject) about = *subject;
  TAKE(id, host::events::Emit(call.text("type"), about, json::compact(call.get("data"), "null")));
  return done("{\"event\":" + json::quote(id.get_view()) + "}");
}

std::string held(std::optional<wit::vector<uint8_t>> const &value) {
  return value ? json::quote(text(*value)) : "null";
}

Answer keep(Call const &call) {
  std::string key = call.text("key"), value = call.text("value");
  TAKE(before, host::kv::Get(key));
  CHECK(host::kv::Set(key, bytes(value), call.count("ttl_seconds")));
  TAKE(after, host::kv::Get(key));
  TAKE(keys, host::kv::Keys(key, 10));
  bool removed = false;
  if (call.is_true("remove")) {
    CHECK(host::kv::Remove(key));
    TAKE(left, host::kv::Get(key));
    removed = !left;
  }
  std::string result = "{\"before\":" + held(before) + ",\"after\":" + held(after);
  return done(result + ",\"keys\":" + std::to_string(keys.size()) + ",\"removed\":" + say(removed) + "}");
}

bool is_content_type(std::string_view name) {
  constexpr std::string_view wanted = "content-type";
  if (name.size() != wanted.size()) return false;
  for (size_t i = 0; i < name.size(); i++) {
    if (std::tolower(uint8_t(name[i])) != wanted[i]) return false;
  }
  return true;
}

Answer ask(Call const &call) {
  std::string method = call.text("method"), body = json::compact(call.get("body"), "");
  auto headers = wit::vector<std::tuple<string, string>>::allocate(2);
  headers.initialize(0, {string::from_view("content-type"), string::from_view("application/json")});
  headers.initialize(1, {string::from_view("x-probe"), string::from_view("http")});
  TAKE(answer, host::http::Send({
                   string::from_view(method.empty() ? "POST" : method),
                   string::from_view(call.text("url")),
                   std::move(headers),
                   wit::vector<uint8_t>::from_view(bytes(body)),
                   5000,
               }));
  std::string type = "null";
  for (auto const &[name, value] : answer.headers.get_const_view()) {
    if (type == "null" && is_content_type(name.get_view())) type = json::quote(value.get_view());
  }
  std::string result = "{\"status\":" + std::to_string(answer.status) + ",\"type\":" + type;
  return done(result + ",\"body\":" + json::quote(text(answer.body)) + "}");
}

Answer fail(Call const &call) { return failed("probe.failed", call.text("text")); }

Answer retry(Call const &call) {
  return failed("probe.later", call.text("text"), call.count("after_ms").value_or(0));
}

Answer skip(Call const &call) { return skipped(call.text("text")); }

Answer big(Call const &call) {
  TAKE(digest, host::crypto::Digest("sha256", bytes(call.data)));
  return done("{\"bytes\":" + std::to_string(call.data.size()) + ",\"sha256\":" + hex_of(view(digest)) + "}");
}

constexpr std::pair<std::string_view, Answer (*)(Call const &)> PROBES[] = {
    {"echo", echo},     {"unicode", unicode}, {"numbers", numbers}, {"hash", hash}, {"hmac", hmac}, {"base64", base64},
    {"time", time},     {"random", draw},     {"log", write},       {"ticket", ticket}, {"note", note}, {"emit", emit},
    {"kv", keep},       {"http", ask},        {"fail", fail},       {"retry", retry}, {"skip", skip}, {"big", big},
};

} // namespace

hookwright::plugin::types::Manifest exports::hookwright::plugin::metadata::Describe() {
  return {
      string::from_view("probe-action"),
      string::from_view("0.1.0"),
      string::from_view("Calls the host in every way and tells what came back"),
      string::from_view(R"({"type":"object"})"),
      {},
  };
}

Answer plugin::Run(Event event, string parameters) {
  Call call{event.data.get_view(), parameters.get_view()};
  std::string wanted = call.text("do"), known;
  for (auto const &[name, probe] : PROBES) {
    if (name == wanted) return probe(call);
    if (!known.empty()) known += ", ";
    known += name;
  }
  return failed("parameters.invalid", "`do` is " + json::compact(call.get("do"), "nothing") + ": write one of " + known);
}
