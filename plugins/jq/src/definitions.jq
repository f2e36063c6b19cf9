# What jaq lacks or answers otherwise than jq 1.7. A later definition stands in front of an earlier one of its name.

# Formats. Texts are split and joined rather than searched, which needs no regular expression.
def replaced($old; $new): [split($old)[]] | join($new);
def in_csv:
  if . == null then ""
  elif isstring then "\"" + replaced("\""; "\"\"") + "\""
  elif isnumber or isboolean then tojson
  else error("\(type) (\(tojson)) is not valid in a csv row") end;
def in_tsv:
  if . == null then ""
  elif isstring then replaced("\\"; "\\\\") | replaced("\t"; "\\t") | replaced("\n"; "\\n") | replaced("\r"; "\\r")
  elif isnumber or isboolean then tojson
  else error("\(type) (\(tojson)) is not valid in a tsv row") end;
def @csv: if isarray then map(in_csv) | join(",") else error("\(type) (\(tojson)) cannot be csv-formatted, only an array can be") end;
def @tsv: if isarray then map(in_tsv) | join("\t") else error("\(type) (\(tojson)) cannot be tsv-formatted, only an array can be") end;
# The padding may be missing.
def @base64d: tostring | (length % 4) as $over
  | if $over == 2 then . + "==" elif $over == 3 then . + "=" else . end | decode_base64;

# Paths are deleted from the last one on, so that none moves before its turn.
def delpaths($paths): reduce ($paths | unique | reverse[]) as $path (.; if $path == [] then null else getpath($path) |= empty end);
def del(f): delpaths([path(f)]);

# Groups that took no part in a match are null, and every group has a name, be it null.
def named_captures: reduce (.[1:][] | select(.name != null)) as $group ({}; . + {($group.name): $group.string});
def match($re; $flags): all_captures($re; $flags)[] | (.[0] | {offset, length, string}) + {captures: .[1:]};
def capture($re; $flags): all_captures($re; $flags)[] | named_captures;
def scan($re; $flags): all_captures($re; "g" + $flags)[] | if length > 1 then [.[1:][].string] else .[0].string end;
# A regular expression may come in a list with its flags.
def with_flags(f): if isarray then [.[0], .[1] // ""] else [., ""] end | f;
def match($re): . as $text | $re | with_flags(. as [$re, $flags] | $text | match($re; $flags));
def capture($re): . as $text | $re | with_flags(. as [$re, $flags] | $text | capture($re; $flags));
def scan($re): . as $text | $re | with_flags(. as [$re, $flags] | $text | scan($re; $flags));
def test($re): . as $text | $re | with_flags(. as [$re, $flags] | $text | test($re; $flags));
