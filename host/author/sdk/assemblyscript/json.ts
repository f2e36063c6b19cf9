// JSON whose numbers keep every digit: values are slices of their text, and null where there is none.

function isSpace(unit: i32): bool {
  return unit == 0x20 || unit == 0x09 || unit == 0x0a || unit == 0x0d;
}

function afterSpace(text: string, at: i32): i32 {
  while (at < text.length && isSpace(text.charCodeAt(at))) at++;
  return at;
}

function afterText(text: string, at: i32): i32 {
  for (at++; at < text.length; at++) {
    const unit = text.charCodeAt(at);
    if (unit == 0x5c) at++;
    else if (unit == 0x22) return at + 1;
  }
  return text.length;
}

function opens(unit: i32): bool {
  return unit == 0x7b || unit == 0x5b;
}

function closes(unit: i32): bool {
  return unit == 0x7d || unit == 0x5d;
}

/** Where the value ends that begins at a place. */
function afterValue(text: string, at: i32): i32 {
  if (at >= text.length) return text.length;
  const first = text.charCodeAt(at);
  if (first == 0x22) return afterText(text, at);
  if (!opens(first)) {
    while (at < text.length && !isSpace(text.charCodeAt(at)) && text.charCodeAt(at) != 0x2c && !closes(text.charCodeAt(at)))
      at++;
    return at;
  }
  let depth = 0;
  while (at < text.length) {
    const unit = text.charCodeAt(at);
    at = unit == 0x22 ? afterText(text, at) : at + 1;
    if (opens(unit)) depth++;
    if (closes(unit) && --depth == 0) return at;
  }
  return text.length;
}

/** The members of an object or the items of a list, one at a time. */
class Walk {
  text: string;
  at: i32;
  name: string = "";
  value: string = "";

  constructor(value: string) {
    this.text = value;
    this.at = afterSpace(value, 0) + 1;
  }

  isObject(): bool {
    return this.text.trimStart().charCodeAt(0) == 0x7b;
  }

  next(): bool {
    const text = this.text;
    let at = afterSpace(text, this.at);
    if (at < text.length && text.charCodeAt(at) == 0x2c) at = afterSpace(text, at + 1);
    if (at >= text.length || closes(text.charCodeAt(at))) return false;
    if (this.isObject()) {
      const end = afterValue(text, at);
      this.name = text.substring(at, end);
      at = afterSpace(text, end);
      if (at < text.length && text.charCodeAt(at) == 0x3a) at = afterSpace(text, at + 1);
    }
    const end = afterValue(text, at);
    if (end <= at) return false;
    this.value = text.substring(at, end);
    this.at = end;
    return true;
  }
}

/** The member of an object (the last one of that name), or the item of a list where the name is a position. */
export function get(value: string | null, name: string): string | null {
  if (value == null) return null;
  const first = value.trimStart().charCodeAt(0);
  if (!opens(first)) return null;
  const members = new Walk(value);
  let found: string | null = null;
  if (first == 0x7b) {
    while (members.next()) {
      if (text(members.name) == name) found = members.value;
    }
    return found;
  }
  let position = count(name);
  if (position < 0) return null;
  while (members.next()) {
    if (position-- == 0) return members.value;
  }
  return null;
}

/** Follows names with dots between them. */
export function follow(value: string | null, path: string): string | null {
  const names = path.split(".");
  for (let i = 0; i < names.length; i++) value = get(value, names[i]);
  return value;
}

/** The content of a string; null if the value is not a string. */
export function text(value: string | null): string | null {
  if (value == null || value.length < 2 || value.charCodeAt(0) != 0x22) return null;
  const inside = value.substring(1, value.length - 1);
  if (!inside.includes("\\")) return inside;
  let said = "";
  let from = 0;
  for (let at = 0; at < inside.length; at++) {
    if (inside.charCodeAt(at) != 0x5c) continue;
    said += inside.substring(from, at);
    const escape = inside.charCodeAt(++at);
    if (escape == 0x75) {
      said += String.fromCharCode(<i32>parseInt(inside.substring(at + 1, at + 5), 16));
      at += 4;
    } else if (escape == 0x62) said += "\b";
    else if (escape == 0x66) said += "\f";
    else if (escape == 0x6e) said += "\n";
    else if (escape == 0x72) said += "\r";
    else if (escape == 0x74) said += "\t";
    else said += String.fromCharCode(escape);
    from = at + 1;
  }
  return said + inside.substring(from);
}

/** A whole number of at most ten digits; -1 if it is not one. */
export function count(value: string | null): i64 {
  if (value == null || value.length == 0 || value.length > 10) return -1;
  let number: i64 = 0;
  for (let i = 0; i < value.length; i++) {
    const digit = value.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    number = number * 10 + digit;
  }
  return number;
}

/** Whether two values are the same: members in any order, numbers by how they are written. */
export function equal(one: string | null, other: string | null): bool {
  if (one == null || other == null) return false;
  const a = one.trim();
  const b = other.trim();
  const first = a.charCodeAt(0);
  if (first != b.charCodeAt(0)) return false;
  if (first == 0x22) return text(a) == text(b);
  if (!opens(first)) return a == b;
  const here = new Walk(a);
  const there = new Walk(b);
  while (here.next()) {
    if (!there.next()) return false;
    const name = text(here.name);
    const same: string | null = first == 0x5b ? there.value : get(b, name == null ? "" : name);
    if (!equal(here.value, same)) return false;
  }
  return !there.next();
}

/** The value without whitespace. */
export function compact(value: string | null, otherwise: string): string {
  if (value == null) return otherwise;
  let kept = "";
  let from = 0;
  let at = 0;
  while (at < value.length) {
    const unit = value.charCodeAt(at);
    if (isSpace(unit)) {
      kept += value.substring(from, at);
      at = afterSpace(value, at);
      from = at;
    } else {
      at = unit == 0x22 ? afterText(value, at) : at + 1;
    }
  }
  return kept + value.substring(from);
}

/** Text in quotes, escaped. */
export function quote(said: string): string {
  let quoted = '"';
  let from = 0;
  for (let at = 0; at < said.length; at++) {
    const unit = said.charCodeAt(at);
    if (unit >= 0x20 && unit != 0x22 && unit != 0x5c) continue;
    quoted += said.substring(from, at);
    quoted += unit < 0x20 ? "\\u" + unit.toString(16).padStart(4, "0") : "\\" + String.fromCharCode(unit);
    from = at + 1;
  }
  return quoted + said.substring(from) + '"';
}
