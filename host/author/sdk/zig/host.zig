//! The host's interfaces, one struct each.

const std = @import("std");
const abi = @import("abi.zig");
const Area = abi.Area;
const Bytes = abi.Bytes;
const Failed = abi.Failed;
const Option = abi.Option;
const Pair = abi.Pair;
const bytesAt = abi.bytesAt;

/// Log lines for operators.
pub const log = struct {
    const host = struct {
        extern "hookwright:plugin/log@0.1.0" fn write([*]const u8, usize, [*]const u8, usize, [*]const Pair, usize) void;
        extern "hookwright:plugin/log@0.1.0" fn print([*]const u8, usize) void;
    };

    /// `level` is trace, debug, info, warn or error.
    pub fn write(level: []const u8, message: []const u8, fields: []const Pair) void {
        host.write(level.ptr, level.len, message.ptr, message.len, fields.ptr, fields.len);
    }

    pub fn print(output: []const u8) void {
        host.print(output.ptr, output.len);
    }
};

/// The instant of the call.
pub const clock = struct {
    const host = struct {
        extern "hookwright:plugin/clock@0.1.0" fn @"now-ms"() f64;
        extern "hookwright:plugin/clock@0.1.0" fn now(*Bytes) void;
    };

    /// Whole milliseconds since 1970.
    pub fn nowMs() i64 {
        return @intFromFloat(host.@"now-ms"());
    }

    /// RFC 3339, UTC, milliseconds.
    pub fn now() []const u8 {
        var result: Bytes = undefined;
        host.now(&result);
        return result.get();
    }
};

pub const random = struct {
    const host = struct {
        extern "hookwright:plugin/random@0.1.0" fn bytes(u32, *Bytes) void;
        extern "hookwright:plugin/random@0.1.0" fn uuid(*Bytes) void;
        extern "hookwright:plugin/random@0.1.0" fn bits() u32;
    };

    /// At most 65,536 bytes.
    pub fn bytes(count: u32) []const u8 {
        var result: Bytes = undefined;
        host.bytes(count, &result);
        return result.get();
    }

    /// A version 4 UUID (RFC 9562).
    pub fn uuid() []const u8 {
        var result: Bytes = undefined;
        host.uuid(&result);
        return result.get();
    }

    pub fn bits() u32 {
        return host.bits();
    }
};

/// Settings that the operator gave to this plugin.
pub const config = struct {
    const host = struct {
        extern "hookwright:plugin/config@0.1.0" fn get([*]const u8, usize, *Option) void;
    };

    pub fn get(key: []const u8) ?[]const u8 {
        var result: Option = undefined;
        host.get(key.ptr, key.len, &result);
        return result.get();
    }
};

pub const secrets = struct {
    const host = struct {
        extern "hookwright:plugin/secrets@0.1.0" fn placeholder([*]const u8, usize, *Area) void;
    };

    /// Text to put where the secret belongs in a request.
    pub fn placeholder(name: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.placeholder(name.ptr, name.len, &result);
        return result.bytes();
    }
};

pub const crypto = struct {
    const host = struct {
        extern "hookwright:plugin/crypto@0.1.0" fn digest([*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/crypto@0.1.0" fn hmac([*]const u8, usize, [*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/crypto@0.1.0" fn @"verify-hmac"([*]const u8, usize, [*]const u8, usize, [*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/crypto@0.1.0" fn @"verify-token"([*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/crypto@0.1.0" fn @"verify-ed25519"([*]const u8, usize, [*]const u8, usize, [*]const u8, usize, *Area) void;
    };

    /// `algorithm` is sha1, sha256 or sha512.
    pub fn digest(algorithm: []const u8, data: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.digest(algorithm.ptr, algorithm.len, data.ptr, data.len, &result);
        return result.bytes();
    }

    /// Keyed by the named secret.
    pub fn hmac(algorithm: []const u8, secret: []const u8, data: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.hmac(algorithm.ptr, algorithm.len, secret.ptr, secret.len, data.ptr, data.len, &result);
        return result.bytes();
    }

    /// In constant time. A wrong code is a failure.
    pub fn verifyHmac(algorithm: []const u8, secret: []const u8, data: []const u8, code: []const u8) Failed!void {
        var result: Area = undefined;
        host.@"verify-hmac"(algorithm.ptr, algorithm.len, secret.ptr, secret.len, data.ptr, data.len, code.ptr, code.len, &result);
        return result.check();
    }

    /// Compares text with the named secret in constant time.
    pub fn verifyToken(secret: []const u8, token: []const u8) Failed!void {
        var result: Area = undefined;
        host.@"verify-token"(secret.ptr, secret.len, token.ptr, token.len, &result);
        return result.check();
    }

    /// RFC 8032: a key of 32 bytes, a signature of 64.
    pub fn verifyEd25519(public_key: []const u8, data: []const u8, signature: []const u8) Failed!void {
        var result: Area = undefined;
        host.@"verify-ed25519"(public_key.ptr, public_key.len, data.ptr, data.len, signature.ptr, signature.len, &result);
        return result.check();
    }
};

pub const encoding = struct {
    const host = struct {
        extern "hookwright:plugin/encoding@0.1.0" fn @"base64-encode"([*]const u8, usize, *Bytes) void;
        extern "hookwright:plugin/encoding@0.1.0" fn @"base64-decode"([*]const u8, usize, *Area) void;
        extern "hookwright:plugin/encoding@0.1.0" fn @"hex-encode"([*]const u8, usize, *Bytes) void;
        extern "hookwright:plugin/encoding@0.1.0" fn @"hex-decode"([*]const u8, usize, *Area) void;
        extern "hookwright:plugin/encoding@0.1.0" fn @"utf8-encode"([*]const u8, usize, *Bytes) void;
        extern "hookwright:plugin/encoding@0.1.0" fn @"utf8-decode"([*]const u8, usize, *Area) void;
    };

    pub fn base64Encode(data: []const u8) []const u8 {
        var result: Bytes = undefined;
        host.@"base64-encode"(data.ptr, data.len, &result);
        return result.get();
    }

    pub fn base64Decode(text: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.@"base64-decode"(text.ptr, text.len, &result);
        return result.bytes();
    }

    pub fn hexEncode(data: []const u8) []const u8 {
        var result: Bytes = undefined;
        host.@"hex-encode"(data.ptr, data.len, &result);
        return result.get();
    }

    pub fn hexDecode(text: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.@"hex-decode"(text.ptr, text.len, &result);
        return result.bytes();
    }

    pub fn utf8Encode(text: []const u8) []const u8 {
        var result: Bytes = undefined;
        host.@"utf8-encode"(text.ptr, text.len, &result);
        return result.get();
    }

    pub fn utf8Decode(data: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.@"utf8-decode"(data.ptr, data.len, &result);
        return result.bytes();
    }
};

/// A small store of the plugin's own in each space.
pub const kv = struct {
    const host = struct {
        extern "hookwright:plugin/kv@0.1.0" fn get([*]const u8, usize, *Area) void;
        extern "hookwright:plugin/kv@0.1.0" fn set([*]const u8, usize, [*]const u8, usize, u32, u32, *Area) void;
        extern "hookwright:plugin/kv@0.1.0" fn remove([*]const u8, usize, *Area) void;
        extern "hookwright:plugin/kv@0.1.0" fn keys([*]const u8, usize, u32, *Area) void;
    };

    pub fn get(key: []const u8) Failed!?[]const u8 {
        var result: Area = undefined;
        host.get(key.ptr, key.len, &result);
        return result.option();
    }

    /// Without seconds the value stays until it is replaced or removed.
    pub fn set(key: []const u8, value: []const u8, seconds: ?u32) Failed!void {
        var result: Area = undefined;
        host.set(key.ptr, key.len, value.ptr, value.len, @intFromBool(seconds != null), seconds orelse 0, &result);
        return result.check();
    }

    pub fn remove(key: []const u8) Failed!void {
        var result: Area = undefined;
        host.remove(key.ptr, key.len, &result);
        return result.check();
    }

    /// At most 1,000.
    pub fn keys(prefix: []const u8, limit: u32) Failed![]const Bytes {
        var result: Area = undefined;
        host.keys(prefix.ptr, prefix.len, limit, &result);
        return result.texts();
    }
};

/// Records of the event's own space, as JSON.
pub const records = struct {
    const host = struct {
        extern "hookwright:plugin/records@0.1.0" fn get([*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/records@0.1.0" fn find([*]const u8, usize, [*]const u8, usize, u32, *Area) void;
        extern "hookwright:plugin/records@0.1.0" fn create([*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/records@0.1.0" fn update([*]const u8, usize, [*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/records@0.1.0" fn remove([*]const u8, usize, [*]const u8, usize, *Area) void;
    };

    pub fn get(kind: []const u8, id: []const u8) Failed!?[]const u8 {
        var result: Area = undefined;
        host.get(kind.ptr, kind.len, id.ptr, id.len, &result);
        return result.option();
    }

    pub fn find(kind: []const u8, filter: []const u8, limit: u32) Failed![]const Bytes {
        var result: Area = undefined;
        host.find(kind.ptr, kind.len, filter.ptr, filter.len, limit, &result);
        return result.texts();
    }

    pub fn create(kind: []const u8, fields: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.create(kind.ptr, kind.len, fields.ptr, fields.len, &result);
        return result.bytes();
    }

    pub fn update(kind: []const u8, id: []const u8, changes: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.update(kind.ptr, kind.len, id.ptr, id.len, changes.ptr, changes.len, &result);
        return result.bytes();
    }

    pub fn remove(kind: []const u8, id: []const u8) Failed!void {
        var result: Area = undefined;
        host.remove(kind.ptr, kind.len, id.ptr, id.len, &result);
        return result.check();
    }
};

/// Tickets of the event's own space, as JSON.
pub const tickets = struct {
    const host = struct {
        extern "hookwright:plugin/tickets@0.1.0" fn get([*]const u8, usize, *Area) void;
        extern "hookwright:plugin/tickets@0.1.0" fn update([*]const u8, usize, [*]const u8, usize, *Area) void;
        extern "hookwright:plugin/tickets@0.1.0" fn @"add-note"([*]const u8, usize, [*]const u8, usize, u32, *Area) void;
    };

    pub fn get(id: []const u8) Failed!?[]const u8 {
        var result: Area = undefined;
        host.get(id.ptr, id.len, &result);
        return result.option();
    }

    pub fn update(id: []const u8, changes: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.update(id.ptr, id.len, changes.ptr, changes.len, &result);
        return result.bytes();
    }

    pub fn addNote(id: []const u8, text: []const u8, is_public: bool) Failed![]const u8 {
        var result: Area = undefined;
        host.@"add-note"(id.ptr, id.len, text.ptr, text.len, @intFromBool(is_public), &result);
        return result.bytes();
    }
};

pub const events = struct {
    const host = struct {
        extern "hookwright:plugin/events@0.1.0" fn emit([*]const u8, usize, u32, [*]const u8, usize, [*]const u8, usize, *Area) void;
    };

    /// Emits an event with a JSON payload. Returns its id.
    pub fn emit(event_type: []const u8, subject: ?[]const u8, data: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        const about = subject orelse "";
        host.emit(event_type.ptr, event_type.len, @intFromBool(subject != null), about.ptr, about.len, data.ptr, data.len, &result);
        return result.bytes();
    }
};

pub const workflows = struct {
    const host = struct {
        extern "hookwright:plugin/workflows@0.1.0" fn start([*]const u8, usize, [*]const u8, usize, *Area) void;
    };

    pub fn start(name: []const u8, input: []const u8) Failed![]const u8 {
        var result: Area = undefined;
        host.start(name.ptr, name.len, input.ptr, input.len, &result);
        return result.bytes();
    }
};

pub const mail = struct {
    pub const Attachment = extern struct { name: Bytes, content_type: Bytes, content: Bytes };

    pub const Letter = struct {
        /// Addresses as in RFC 5322.
        to: []const Bytes,
        subject: []const u8,
        text: []const u8,
        html: ?[]const u8 = null,
        headers: []const Pair = &.{},
        attachments: []const Attachment = &.{},
    };

    const host = struct {
        extern "hookwright:plugin/mail@0.1.0" fn send([*]const Bytes, usize, [*]const u8, usize, [*]const u8, usize, u32, [*]const u8, usize, [*]const Pair, usize, [*]const Attachment, usize, *Area) void;
    };

    pub fn send(letter: Letter) Failed![]const u8 {
        var result: Area = undefined;
        const html = letter.html orelse "";
        host.send(letter.to.ptr, letter.to.len, letter.subject.ptr, letter.subject.len, letter.text.ptr, letter.text.len, @intFromBool(letter.html != null), html.ptr, html.len, letter.headers.ptr, letter.headers.len, letter.attachments.ptr, letter.attachments.len, &result);
        return result.bytes();
    }
};

/// Requests to hosts that the operator allowed.
pub const http = struct {
    pub const Request = struct {
        method: []const u8,
        url: []const u8,
        headers: []const Pair = &.{},
        body: []const u8 = "",
        timeout_ms: ?u32 = null,
    };

    pub const Response = struct {
        status: u16,
        headers: []const Pair,
        body: []const u8,

        /// The first value of a header, by its name in any case.
        pub fn header(self: Response, name: []const u8) ?[]const u8 {
            for (self.headers) |pair| {
                if (std.ascii.eqlIgnoreCase(pair.name.get(), name)) return pair.value.get();
            }
            return null;
        }
    };

    const host = struct {
        extern "hookwright:plugin/http@0.1.0" fn send([*]const u8, usize, [*]const u8, usize, [*]const Pair, usize, [*]const u8, usize, u32, u32, *Area) void;
    };

    /// Any answer is a response; no answer is a failure.
    pub fn send(request: Request) Failed!Response {
        var result: Area = undefined;
        host.send(request.method.ptr, request.method.len, request.url.ptr, request.url.len, request.headers.ptr, request.headers.len, request.body.ptr, request.body.len, @intFromBool(request.timeout_ms != null), request.timeout_ms orelse 0, &result);
        try result.check();
        return .{
            .status = @truncate(result.words[0]),
            .headers = @as([*]const Pair, @ptrFromInt(@max(result.words[1], 4)))[0..result.words[2]],
            .body = bytesAt(result.words[3..5]),
        };
    }
};
