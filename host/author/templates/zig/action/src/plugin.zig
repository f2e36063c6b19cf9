//! The plugin-kind `plugin-name`.

const hookwright = @import("hookwright");
const json = hookwright.json;

comptime {
    hookwright.exportAction(.{
        .name = "plugin-name",
        .version = "0.1.0",
        .summary = "Adds a note about the event to a ticket",
        .parameters =
        \\{"type":"object","required":["ticket"],"properties":{"ticket":{"type":["string","integer"]}},"additionalProperties":false}
        ,
    }, run);
}

fn run(event: *const hookwright.Event, parameters: []const u8) hookwright.Failed!hookwright.Outcome {
    // An id may be a number or a string.
    const given = json.get(parameters, "ticket");
    const ticket = json.text(given) orelse json.compact(given, "");
    const text = hookwright.join(&.{ event.event_type.get(), " from ", event.source.get() });
    const note = try hookwright.tickets.addNote(ticket, text, false);
    return .{ .done = hookwright.join(&.{ "{\"note\":", json.quote(note), "}" }) };
}
