//! The plugin-kind `plugin-name`.

const hookwright = @import("hookwright");
const json = hookwright.json;

comptime {
    hookwright.exportCondition(.{
        .name = "plugin-name",
        .version = "0.1.0",
        .summary = "Holds where the event's level is the expected one",
        .parameters =
        \\{"type":"object","required":["level"],"properties":{"level":{"type":"string"}},"additionalProperties":false}
        ,
    }, evaluate);
}

fn evaluate(event: *const hookwright.Event, parameters: []const u8) hookwright.Failed!hookwright.Verdict {
    const expected = json.get(parameters, "level");
    const level = json.get(event.data.get(), "level");
    const parts = .{ "level is ", json.compact(level, "nothing"), ", expected ", json.compact(expected, "nothing") };
    return .{ .holds = json.equal(level, expected), .reason = hookwright.join(&parts) };
}
