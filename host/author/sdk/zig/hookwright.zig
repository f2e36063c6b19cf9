//! The API of plugins in Zig: the event, and the host's functions.
//!
//! The plugin's root file says what it is, with `comptime { hookwright.exportAction(manifest, run); }` or
//! `exportCondition`. A function that is not called is not in the component, and neither is its capability.
//!
//! Every allocation of a call, the host's lists and texts among them, is in one arena that is emptied after the call.

const abi = @import("abi.zig");
const host = @import("host.zig");

/// JSON whose numbers keep every digit.
pub const json = @import("exact_json.zig");

pub const Pair = abi.Pair;
pub const Bytes = abi.Bytes;
pub const Option = abi.Option;
pub const Pairs = abi.Pairs;
pub const Event = abi.Event;
pub const Manifest = abi.Manifest;
pub const Failure = abi.Failure;
pub const Failed = abi.Failed;
pub const fail = abi.fail;
pub const retry = abi.retry;
pub const memory = abi.memory;
pub const join = abi.join;

pub const log = host.log;
pub const clock = host.clock;
pub const random = host.random;
pub const config = host.config;
pub const secrets = host.secrets;
pub const crypto = host.crypto;
pub const encoding = host.encoding;
pub const kv = host.kv;
pub const records = host.records;
pub const tickets = host.tickets;
pub const events = host.events;
pub const workflows = host.workflows;
pub const mail = host.mail;
pub const http = host.http;

comptime {
    // The allocator that the host calls.
    _ = abi;
}

// The answer of the present call.
var area: abi.Area = .{};
var manifest_area: [10]u32 = @splat(0);

fn ended(_: *abi.Area) callconv(.c) void {
    _ = abi.arena.reset(.retain_capacity);
}

fn exportManifest(comptime manifest: Manifest) void {
    const Exports = struct {
        fn describe() callconv(.c) *[10]u32 {
            const texts = [_][]const u8{ manifest.name, manifest.version, manifest.summary, manifest.parameters };
            for (texts, 0..) |text, at| {
                manifest_area[at * 2] = @intCast(@intFromPtr(text.ptr));
                manifest_area[at * 2 + 1] = @intCast(text.len);
            }
            manifest_area[8] = @intCast(@intFromPtr(manifest.hints.ptr));
            manifest_area[9] = @intCast(manifest.hints.len);
            return &manifest_area;
        }
    };
    @export(&Exports.describe, .{ .name = "hookwright:plugin/metadata@0.1.0#describe" });
}

/// The arguments of both kinds.
const Arguments = extern struct { event: Event, parameters: Bytes };

/// The result of a condition.
pub const Verdict = struct {
    holds: bool,
    /// The compared values.
    reason: []const u8,
};

/// Makes the program a condition.
pub fn exportCondition(
    comptime manifest: Manifest,
    comptime evaluate: fn (event: *const Event, parameters: []const u8) Failed!Verdict,
) void {
    exportManifest(manifest);
    const Exports = struct {
        fn call(given: *const Arguments) callconv(.c) *abi.Area {
            area = .{};
            const verdict = evaluate(&given.event, given.parameters.get()) catch return area.failure();
            area.words[0] = @intFromBool(verdict.holds);
            area.put(1, verdict.reason);
            return &area;
        }
    };
    @export(&Exports.call, .{ .name = "hookwright:plugin/condition@0.1.0#evaluate" });
    @export(&ended, .{ .name = "cabi_post_hookwright:plugin/condition@0.1.0#evaluate" });
}

/// The result of an action.
pub const Outcome = union(enum) {
    /// The result in JSON.
    done: []const u8,
    /// There was nothing to do, because.
    skipped: []const u8,
};

/// Makes the program an action.
pub fn exportAction(
    comptime manifest: Manifest,
    comptime run: fn (event: *const Event, parameters: []const u8) Failed!Outcome,
) void {
    exportManifest(manifest);
    const Exports = struct {
        fn call(given: *const Arguments) callconv(.c) *abi.Area {
            area = .{};
            const outcome = run(&given.event, given.parameters.get()) catch return area.failure();
            switch (outcome) {
                .done => |result| area.put(1, result),
                .skipped => |reason| {
                    area.words[0] = 1;
                    area.put(1, reason);
                },
            }
            return &area;
        }
    };
    @export(&Exports.call, .{ .name = "hookwright:plugin/action@0.1.0#run" });
    @export(&ended, .{ .name = "cabi_post_hookwright:plugin/action@0.1.0#run" });
}
