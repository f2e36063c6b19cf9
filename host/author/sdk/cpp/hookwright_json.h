// JSON for plugins in C++: looking values up in a string, comparing them, and writing a string.
//
// Nothing is parsed into a tree. A value is a slice of its text, so a number keeps every digit. The host
// passes valid JSON only (RFC 8259); other text is never read past its end.
#pragma once

#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace hookwright::json {

/// A value as it is written; none where there is nothing.
using Slice = std::optional<std::string_view>;

inline bool is_space(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

inline size_t after_space(std::string_view text, size_t at) {
  while (at < text.size() && is_space(text[at])) at++;
  return at;
}

inline size_t after_text(std::string_view text, size_t at) {
  for (at++; at < text.size(); at++) {
    if (text[at] == '\\') at++;
    else if (text[at] == '"') return at + 1;
  }
  return text.size();
}

/// Where the value ends that begins at a place.
inline size_t after_value(std::string_view text, size_t at) {
  if (at >= text.size()) return text.size();
  if (text[at] == '"') return after_text(text, at);
  if (text[at] != '{' && text[at] != '[') {
    while (at < text.size() && !is_space(text[at]) && text[at] != ',' && text[at] != '}' && text[at] != ']') at++;
    return at;
  }
  size_t depth = 0;
  while (at < text.size()) {
    char c = text[at];
    at = c == '"' ? after_text(text, at) : at + 1;
    if (c == '{' || c == '[') depth++;
    if ((c == '}' || c == ']') && --depth == 0) return at;
  }
  return text.size();
}

/// The value that a string is, without the whitespace around it.
inline Slice of(std::string_view text) {
  size_t begin = after_space(text, 0), end = after_value(text, begin);
  return begin < end ? Slice(text.substr(begin, end - begin)) : std::nullopt;
}

/// The members of an object or the items of a list, one at a time.
class Walk {
  std::string_view text;
  size_t at = 1;

public:
  std::string_view name, value;

  explicit Walk(std::string_view value) : text(value) {}

  bool next() {
    if (text.empty() || (text[0] != '{' && text[0] != '[')) return false;
    size_t begin = after_space(text, at);
    if (begin < text.size() && text[begin] == ',') begin = after_space(text, begin + 1);
    if (begin >= text.size() || text[begin] == '}' || text[begin] == ']') return false;
    if (text[0] == '{') {
      size_t end = after_value(text, begin);
      name = text.substr(begin, end - begin);
      begin = after_space(text, end);
      if (begin < text.size() && text[begin] == ':') begin = after_space(text, begin + 1);
    }
    size_t end = after_value(text, begin);
    if (end <= begin) return false;
    value = text.substr(begin, end - begin);
    at = end;
    return true;
  }
};

inline void add_character(std::string &to, uint32_t c) {
  if (c < 0x80) {
    to += char(c);
  } else if (c < 0x800) {
    to += char(0xc0 | c >> 6);
    to += char(0x80 | (c & 0x3f));
  } else {
    if (c < 0x10000) {
      to += char(0xe0 | c >> 12);
    } else {
      to += char(0xf0 | c >> 18);
      to += char(0x80 | (c >> 12 & 0x3f));
    }
    to += char(0x80 | (c >> 6 & 0x3f));
    to += char(0x80 | (c & 0x3f));
  }
}

/// The four digits of a \u escape.
inline uint32_t escape(std::string_view digits) {
  uint32_t unit = 0xfffd;
  std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
  return unit;
}

/// The content of a string as UTF-8; none if the value is not a string.
inline std::optional<std::string> text(Slice value) {
  if (!value || value->size() < 2 || value->front() != '"') return std::nullopt;
  std::string_view inside = value->substr(1, value->size() - 2);
  std::string said;
  for (size_t at = 0; at < inside.size(); at++) {
    if (inside[at] != '\\' || at + 1 == inside.size()) {
      said += inside[at];
      continue;
    }
    switch (inside[++at]) {
      case 'b': said += '\b'; break;
      case 'f': said += '\f'; break;
      case 'n': said += '\n'; break;
      case 'r': said += '\r'; break;
      case 't': said += '\t'; break;
      case 'u': {
        uint32_t unit = escape(inside.substr(at + 1, 4));
        at += 4;
        if (unit >= 0xd800 && unit < 0xdc00 && inside.substr(at < inside.size() ? at + 1 : at, 2) == "\\u") {
          uint32_t low = escape(inside.substr(at + 3, 4));
          if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
          }
        }
        // Half of a pair is no character.
        add_character(said, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
        break;
      }
      default: said += inside[at];
    }
  }
  return said;
}

/// A whole number of 32 bits; none if it is not one.
inline std::optional<uint32_t> count(Slice value) {
  uint32_t number = 0;
  if (!value || value->empty()) return std::nullopt;
  auto [end, error] = std::from_chars(value->data(), value->data() + value->size(), number);
  if (error != std::errc() || end != value->data() + value->size()) return std::nullopt;
  return number;
}

/// The member of an object (the last one of that name), or the item of a list where the name is a position.
inline Slice get(Slice value, std::string_view name) {
  Slice whole = value ? of(*value) : std::nullopt;
  if (!whole) return std::nullopt;
  Walk members(*whole);
  Slice found;
  if (whole->front() == '{') {
    while (members.next()) {
      if (text(members.name) == name) found = members.value;
    }
    return found;
  }
  auto position = count(name);
  while (position && members.next()) {
    if ((*position)-- == 0) return members.value;
  }
  return std::nullopt;
}

/// Follows names with dots between them.
inline Slice follow(Slice value, std::string_view path) {
  for (size_t begin = 0; begin <= path.size();) {
    size_t end = std::min(path.find('.', begin), path.size());
    value = get(value, path.substr(begin, end - begin));
    begin = end + 1;
  }
  return value;
}

/// Whether two values are the same: members in any order, numbers by how they are written.
inline bool equal(Slice one, Slice other) {
  Slice a = one ? of(*one) : std::nullopt, b = other ? of(*other) : std::nullopt;
  if (!a || !b || a->front() != b->front()) return false;
  if (a->front() == '"') return text(a) == text(b);
  if (a->front() != '{' && a->front() != '[') return *a == *b;
  Walk here(*a), there(*b);
  while (here.next()) {
    if (!there.next()) return false;
    Slice same = a->front() == '[' ? Slice(there.value) : get(b, text(here.name).value_or(""));
    if (!equal(here.value, same)) return false;
  }
  return !there.next();
}

/// The value without whitespace.
inline std::string compact(Slice value, std::string_view otherwise) {
  if (!value) return std::string(otherwise);
  std::string kept;
  for (size_t at = 0; at < value->size();) {
    size_t begin = at;
    at = (*value)[at] == '"' ? after_text(*value, at) : at + 1;
    if (!is_space((*value)[begin])) kept += value->substr(begin, at - begin);
  }
  return kept;
}

/// Text in quotes, escaped.
inline std::string quote(std::string_view said) {
  std::string quoted = "\"";
  for (char c : said) {
    if (uint8_t(c) < 0x20) {
      const char *digits = "0123456789abcdef";
      quoted += "\\u00";
      quoted += digits[uint8_t(c) >> 4];
      quoted += digits[c & 15];
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted += '"';
}

} // namespace hookwright::json
