"""JSON whose numbers keep every digit: values are slices of their text.

`json.loads` is right for nearly everything; this is for what must come out as it went in.
"""

import json
import re

_SPACE = re.compile(r"[ \t\n\r]*")
_DROPPED = re.compile(r'("(?:[^"\\]|\\.)*")|[ \t\n\r]+')


class _Number(str):
    """A number as it is written. It never equals a string."""

    def __eq__(self, other):
        return type(other) is _Number and str.__eq__(self, other)

    __hash__ = str.__hash__


_DECODER = json.JSONDecoder(parse_int=_Number, parse_float=_Number, strict=False)


def _skip(text, at):
    return _SPACE.match(text, at).end()


def _end(text, at):
    """Where the value ends that begins at a place."""
    return _DECODER.raw_decode(text, at)[1]


def get(value, name):
    """The member of an object (the last one of that name) or the item of a list; None if there is none."""
    if value is None:
        return None
    at = _skip(value, 0)
    opening, found, position = value[at : at + 1], None, 0
    if opening not in ("{", "["):
        return None
    at = _skip(value, at + 1)
    while at < len(value) and value[at] not in "}]":
        is_it = name.isascii() and name.isdigit() and int(name) == position
        if opening == "{":
            key, at = _DECODER.raw_decode(value, at)
            is_it = key == name
            at = _skip(value, _skip(value, at) + 1)
        end = _end(value, at)
        if is_it:
            found = value[at:end]
        position += 1
        at = _skip(value, end)
        if value[at : at + 1] == ",":
            at = _skip(value, at + 1)
    return found


def follow(value, path):
    """Follows names with dots between them."""
    for name in path.split("."):
        value = get(value, name)
    return value


def text(value):
    """The content of a string; None if the value is not a string."""
    said = None if value is None else _DECODER.decode(value)
    return said if type(said) is str else None


def count(value):
    """A whole number that is not negative; None if it is not one."""
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def equal(one, other):
    """Whether two values are the same: members in any order, numbers by how they are written."""
    if one is None or other is None:
        return False
    return _DECODER.decode(one) == _DECODER.decode(other)


def compact(value, otherwise):
    """The value without whitespace."""
    return otherwise if value is None else _DROPPED.sub(lambda found: found.group(1) or "", value)


def quote(said):
    """Text as JSON."""
    return json.dumps(said, ensure_ascii=False)
