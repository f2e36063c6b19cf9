//! JSON whose numbers keep every digit: values are slices of their text.
//!
//! `std.json` is right for nearly everything; this is small, and for what must come out as it went in.

const std = @import("std");
const abi = @import("abi.zig");

/// A value as it is written; null where there is none.
pub const Slice = ?[]const u8;

fn isSpace(byte: u8) bool {
    return byte == ' ' or byte == '\t' or byte == '\n' or byte == '\r';
}

fn afterSpace(source: []const u8, start: usize) usize {
    var at = start;
    while (at < source.len and isSpace(source[at])) at += 1;
    return at;
}

fn afterText(source: []const u8, start: usize) usize {
    var at = start + 1;
    while (at < source.len) : (at += 1) {
        if (source[at] == '\\') at += 1 else if (source[at] == '"') return at + 1;
    }
    return source.len;
}

/// Where the value ends that begins at a place.
fn afterValue(source: []const u8, start: usize) usize {
    var at = start;
    if (at >= source.len) return source.len;
    if (source[at] == '"') return afterText(source, at);
    if (source[at] != '{' and source[at] != '[') {
        while (at < source.len and !isSpace(source[at]) and source[at] != ',' and source[at] != '}' and source[at] != ']') at += 1;
        return at;
    }
    var depth: usize = 0;
    while (at < source.len) {
        const byte = source[at];
        at = if (byte == '"') afterText(source, at) else at + 1;
        if (byte == '{' or byte == '[') depth += 1;
        if (byte == '}' or byte == ']') depth -= 1;
        if (depth == 0) return at;
    }
    return source.len;
}

/// The value that a string is, without the whitespace around it.
pub fn of(source: []const u8) Slice {
    const begin = afterSpace(source, 0);
    const end = afterValue(source, begin);
    return if (begin < end) source[begin..end] else null;
}

/// The members of an object or the items of a list, one at a time.
const Walk = struct {
    source: []const u8,
    at: usize = 1,
    name: []const u8 = "",

    fn next(self: *Walk) Slice {
        const source = self.source;
        if (source.len == 0 or (source[0] != '{' and source[0] != '[')) return null;
        var at = afterSpace(source, self.at);
        if (at < source.len and source[at] == ',') at = afterSpace(source, at + 1);
        if (at >= source.len or source[at] == '}' or source[at] == ']') return null;
        if (source[0] == '{') {
            const end = afterValue(source, at);
            self.name = source[at..end];
            at = afterSpace(source, end);
            if (at < source.len and source[at] == ':') at = afterSpace(source, at + 1);
        }
        const end = afterValue(source, at);
        if (end <= at) return null;
        self.at = end;
        return source[at..end];
    }
};

/// The member of an object (the last one of that name), or the item of a list where the name is a position.
pub fn get(value: Slice, name: []const u8) Slice {
    const whole = of(value orelse return null) orelse return null;
    var members = Walk{ .source = whole };
    var found: Slice = null;
    if (whole[0] == '{') {
        while (members.next()) |member| {
            if (std.mem.eql(u8, text(members.name) orelse "", name)) found = member;
        }
        return found;
    }
    var position = count(name, std.math.maxInt(u32)) orelse return null;
    while (members.next()) |item| : (position -= 1) {
        if (position == 0) return item;
    }
    return null;
}

/// Follows names with dots between them.
pub fn follow(value: Slice, path: []const u8) Slice {
    var names = std.mem.splitScalar(u8, path, '.');
    var found = value;
    while (names.next()) |name| found = get(found, name);
    return found;
}

fn unit(digits: []const u8) u21 {
    return std.fmt.parseInt(u21, digits, 16) catch 0xfffd;
}

/// The content of a string as UTF-8; null if the value is not a string.
pub fn text(value: Slice) Slice {
    const quoted = value orelse return null;
    if (quoted.len < 2 or quoted[0] != '"') return null;
    const inside = quoted[1 .. quoted.len - 1];
    if (std.mem.indexOfScalar(u8, inside, '\\') == null) return inside;
    // A string is never longer than it is written.
    const said = abi.memory().alloc(u8, inside.len + 3) catch @trap();
    var len: usize = 0;
    var at: usize = 0;
    while (at < inside.len) : (at += 1) {
        if (inside[at] != '\\' or at + 1 == inside.len) {
            said[len] = inside[at];
            len += 1;
            continue;
        }
        at += 1;
        if (inside[at] != 'u' or at + 5 > inside.len) {
            said[len] = switch (inside[at]) {
                'b' => 8,
                'f' => 12,
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                else => inside[at],
            };
            len += 1;
            continue;
        }
        var character = unit(inside[at + 1 .. at + 5]);
        at += 4;
        if (character >= 0xd800 and character < 0xdc00 and at + 7 <= inside.len and inside[at + 1] == '\\' and inside[at + 2] == 'u') {
            const low = unit(inside[at + 3 .. at + 7]);
            if (low >= 0xdc00 and low < 0xe000) {
                character = 0x10000 + ((character - 0xd800) << 10) + (low - 0xdc00);
                at += 6;
            }
        }
        // Half of a pair is no character.
        if (character >= 0xd800 and character < 0xe000) character = 0xfffd;
        len += std.unicode.utf8Encode(character, said[len..]) catch 0;
    }
    return said[0..len];
}

/// A whole number from 0 to `most`; null if it is not one.
pub fn count(value: Slice, most: u32) ?u32 {
    const digits = value orelse return null;
    if (digits.len == 0 or digits.len > 10) return null;
    var sum: u64 = 0;
    for (digits) |digit| {
        if (digit < '0' or digit > '9') return null;
        sum = sum * 10 + (digit - '0');
    }
    return if (sum <= most) @intCast(sum) else null;
}

/// Whether two values are the same: members in any order, numbers by how they are written.
pub fn equal(one: Slice, other: Slice) bool {
    const a = of(one orelse return false) orelse return false;
    const b = of(other orelse return false) orelse return false;
    if (a[0] != b[0]) return false;
    if (a[0] == '"') return std.mem.eql(u8, text(a) orelse "", text(b) orelse "");
    if (a[0] != '{' and a[0] != '[') return std.mem.eql(u8, a, b);
    var here = Walk{ .source = a };
    var there = Walk{ .source = b };
    while (here.next()) |value| {
        const wanted = there.next() orelse return false;
        const same = if (a[0] == '[') wanted else get(b, text(here.name) orelse "");
        if (!equal(value, same)) return false;
    }
    return there.next() == null;
}

/// The value without whitespace.
pub fn compact(value: Slice, otherwise: []const u8) []const u8 {
    const whole = value orelse return otherwise;
    const kept = abi.memory().alloc(u8, whole.len) catch @trap();
    var len: usize = 0;
    var at: usize = 0;
    while (at < whole.len) {
        const begin = at;
        at = if (whole[at] == '"') afterText(whole, at) else at + 1;
        if (isSpace(whole[begin])) continue;
        @memcpy(kept[len..][0 .. at - begin], whole[begin..at]);
        len += at - begin;
    }
    return kept[0..len];
}

/// Text in quotes, escaped.
pub fn quote(said: []const u8) []const u8 {
    const quoted = abi.memory().alloc(u8, said.len * 6 + 2) catch @trap();
    var len: usize = 1;
    quoted[0] = '"';
    for (said) |byte| {
        if (byte < 0x20) {
            const digits = "0123456789abcdef";
            const spelled = [_]u8{ '\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15] };
            @memcpy(quoted[len..][0..6], &spelled);
            len += 6;
            continue;
        }
        if (byte == '"' or byte == '\\') {
            quoted[len] = '\\';
            len += 1;
        }
        quoted[len] = byte;
        len += 1;
    }
    quoted[len] = '"';
    return quoted[0 .. len + 1];
}

/// A whole number as text.
pub fn number(value: u64) []const u8 {
    return std.fmt.allocPrint(abi.memory(), "{d}", .{value}) catch @trap();
}
