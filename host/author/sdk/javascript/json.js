// JSON whose numbers keep every digit: values are slices of their text.
//
// JSON.parse is right for nearly everything; this is for what must come out as it went in.

const SPACE = ' \t\n\r';

function afterSpace(text, at) {
  while (at < text.length && SPACE.includes(text[at])) at++;
  return at;
}

function afterText(text, at) {
  for (at++; at < text.length; at++) {
    if (text[at] === '\\') at++;
    else if (text[at] === '"') return at + 1;
  }
  return text.length;
}

/** Where the value ends that begins at a place. */
function afterValue(text, at) {
  if (text[at] === '"') return afterText(text, at);
  if (text[at] !== '{' && text[at] !== '[') {
    while (at < text.length && !`${SPACE},]}`.includes(text[at])) at++;
    return at;
  }
  for (let depth = 0; at < text.length; ) {
    const first = text[at];
    at = first === '"' ? afterText(text, at) : at + 1;
    if (first === '{' || first === '[') depth++;
    if ((first === '}' || first === ']') && --depth === 0) return at;
  }
  return at;
}

/** The members of an object as [name, value], or the items of a list as [position, value]. */
function members(value) {
  const found = [];
  let at = afterSpace(value, 0);
  const opening = value[at];
  if (opening !== '{' && opening !== '[') return found;
  at = afterSpace(value, at + 1);
  while (at < value.length && value[at] !== '}' && value[at] !== ']') {
    let name = String(found.length);
    if (opening === '{') {
      const end = afterValue(value, at);
      name = JSON.parse(value.slice(at, end));
      at = afterSpace(value, afterSpace(value, end) + 1);
    }
    const end = afterValue(value, at);
    found.push([name, value.slice(at, end)]);
    at = afterSpace(value, end);
    if (value[at] === ',') at = afterSpace(value, at + 1);
  }
  return found;
}

export function get(value, name) {
  return value === undefined ? undefined : members(value).findLast(([found]) => found === name)?.[1];
}

export function follow(value, path) {
  return path.split('.').reduce(get, value);
}

export function text(value) {
  return value !== undefined && value.trimStart()[0] === '"' ? JSON.parse(value) : undefined;
}

export function count(value) {
  return value !== undefined && /^[0-9]{1,10}$/.test(value) ? Number(value) : undefined;
}

export function equal(one, other) {
  if (one === undefined || other === undefined) return false;
  [one, other] = [one.trim(), other.trim()];
  if (one[0] !== other[0]) return false;
  if (one[0] === '"') return JSON.parse(one) === JSON.parse(other);
  if (one[0] !== '{' && one[0] !== '[') return one === other;
  const [here, there] = [new Map(members(one)), new Map(members(other))];
  return here.size === there.size && [...here].every(([name, value]) => equal(value, there.get(name)));
}

export function compact(value, otherwise) {
  if (value === undefined) return otherwise;
  return value.replace(/("(?:[^"\\]|\\.)*")|[ \t\n\r]+/g, (_, kept) => kept ?? '');
}
