//! What the compiler begins with: the plugin is a module of it, and a panic logs its message before it ends the call.

const std = @import("std");
const hookwright = @import("hookwright");

comptime {
    _ = @import("plugin");
}

pub const panic = std.debug.FullPanic(explain);

fn explain(message: []const u8, _: ?usize) noreturn {
    hookwright.log.write("error", message, &.{});
    @trap();
}
