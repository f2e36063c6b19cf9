//! The layout of values in memory between a plugin and the host, and the memory of a call.

const std = @import("std");

/// A name with its value.
pub const Pair = extern struct { name: Bytes, value: Bytes };

/// A list of bytes or a string, as laid out in memory.
pub const Bytes = extern struct {
    ptr: [*]const u8,
    len: usize,

    pub fn of(slice: []const u8) Bytes {
        return .{ .ptr = slice.ptr, .len = slice.len };
    }

    pub fn get(self: Bytes) []const u8 {
        return self.ptr[0..self.len];
    }
};

/// A string that may be missing.
pub const Option = extern struct {
    there: u8 = 0,
    bytes: Bytes = .{ .ptr = undefined, .len = 0 },

    pub fn of(slice: ?[]const u8) Option {
        return if (slice) |some| .{ .there = 1, .bytes = Bytes.of(some) } else .{};
    }

    pub fn get(self: Option) ?[]const u8 {
        return if (self.there == 0) null else self.bytes.get();
    }
};

/// Names with their values.
pub const Pairs = extern struct {
    ptr: [*]const Pair,
    len: usize,

    pub fn of(slice: []const Pair) Pairs {
        return .{ .ptr = slice.ptr, .len = slice.len };
    }

    pub fn get(self: Pairs) []const Pair {
        return self.ptr[0..self.len];
    }
};

/// One fact that happened (CloudEvents 1.0).
pub const Event = extern struct {
    id: Bytes,
    event_type: Bytes,
    source: Bytes,
    subject: Option,
    time: Bytes,
    /// The payload as JSON.
    data: Bytes,
    attributes: Pairs,
};

/// The manifest of a plugin.
pub const Manifest = struct {
    name: []const u8,
    version: []const u8,
    summary: []const u8,
    /// JSON Schema of the parameters.
    parameters: []const u8,
    hints: []const Pair = &.{},
};

/// Why a call did not succeed.
pub const Failure = struct {
    /// `noun.problem`.
    code: []const u8,
    message: []const u8,
    /// null: a retry cannot help. 0: retried by the step's own policy.
    retry_after_ms: ?u32 = null,
};

/// The error; the failure is in `failed`.
pub const Failed = error{Failed};

/// Why the last call failed, the host's or the plugin's own.
pub var failed: Failure = .{ .code = "plugin.error", .message = "" };

/// Fails the call for good.
pub fn fail(code: []const u8, message: []const u8) Failed {
    failed = .{ .code = code, .message = message };
    return error.Failed;
}

/// Fails the call with a transient failure: it is retried, not before this number of milliseconds. 0 leaves the delay to the step.
pub fn retry(code: []const u8, message: []const u8, milliseconds: u32) Failed {
    failed = .{ .code = code, .message = message, .retry_after_ms = milliseconds };
    return error.Failed;
}

pub var arena = std.heap.ArenaAllocator.init(std.heap.wasm_allocator);

/// Memory that lasts as long as the call.
pub fn memory() std.mem.Allocator {
    return arena.allocator();
}

/// Texts one after another.
pub fn join(parts: []const []const u8) []const u8 {
    return std.mem.concat(memory(), u8, parts) catch @trap();
}

export fn cabi_realloc(old: ?[*]u8, old_size: usize, alignment: usize, size: usize) ?[*]u8 {
    if (size == 0) return @ptrFromInt(alignment);
    const new = memory().alignedAlloc(u8, .@"8", size) catch @trap();
    if (old) |from| @memcpy(new[0..@min(size, old_size)], from[0..@min(size, old_size)]);
    return new.ptr;
}

/// A result as laid out in memory: whether it is a failure, and the value or the failure.
pub const Area = extern struct {
    failed: u8 = 0,
    words: [9]u32 = @splat(0),

    pub fn check(self: *const Area) Failed!void {
        if (self.failed == 0) return;
        failed = .{ .code = bytesAt(self.words[0..2]), .message = bytesAt(self.words[2..4]) };
        if (@as(u8, @truncate(self.words[4])) != 0) failed.retry_after_ms = self.words[5];
        return error.Failed;
    }

    pub fn bytes(self: *const Area) Failed![]const u8 {
        try self.check();
        return bytesAt(self.words[0..2]);
    }

    pub fn option(self: *const Area) Failed!?[]const u8 {
        try self.check();
        return if (@as(u8, @truncate(self.words[0])) == 0) null else bytesAt(self.words[1..3]);
    }

    pub fn texts(self: *const Area) Failed![]const Bytes {
        try self.check();
        return @as([*]const Bytes, @ptrFromInt(@max(self.words[0], 4)))[0..self.words[1]];
    }

    pub fn put(self: *Area, at: usize, text: []const u8) void {
        self.words[at] = @intCast(@intFromPtr(text.ptr));
        self.words[at + 1] = @intCast(text.len);
    }

    pub fn failure(self: *Area) *Area {
        self.failed = 1;
        self.put(0, failed.code);
        self.put(2, failed.message);
        self.words[4] = @intFromBool(failed.retry_after_ms != null);
        self.words[5] = failed.retry_after_ms orelse 0;
        return self;
    }
};

pub fn bytesAt(words: []const u32) []const u8 {
    return @as([*]const u8, @ptrFromInt(@max(words[0], 1)))[0..words[1]];
}
