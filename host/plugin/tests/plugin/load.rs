//! Refused components, and the error messages.

use std::time::Duration;

use bytes::Bytes;
use hookwright_model::Kind;
use hookwright_plugin::{EngineOptions, LoadError};

use crate::guests::{LOG, component, condition, described, evaluate, foreign};
use crate::support::{options, registry};

async fn refused(bytes: Bytes) -> LoadError {
    let options = EngineOptions { describe_cpu: Duration::from_millis(100), ..options() };
    registry(&options).prepare(bytes).await.expect_err("the component was taken")
}

fn is(error: &LoadError, code: &str, part: &str) {
    assert_eq!(error.code(), code, "{error}");
    assert!(error.to_string().contains(part), "{part}\n{error}");
}

#[tokio::test]
async fn a_valid_component_has_a_manifest() {
    let bytes = condition(&format!(
        "{LOG}\n(call $log (i32.const 0) (i32.const 1) (i32.const 0) (i32.const 7) (i32.const 0) (i32.const 0))"
    ));
    let size = bytes.len();
    let plugin = registry(&options()).prepare(bytes).await.unwrap();
    assert_eq!((plugin.manifest().name.as_str(), plugin.manifest().version.as_str()), ("hostile", "1.0.0"));
    assert_eq!((plugin.kinds(), plugin.size(), plugin.compiled()), (&[Kind::Condition][..], size, true));
    assert!(plugin.imports().contains(&"hookwright:plugin/log@0.1.0".to_owned()), "{:?}", plugin.imports());
    assert_eq!(plugin.digest().len(), 64);
    assert!(plugin.load_time() > Duration::ZERO && plugin.verbatim().is_empty());
}

#[tokio::test]
async fn bytes_that_are_not_a_component_are_refused() {
    is(&refused(Bytes::from_static(b"")).await, "plugin.not_wasm", "empty");
    is(&refused(Bytes::from_static(b"#!/bin/sh")).await, "plugin.not_wasm", "#!/bin/sh");
    is(&refused(Bytes::from(wat::parse_str("(module)").unwrap())).await, "plugin.core_module", "component new");
    is(&refused(condition("").slice(..300)).await, "plugin.malformed", "damaged");
    let options = EngineOptions { max_component_bytes: 100, ..options() };
    is(&registry(&options).prepare(condition("")).await.unwrap_err(), "plugin.too_large", "at most 100");
}

#[tokio::test]
async fn machine_code_is_never_accepted_from_outside() {
    let config = wasmtime::Config::new();
    let engine = wasmtime::Engine::new(&config).unwrap();
    let code = engine.precompile_component(&condition("")).unwrap();
    is(&refused(Bytes::from(code)).await, "plugin.precompiled", "never accepted");
}

#[tokio::test]
async fn invalid_components_are_distinguished_from_those_that_cannot_be_compiled() {
    let good = condition("(drop (i32.add (i32.const 77777) (i32.const 88888)))");
    // `i32.add` of two integers becomes `f32.add`.
    let place = good.windows(5).position(|part| part == [0xb8, 0xb6, 0x05, 0x6a, 0x1a]).expect("the instruction");
    let mut bad = good.to_vec();
    bad[place + 3] = 0x92;
    is(&refused(Bytes::from(bad)).await, "plugin.malformed", "type mismatch");
}

#[tokio::test]
async fn a_component_that_is_not_a_plugin_is_refused() {
    let wit = "package a:b; interface greet { hello: func(); } world w { export greet; }";
    let error = refused(foreign(wit, "w", "", r#"(func (export "a:b/greet#hello"))"#)).await;
    is(&error, "plugin.no_known_world", "`a:b/greet`");
    is(
        &error,
        "plugin.no_known_world",
        "condition-plugin, action-plugin, transform-plugin, source-plugin of hookwright:plugin@0.1.0",
    );
}

const OTHER_VERSION: &str = "
    package hookwright:plugin@0.7.0;
    interface metadata { describe: func() -> string; }
    interface condition { evaluate: func() -> bool; }
    world w { export metadata; export condition; }";

#[tokio::test]
async fn a_component_for_another_version_is_refused_with_the_known_versions() {
    let describe = r#"(func (export "hookwright:plugin/metadata@0.7.0#describe") (result i32) (i32.const 0))"#;
    let body = r#"(func (export "hookwright:plugin/condition@0.7.0#evaluate") (result i32) (i32.const 0))"#;
    let error = refused(foreign(OTHER_VERSION, "w", describe, body)).await;
    is(&error, "plugin.no_known_world", "version 0.7.0 of hookwright:plugin is not known here; known: 0.1.0");
}

/// A package that looks like ours, with content from the test.
fn forged(types: &str, interfaces: &str, imports: &str) -> String {
    format!(
        "package hookwright:plugin@0.1.0;
         interface types {{
           type json = string; type pairs = list<tuple<string, string>>;
           record event {{ id: string, event-type: string, source: string, subject: option<string>, time: string, data: json, attributes: pairs }}
           record manifest {{ name: string, version: string, summary: string, parameters: json, hints: pairs }}
           record failure {{ code: string, message: string, retry-after-ms: option<u32> }}
         }}
         interface metadata {{ use types.{{manifest}}; describe: func() -> manifest; }}
         interface condition {{
           use types.{{event, json, failure}};
           record verdict {{ holds: bool, reason: string{types} }}
           evaluate: func(event: event, parameters: json) -> result<verdict, failure>;
         }}
         {interfaces}
         world w {{ {imports} export metadata; export condition; }}"
    )
}

const DESCRIBE: &str = r#"
  (data (i32.const 0) "hostile1.0.0For tests{}")
  (data (i32.const 64) "\00\00\00\00\07\00\00\00\07\00\00\00\05\00\00\00\0c\00\00\00\09\00\00\00\15\00\00\00\02\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "hookwright:plugin/metadata@0.1.0#describe") (result i32) (i32.const 64))"#;

#[tokio::test]
async fn an_export_of_another_type_is_found_when_the_plugin_is_installed() {
    let error = refused(foreign(&forged(", score: u32", "", ""), "w", DESCRIBE, &evaluate(""))).await;
    is(&error, "plugin.type_mismatch", "hookwright:plugin@0.1.0");
}

#[tokio::test]
async fn an_import_of_another_type_is_found_when_the_plugin_is_installed() {
    let wit = forged("", "interface log { write: func(line: string); }", "import log;");
    let body = evaluate(
        "(import \"hookwright:plugin/log@0.1.0\" \"write\" (func $log (param i32 i32)))\n(call $log (i32.const 0) (i32.const 1))",
    );
    let error = refused(foreign(&wit, "w", DESCRIBE, &body)).await;
    is(&error, "plugin.type_mismatch", "log");
}

#[tokio::test]
async fn every_refused_import_is_named_at_once() {
    let wit = forged(
        "",
        "interface files { get: func() -> u32; } interface tickets { count: func() -> u32; }",
        "import files; import tickets; import print: func();",
    );
    let body = evaluate(
        "(import \"hookwright:plugin/files@0.1.0\" \"get\" (func $files (result i32)))
(import \"hookwright:plugin/tickets@0.1.0\" \"count\" (func $tickets (result i32)))
(import \"$root\" \"print\" (func $print))
(drop (call $files)) (drop (call $tickets)) (call $print)",
    );
    let error = refused(foreign(&wit, "w", DESCRIBE, &body)).await;
    for part in [
        "files@0.1.0`: there is no such interface",
        "tickets@0.1.0`: only actions have access to it",
        "`print`: only interfaces",
    ] {
        is(&error, "plugin.import_not_granted", part);
    }
}

#[tokio::test]
async fn a_describe_that_does_not_answer_well_is_refused() {
    let with = |body: &str, data: &str| {
        let describe = format!(
            "(data (i32.const 0) \"{data}\")
             (data (i32.const 64) \"\\00\\00\\00\\00\\07\\00\\00\\00\\07\\00\\00\\00\\05\\00\\00\\00\\0c\\00\\00\\00\\09\\00\\00\\00\\15\\00\\00\\00\\02\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\\00\")
             (func $describe (export \"hookwright:plugin/metadata@0.1.0#describe\") (result i32) {body} (i32.const 64))"
        );
        described("condition-plugin", &describe, &evaluate(""))
    };
    let good = "hostile1.0.0For tests{}";
    assert!(registry(&options()).prepare(with("", good)).await.is_ok());
    is(&refused(with("unreachable", good)).await, "plugin.describe_trapped", "unreachable");
    is(&refused(with("(loop $again (br $again))", good)).await, "plugin.describe_failed", "100 ms");
    is(
        &refused(with("(drop (memory.grow (i32.const 1000)))", good)).await,
        "plugin.describe_failed",
        "bytes of memory",
    );
    is(&refused(with("", "hostile1.0.xFor tests{}")).await, "plugin.manifest_invalid", "`1.0.x`");
    is(&refused(with("", "hostile1.0.0For tests{]")).await, "plugin.manifest_invalid", "is not JSON");
    is(&refused(with("", "hostile1.0.0For tests[]")).await, "plugin.manifest_invalid", "JSON Schema");
}

#[tokio::test]
async fn a_component_that_traps_at_its_start_is_refused() {
    let body = format!("{}\n(func $boom unreachable)\n(start $boom)", evaluate(""));
    is(&refused(component("condition-plugin", &body)).await, "plugin.describe_trapped", "unreachable");
}
