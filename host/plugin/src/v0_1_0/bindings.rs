//! The bindings that `bindgen!` generates from the WIT package: every type and import once, one set of export indices a
//! kind.
//!
//! Values that go into a component are borrowed, so an event is copied once, into the component's own memory.

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction)]

wasmtime::component::bindgen!({
    path: "../../wit/0.1.0",
    inline: "
        package hookwright:host;
        world plugins {
            include hookwright:plugin/condition-plugin@0.1.0;
            include hookwright:plugin/action-plugin@0.1.0;
            include hookwright:plugin/transform-plugin@0.1.0;
            include hookwright:plugin/source-plugin@0.1.0;
        }
    ",
    world: "hookwright:host/plugins",
    imports: { "hookwright:plugin/http.send": async | trappable, default: trappable },
    exports: { default: async },
    ownership: Borrowing { duplicate_if_necessary: true },
});
