//! Components from WebAssembly text, which no normal toolchain would produce.

use bytes::Bytes;
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// Memory, allocator and `describe`, to which a test adds its own code. Addresses below 64 KiB belong to the test.
const PRELUDE: &str = r#"
  (memory (export "memory") 2)
  (global $next (mut i32) (i32.const 65536))
  (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (local $at i32)
    (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
    (global.set $next (i32.add (local.get $at) (local.get 3)))
    (block $fits
      (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
      (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
    (local.get $at))
"#;

/// `describe` with a good manifest.
const DESCRIBE: &str = r#"
  (data (i32.const 0) "hostile1.0.0For tests{}")
  (data (i32.const 64) "\00\00\00\00\07\00\00\00\07\00\00\00\05\00\00\00\0c\00\00\00\09\00\00\00\15\00\00\00\02\00\00\00\00\00\00\00\00\00\00\00")
  (func (export "hookwright:plugin/metadata@0.1.0#describe") (result i32) (i32.const 64))
"#;

/// A component of `world` whose core module has `body` besides the usual.
pub(crate) fn component(world: &str, body: &str) -> Bytes {
    described(world, DESCRIBE, body)
}

/// The same with another `describe`.
pub(crate) fn described(world: &str, describe: &str, body: &str) -> Bytes {
    let mut resolve = Resolve::default();
    let (package, _) = resolve.push_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit/0.1.0")).unwrap();
    encode(&resolve, package, world, describe, body)
}

/// A component of a world in a WIT package of the test's own.
pub(crate) fn foreign(wit: &str, world: &str, describe: &str, body: &str) -> Bytes {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("test.wit", wit).unwrap();
    encode(&resolve, package, world, describe, body)
}

fn encode(resolve: &Resolve, package: wit_parser::PackageId, world: &str, describe: &str, body: &str) -> Bytes {
    // Imports stand before everything else in a module.
    let (imports, rest): (Vec<&str>, Vec<&str>) =
        body.lines().partition(|line| line.trim_start().starts_with("(import"));
    let text = format!("(module {} {PRELUDE} {describe} {})", imports.join("\n"), rest.join("\n"));
    let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().validate(true).module(&module).unwrap();
    Bytes::from(encoder.encode().unwrap())
}

/// A condition whose `evaluate` does `work` and then returns true.
pub(crate) fn condition(work: &str) -> Bytes {
    component("condition-plugin", &evaluate(work))
}

/// The same with the hint `instance=event`.
pub(crate) fn sharing_condition(work: &str) -> Bytes {
    let hint = r#"
  (data (i32.const 24) "instanceevent")
  (data (i32.const 96) "\68\00\00\00\01\00\00\00\18\00\00\00\08\00\00\00\20\00\00\00\05\00\00\00")"#;
    described("condition-plugin", &format!("{DESCRIBE}{hint}"), &evaluate(work))
}

/// `evaluate`, with a verdict at 128 whose reason is empty. Lines that begin with `(import` or `(func $` of `work` come
/// before it.
pub(crate) fn evaluate(work: &str) -> String {
    let (before, inside): (Vec<&str>, Vec<&str>) = work.lines().partition(|line| {
        ["(import", "(func $", "(table", "(data", "(memory"].iter().any(|start| line.trim_start().starts_with(start))
    });
    format!(
        r#"{}
  (data (i32.const 128) "\00\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00")
  (func $evaluate (export "hookwright:plugin/condition@0.1.0#evaluate") (param i32) (result i32)
    {}
    (i32.const 128))"#,
        before.join("\n"),
        inside.join("\n"),
    )
}

/// An action whose `run` does `work` and returns what the test wrote at 192: by default `done("{}")`.
pub(crate) fn action(work: &str) -> Bytes {
    let (before, inside): (Vec<&str>, Vec<&str>) = work
        .lines()
        .partition(|line| ["(import", "(func $", "(data"].iter().any(|start| line.trim_start().starts_with(start)));
    component(
        "action-plugin",
        &format!(
            r#"{}
  (data (i32.const 192) "\00\00\00\00\00\00\00\00\15\00\00\00\02\00\00\00")
  (func $run (export "hookwright:plugin/action@0.1.0#run") (param i32) (result i32)
    {}
    (i32.const 192))"#,
            before.join("\n"),
            inside.join("\n"),
        ),
    )
}

/// The import of `log.write`.
pub(crate) const LOG: &str =
    r#"(import "hookwright:plugin/log@0.1.0" "write" (func $log (param i32 i32 i32 i32 i32 i32)))"#;
