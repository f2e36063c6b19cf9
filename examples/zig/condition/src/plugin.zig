//! The condition `probe-condition` (see ../../../README.md).

const hookwright = @import("hookwright");
const json = hookwright.json;

comptime {
    hookwright.exportCondition(.{
        .name = "probe-condition",
        .version = "0.1.0",
        .summary = "Compares a value of the event with an expected one",
        .parameters =
        \\{"type":"object","properties":{"path":{},"equals":{}},"additionalProperties":false}
        ,
    }, evaluate);
}

fn evaluate(event: *const hookwright.Event, parameters: []const u8) hookwright.Failed!hookwright.Verdict {
    const given = json.get(parameters, "path");
    const path = json.text(given) orelse "";
    if (path.len == 0) {
        const said = json.compact(given, "nothing");
        return hookwright.fail("parameters.invalid", hookwright.join(&.{
            "`path` is ", said, ": write the dotted path of a value, such as \"a.b\"",
        }));
    }
    const expected = json.get(parameters, "equals") orelse "null";
    const value = json.follow(event.data.get(), path);
    return .{
        .holds = json.equal(value, expected),
        .reason = hookwright.join(&.{
            path, " is ", json.compact(value, "nothing"), ", expected ", json.compact(expected, ""),
        }),
    };
}
