#include "hookwright_json.h"

#include <stdlib.h>
#include <string.h>

static const json_t NOTHING = {NULL, 0};

static bool is_space(uint8_t byte) { return byte == ' ' || byte == '\t' || byte == '\n' || byte == '\r'; }

static size_t after_space(json_t text, size_t at) {
  while (at < text.len && is_space(text.at[at])) at++;
  return at;
}

/* Where the text ends that begins with a quote at `at`. */
static size_t after_text(json_t text, size_t at) {
  for (at++; at < text.len; at++) {
    if (text.at[at] == '\\') at++;
    else if (text.at[at] == '"') return at + 1;
  }
  return text.len;
}

/* Where the value ends that begins at `at`. */
static size_t after_value(json_t text, size_t at) {
  if (at >= text.len) return text.len;
  uint8_t first = text.at[at];
  if (first == '"') return after_text(text, at);
  if (first != '{' && first != '[') {
    while (at < text.len && !is_space(text.at[at]) && text.at[at] != ',' && text.at[at] != '}' && text.at[at] != ']')
      at++;
    return at;
  }
  size_t depth = 0;
  while (at < text.len) {
    uint8_t byte = text.at[at];
    if (byte == '"') {
      at = after_text(text, at);
      continue;
    }
    if (byte == '{' || byte == '[') depth++;
    if ((byte == '}' || byte == ']') && --depth == 0) return at + 1;
    at++;
  }
  return text.len;
}

json_t json_of(const void *text, size_t len) {
  json_t whole = {text, len};
  size_t begin = after_space(whole, 0);
  size_t end = after_value(whole, begin);
  if (begin >= end) return NOTHING;
  return (json_t){whole.at + begin, end - begin};
}

/* The members of an object or the items of an array, one at a time. */
typedef struct {
  json_t text;
  size_t at;
  json_t name;
  json_t value;
} walk_t;

static walk_t walk(json_t value) { return (walk_t){value, 1, NOTHING, NOTHING}; }

static bool step(walk_t *walk) {
  json_t text = walk->text;
  if (text.at == NULL || (text.at[0] != '{' && text.at[0] != '[')) return false;
  size_t at = after_space(text, walk->at);
  if (at < text.len && text.at[at] == ',') at = after_space(text, at + 1);
  if (at >= text.len || text.at[at] == '}' || text.at[at] == ']') return false;
  if (text.at[0] == '{') {
    size_t end = after_value(text, at);
    walk->name = (json_t){text.at + at, end - at};
    at = after_space(text, end);
    if (at < text.len && text.at[at] == ':') at = after_space(text, at + 1);
  }
  size_t end = after_value(text, at);
  if (end <= at) return false;
  walk->value = (json_t){text.at + at, end - at};
  walk->at = end;
  return true;
}

/* The four digits of a \u escape that stand at `at`. */
static uint32_t escape(json_t text, size_t at) {
  uint32_t unit = 0;
  for (size_t end = at + 4; at < end && at < text.len; at++) {
    uint8_t digit = text.at[at];
    unit = unit * 16 + (digit <= '9' ? digit - '0' : (digit | 32) - 'a' + 10);
  }
  return unit;
}

static void add_character(buffer_t *to, uint32_t c) {
  uint8_t bytes[4];
  size_t count = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
  for (size_t i = count - 1; i > 0; i--, c >>= 6) bytes[i] = 0x80 | (c & 0x3f);
  static const uint8_t marks[] = {0, 0, 0xc0, 0xe0, 0xf0};
  bytes[0] = (uint8_t)(marks[count] | c);
  buffer_add(to, bytes, count);
}

bool json_is_text(json_t value) { return value.at != NULL && value.len >= 2 && value.at[0] == '"'; }

bool json_text(json_t value, buffer_t *to) {
  if (!json_is_text(value)) return false;
  size_t end = value.len - 1;
  for (size_t at = 1; at < end; at++) {
    if (value.at[at] != '\\') {
      size_t plain = at;
      while (at < end && value.at[at] != '\\') at++;
      buffer_add(to, value.at + plain, at - plain);
      at--;
      continue;
    }
    switch (value.at[++at]) {
      case 'b': buffer_add(to, "\b", 1); break;
      case 'f': buffer_add(to, "\f", 1); break;
      case 'n': buffer_add(to, "\n", 1); break;
      case 'r': buffer_add(to, "\r", 1); break;
      case 't': buffer_add(to, "\t", 1); break;
      case 'u': {
        uint32_t unit = escape(value, at + 1);
        at += 4;
        if (unit >= 0xd800 && unit < 0xdc00 && at + 6 < value.len && value.at[at + 1] == '\\' && value.at[at + 2] == 'u') {
          uint32_t low = escape(value, at + 3);
          if (low >= 0xdc00 && low < 0xe000) {
            unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
            at += 6;
          }
        }
        /* Half of a pair is no character. */
        if (unit >= 0xd800 && unit < 0xe000) unit = 0xfffd;
        add_character(to, unit);
        break;
      }
      default: buffer_add(to, value.at + at, 1);
    }
  }
  return true;
}

static bool says(json_t name, const void *text, size_t len) {
  buffer_t said = {0};
  bool same = json_text(name, &said) && said.len == len && (len == 0 || memcmp(said.ptr, text, len) == 0);
  buffer_free(&said);
  return same;
}

json_t json_get(json_t value, const void *name, size_t len) {
  if (value.at == NULL) return NOTHING;
  json_t found = NOTHING;
  walk_t members = walk(value);
  if (value.at[0] == '{') {
    while (step(&members)) {
      if (says(members.name, name, len)) found = members.value;
    }
    return found;
  }
  if (value.at[0] != '[' || len == 0 || len > 9) return NOTHING;
  size_t position = 0;
  for (size_t i = 0; i < len; i++) {
    uint8_t digit = ((const uint8_t *)name)[i];
    if (digit < '0' || digit > '9') return NOTHING;
    position = position * 10 + (digit - '0');
  }
  while (step(&members)) {
    if (position-- == 0) return members.value;
  }
  return NOTHING;
}

json_t json_member(json_t value, const char *name) { return json_get(value, name, strlen(name)); }

json_t json_path(json_t value, const void *path, size_t len) {
  const uint8_t *name = path;
  for (size_t end = 0; end <= len; end++) {
    if (end < len && ((const uint8_t *)path)[end] != '.') continue;
    value = json_get(value, name, (size_t)((const uint8_t *)path + end - name));
    name = (const uint8_t *)path + end + 1;
  }
  return value;
}

uint32_t json_count(json_t value, uint32_t most, uint32_t otherwise) {
  if (value.at == NULL || value.len == 0 || value.len > 10) return otherwise;
  uint64_t number = 0;
  for (size_t i = 0; i < value.len; i++) {
    if (value.at[i] < '0' || value.at[i] > '9') return otherwise;
    number = number * 10 + (value.at[i] - '0');
  }
  return number <= most ? (uint32_t)number : otherwise;
}

static size_t members_of(json_t value) {
  size_t count = 0;
  for (walk_t members = walk(value); step(&members);) count++;
  return count;
}

bool json_equal(json_t a, json_t b) {
  if (a.at == NULL || b.at == NULL || a.len == 0 || b.len == 0 || a.at[0] != b.at[0]) return false;
  bool same = true;
  switch (a.at[0]) {
    case '"': {
      buffer_t said = {0};
      same = json_text(a, &said) && says(b, said.ptr, said.len);
      buffer_free(&said);
      return same;
    }
    case '[': {
      walk_t left = walk(a), right = walk(b);
      for (;;) {
        bool more = step(&left);
        if (more != step(&right)) return false;
        if (!more) return true;
        if (!json_equal(left.value, right.value)) return false;
      }
    }
    case '{': {
      if (members_of(a) != members_of(b)) return false;
      for (walk_t members = walk(a); same && step(&members);) {
        buffer_t name = {0};
        json_text(members.name, &name);
        same = json_equal(members.value, json_get(b, name.ptr, name.len));
        buffer_free(&name);
      }
      return same;
    }
    default: return a.len == b.len && memcmp(a.at, b.at, a.len) == 0;
  }
}

void buffer_add(buffer_t *to, const void *bytes, size_t len) {
  if (len == 0) return;
  if (to->capacity - to->len < len) {
    size_t capacity = to->capacity * 2 + len;
    uint8_t *ptr = realloc(to->ptr, capacity);
    if (ptr == NULL) abort();
    to->ptr = ptr;
    to->capacity = capacity;
  }
  memcpy(to->ptr + to->len, bytes, len);
  to->len += len;
}

void buffer_say(buffer_t *to, const char *text) { buffer_add(to, text, strlen(text)); }

void buffer_compact(buffer_t *to, json_t value, const char *otherwise) {
  if (value.at == NULL) {
    buffer_say(to, otherwise);
    return;
  }
  for (size_t at = 0; at < value.len;) {
    size_t begin = at;
    if (value.at[at] == '"') at = after_text(value, at);
    else at++;
    if (!is_space(value.at[begin])) buffer_add(to, value.at + begin, at - begin);
  }
}

void buffer_quote(buffer_t *to, const void *text, size_t len) {
  const uint8_t *bytes = text;
  buffer_say(to, "\"");
  for (size_t i = 0; i < len; i++) {
    if (bytes[i] == '"' || bytes[i] == '\\') buffer_say(to, "\\");
    if (bytes[i] < 0x20) {
      const char *digits = "0123456789abcdef";
      char spelled[] = {'\\', 'u', '0', '0', digits[bytes[i] >> 4], digits[bytes[i] & 15]};
      buffer_add(to, spelled, sizeof spelled);
    } else {
      buffer_add(to, bytes + i, 1);
    }
  }
  buffer_say(to, "\"");
}

void buffer_count(buffer_t *to, uint64_t number) {
  char digits[20];
  size_t at = sizeof digits;
  do {
    digits[--at] = (char)('0' + number % 10);
    number /= 10;
  } while (number > 0);
  buffer_add(to, digits + at, sizeof digits - at);
}

void buffer_free(buffer_t *buffer) {
  free(buffer->ptr);
  *buffer = (buffer_t){0};
}
