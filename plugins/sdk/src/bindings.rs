//! What `wit-bindgen` makes of the WIT package: the imports once, and one module for each exported interface.
//!
//! The exports stand apart because a component exports everything that its world names: only the macro of the chosen
//! kind, together with the one of [`metadata`], puts its world into the component. Imports that nobody calls are left
//! out of it.

#![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all, clippy::pedantic, clippy::restriction)]

/// Every interface that any plugin may import.
pub mod imports {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "
            package hookwright:sdk;
            world imports {
                import hookwright:plugin/types@0.1.0;
                import hookwright:plugin/log@0.1.0;
                import hookwright:plugin/clock@0.1.0;
                import hookwright:plugin/random@0.1.0;
                import hookwright:plugin/config@0.1.0;
                import hookwright:plugin/crypto@0.1.0;
                import hookwright:plugin/encoding@0.1.0;
                import hookwright:plugin/secrets@0.1.0;
                import hookwright:plugin/kv@0.1.0;
                import hookwright:plugin/records@0.1.0;
                import hookwright:plugin/tickets@0.1.0;
                import hookwright:plugin/events@0.1.0;
                import hookwright:plugin/mail@0.1.0;
                import hookwright:plugin/workflows@0.1.0;
                import hookwright:plugin/http@0.1.0;
            }
        ",
        world: "hookwright:sdk/imports",
        generate_all,
        generate_unused_types: true,
        runtime_path: "::wit_bindgen::rt",
    });
}

/// The exported interface `metadata`: the manifest of a plugin.
pub mod metadata {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hookwright:sdk; world metadata { export hookwright:plugin/metadata@0.1.0; }",
        world: "hookwright:sdk/metadata",
        with: { "hookwright:plugin/types@0.1.0": crate::bindings::imports::hookwright::plugin::types },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookwright_sdk::bindings::metadata",
        runtime_path: "hookwright_sdk::runtime",
    });
}

/// The exported interface `condition`: deciding about an event.
pub mod condition {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hookwright:sdk; world condition { export hookwright:plugin/condition@0.1.0; }",
        world: "hookwright:sdk/condition",
        with: { "hookwright:plugin/types@0.1.0": crate::bindings::imports::hookwright::plugin::types },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookwright_sdk::bindings::condition",
        runtime_path: "hookwright_sdk::runtime",
    });
}

/// The exported interface `action`: doing something about an event.
pub mod action {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hookwright:sdk; world action { export hookwright:plugin/action@0.1.0; }",
        world: "hookwright:sdk/action",
        with: { "hookwright:plugin/types@0.1.0": crate::bindings::imports::hookwright::plugin::types },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookwright_sdk::bindings::action",
        runtime_path: "hookwright_sdk::runtime",
    });
}

/// The exported interface `transform`: reshaping a message.
pub mod transform {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hookwright:sdk; world transform { export hookwright:plugin/transform@0.1.0; }",
        world: "hookwright:sdk/transform",
        with: { "hookwright:plugin/types@0.1.0": crate::bindings::imports::hookwright::plugin::types },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookwright_sdk::bindings::transform",
        runtime_path: "hookwright_sdk::runtime",
    });
}

/// The exported interface `source`: receiving a provider's requests.
pub mod source {
    wit_bindgen::generate!({
        path: "../../wit/0.1.0",
        inline: "package hookwright:sdk; world source { export hookwright:plugin/source@0.1.0; }",
        world: "hookwright:sdk/source",
        with: { "hookwright:plugin/types@0.1.0": crate::bindings::imports::hookwright::plugin::types },
        generate_all,
        pub_export_macro: true,
        default_bindings_module: "hookwright_sdk::bindings::source",
        runtime_path: "hookwright_sdk::runtime",
    });
}
