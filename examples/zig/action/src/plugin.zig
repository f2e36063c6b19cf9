//! The action `probe-action` (see ../../../README.md).

const std = @import("std");
const hookwright = @import("hookwright");
const json = hookwright.json;
const Failed = hookwright.Failed;
const Outcome = hookwright.Outcome;
const crypto = hookwright.crypto;
const encoding = hookwright.encoding;
const kv = hookwright.kv;
const tickets = hookwright.tickets;

comptime {
    hookwright.exportAction(.{
        .name = "probe-action",
        .version = "0.1.0",
        .summary = "Calls the host in every way and tells what came back",
        .parameters =
        \\{"type":"object"}
        ,
    }, run);
}

/// One call: the event, and its parameters.
const Call = struct {
    data: []const u8,
    parameters: []const u8,

    fn get(self: Call, name: []const u8) json.Slice {
        return json.get(self.parameters, name);
    }

    /// A parameter that is a string; empty if it is not one.
    fn text(self: Call, name: []const u8) []const u8 {
        return json.text(self.get(name)) orelse "";
    }

    /// A parameter that is a string or a number.
    fn id(self: Call, name: []const u8) []const u8 {
        return json.text(self.get(name)) orelse json.compact(self.get(name), "");
    }

    fn isTrue(self: Call, name: []const u8) bool {
        return json.equal(self.get(name), "true");
    }

    /// A parameter that is an integer; null if it is not one.
    fn count(self: Call, name: []const u8) ?u32 {
        return json.count(self.get(name), std.math.maxInt(u32));
    }
};

const Probe = struct { name: []const u8, run: *const fn (Call) Failed!Outcome };

const probes = [_]Probe{
    .{ .name = "echo", .run = echo },       .{ .name = "unicode", .run = unicode }, .{ .name = "numbers", .run = numbers },
    .{ .name = "hash", .run = hash },       .{ .name = "hmac", .run = hmac },       .{ .name = "base64", .run = base64 },
    .{ .name = "time", .run = time },       .{ .name = "random", .run = draw },     .{ .name = "log", .run = write },
    .{ .name = "ticket", .run = ticket },   .{ .name = "note", .run = note },       .{ .name = "emit", .run = emit },
    .{ .name = "kv", .run = keep },         .{ .name = "http", .run = ask },        .{ .name = "fail", .run = fail },
    .{ .name = "retry", .run = retry },     .{ .name = "skip", .run = skip },       .{ .name = "big", .run = big },
};

fn run(event: *const hookwright.Event, parameters: []const u8) Failed!Outcome {
    const call = Call{ .data = event.data.get(), .parameters = parameters };
    const wanted = call.text("do");
    var known: []const u8 = "";
    for (probes, 0..) |probe, at| {
        if (std.mem.eql(u8, probe.name, wanted)) return probe.run(call);
        known = hookwright.join(&.{ known, if (at == 0) "" else ", ", probe.name });
    }
    const given = json.compact(call.get("do"), "nothing");
    return hookwright.fail("parameters.invalid", hookwright.join(&.{ "`do` is ", given, ": write one of ", known }));
}

fn done(parts: []const []const u8) Outcome {
    return .{ .done = hookwright.join(parts) };
}

fn say(is_so: bool) []const u8 {
    return if (is_so) "true" else "false";
}

fn echo(call: Call) Failed!Outcome {
    return .{ .done = call.data };
}

fn unicode(call: Call) Failed!Outcome {
    const text = call.text("text");
    const bytes = encoding.utf8Encode(text);
    const same = std.mem.eql(u8, try encoding.utf8Decode(bytes), text);
    const hex = json.quote(encoding.hexEncode(bytes));
    return done(&.{ "{\"bytes\":", json.number(bytes.len), ",\"hex\":", hex, ",\"same\":", say(same), "}" });
}

fn numbers(call: Call) Failed!Outcome {
    const every = json.compact(json.get(call.data, "numbers"), "null");
    const first = json.compact(json.follow(call.data, "numbers.0"), "null");
    return done(&.{ "{\"numbers\":", every, ",\"first\":", first, "}" });
}

fn hash(call: Call) Failed!Outcome {
    const digest = try crypto.digest(call.text("algorithm"), call.text("text"));
    return done(&.{ "{\"hex\":", json.quote(encoding.hexEncode(digest)), "}" });
}

fn verifies(algorithm: []const u8, secret: []const u8, data: []const u8, code: []const u8) bool {
    crypto.verifyHmac(algorithm, secret, data, code) catch return false;
    return true;
}

fn hmac(call: Call) Failed!Outcome {
    const algorithm = call.text("algorithm");
    const secret = call.text("secret");
    const data = call.text("text");
    const code = try crypto.hmac(algorithm, secret, data);
    const wrong = hookwright.memory().dupe(u8, code) catch @trap();
    wrong[wrong.len - 1] ^= 1;
    const verified = verifies(algorithm, secret, data, code);
    const refused = !verifies(algorithm, secret, data, wrong);
    const hex = json.quote(encoding.hexEncode(code));
    return done(&.{ "{\"hex\":", hex, ",\"verified\":", say(verified), ",\"refused\":", say(refused), "}" });
}

fn base64(call: Call) Failed!Outcome {
    if (json.text(call.get("decode"))) |given| {
        return done(&.{ "{\"hex\":", json.quote(encoding.hexEncode(try encoding.base64Decode(given))), "}" });
    }
    const text = call.text("text");
    const encoded = encoding.base64Encode(text);
    const same = std.mem.eql(u8, try encoding.base64Decode(encoded), text);
    return done(&.{ "{\"base64\":", json.quote(encoded), ",\"same\":", say(same), "}" });
}

fn time(_: Call) Failed!Outcome {
    const now = json.quote(hookwright.clock.now());
    return done(&.{ "{\"now\":", now, ",\"ms\":", json.number(@intCast(hookwright.clock.nowMs())), "}" });
}

fn draw(_: Call) Failed!Outcome {
    const bytes = hookwright.random.bytes(16);
    const one = hookwright.random.uuid();
    const differs = !std.mem.eql(u8, one, hookwright.random.uuid());
    _ = hookwright.random.bits();
    const len = json.number(one.len);
    return done(&.{ "{\"bytes\":", json.number(bytes.len), ",\"uuid\":", len, ",\"differs\":", say(differs), "}" });
}

fn pair(name: []const u8, value: []const u8) hookwright.Pair {
    return .{ .name = .of(name), .value = .of(value) };
}

fn write(call: Call) Failed!Outcome {
    const text = call.text("text");
    hookwright.log.write("warn", text, &.{pair("probe", "log")});
    hookwright.log.print(hookwright.join(&.{ text, "\n" }));
    return .{ .done = "{\"logged\":2}" };
}

fn ticket(call: Call) Failed!Outcome {
    const id = call.id("id");
    const before = try tickets.get(id) orelse
        return .{ .skipped = hookwright.join(&.{ "there is no ticket ", id }) };
    const after = try tickets.update(id, json.compact(call.get("changes"), "{}"));
    return done(&.{ "{\"before\":", before, ",\"after\":", after, "}" });
}

fn note(call: Call) Failed!Outcome {
    const id = try tickets.addNote(call.id("id"), call.text("text"), call.isTrue("public"));
    return done(&.{ "{\"note\":", json.quote(id), "}" });
}

fn emit(call: Call) Failed!Outcome {
    const data = json.compact(call.get("data"), "null");
    const id = try hookwright.events.emit(call.text("type"), json.text(call.get("subject")), data);
    return done(&.{ "{\"event\":", json.quote(id), "}" });
}

fn held(key: []const u8) Failed![]const u8 {
    return if (try kv.get(key)) |value| json.quote(value) else "null";
}

fn keep(call: Call) Failed!Outcome {
    const key = call.text("key");
    const before = try held(key);
    try kv.set(key, call.text("value"), call.count("ttl_seconds"));
    const after = try held(key);
    const keys = json.number((try kv.keys(key, 10)).len);
    var removed = false;
    if (call.isTrue("remove")) {
        try kv.remove(key);
        removed = try kv.get(key) == null;
    }
    return done(&.{ "{\"before\":", before, ",\"after\":", after, ",\"keys\":", keys, ",\"removed\":", say(removed), "}" });
}

fn ask(call: Call) Failed!Outcome {
    const method = call.text("method");
    const answer = try hookwright.http.send(.{
        .method = if (method.len == 0) "POST" else method,
        .url = call.text("url"),
        .headers = &.{ pair("content-type", "application/json"), pair("x-probe", "http") },
        .body = json.compact(call.get("body"), ""),
        .timeout_ms = 5000,
    });
    const kind = if (answer.header("content-type")) |found| json.quote(found) else "null";
    const status = json.number(answer.status);
    return done(&.{ "{\"status\":", status, ",\"type\":", kind, ",\"body\":", json.quote(answer.body), "}" });
}

fn fail(call: Call) Failed!Outcome {
    return hookwright.fail("probe.failed", call.text("text"));
}

fn retry(call: Call) Failed!Outcome {
    return hookwright.retry("probe.later", call.text("text"), call.count("after_ms") orelse 0);
}

fn skip(call: Call) Failed!Outcome {
    return .{ .skipped = call.text("text") };
}

fn big(call: Call) Failed!Outcome {
    const digest = json.quote(encoding.hexEncode(try crypto.digest("sha256", call.data)));
    return done(&.{ "{\"bytes\":", json.number(call.data.len), ",\"sha256\":", digest, "}" });
}
