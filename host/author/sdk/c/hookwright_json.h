/* JSON for plugins in C: looking values up in a string, comparing them, and writing a string.
 *
 * Nothing is parsed into a tree. A value is a slice of its text, so a number keeps every digit. The host
 * passes valid JSON only (RFC 8259); other text is never read past its end. */
#ifndef HOOKWRIGHT_JSON_H
#define HOOKWRIGHT_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A value in a string. `at` is NULL where there is nothing. */
typedef struct {
  const uint8_t *at;
  size_t len;
} json_t;

/* A string that grows. Begin with {0}, end with buffer_free or by giving `ptr` away. */
typedef struct {
  uint8_t *ptr;
  size_t len;
  size_t capacity;
} buffer_t;

/* The value that a string is, without the whitespace around it. */
json_t json_of(const void *text, size_t len);

/* The member of an object (the last one of that name), or the item of an array where the name is a position. */
json_t json_get(json_t value, const void *name, size_t len);

/* As json_get, by a name written in C. */
json_t json_member(json_t value, const char *name);

/* Follows names with dots between them: `a.b.0`. */
json_t json_path(json_t value, const void *path, size_t len);

bool json_is_text(json_t value);

/* Appends a string without its quotes and escapes, as UTF-8. False, and nothing is appended, if it is not a string. */
bool json_text(json_t value, buffer_t *to);

/* A whole number from 0 to `most`, or `otherwise`. */
uint32_t json_count(json_t value, uint32_t most, uint32_t otherwise);

/* Whether two values are the same: members in any order, strings by what they say, numbers by how they are written. */
bool json_equal(json_t a, json_t b);

void buffer_add(buffer_t *to, const void *bytes, size_t len);
/* A string written in C. */
void buffer_say(buffer_t *to, const char *text);
/* A value without whitespace, or `otherwise` if there is none. */
void buffer_compact(buffer_t *to, json_t value, const char *otherwise);
/* Text in quotes, escaped. */
void buffer_quote(buffer_t *to, const void *text, size_t len);
/* A whole number. */
void buffer_count(buffer_t *to, uint64_t number);
void buffer_free(buffer_t *buffer);

#ifdef __cplusplus
}
#endif
#endif
