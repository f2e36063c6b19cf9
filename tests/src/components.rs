//! Components that are made for a test: another version of a plugin, and things that are not plugins.

use crate::workspace;

/// A component that does what the first-party plugin `name` does and calls itself version `version`, which must be as
/// long as the built one's, `0.1.0`.
///
/// The version is the one text in the component's data that stands next to the plugin's summary; the version of the
/// WIT package, which has the same digits, stands after an `@` and is left alone.
pub fn other_version(name: &str, version: &str) -> Vec<u8> {
    numbered(&workspace::plugin(name), &format!("plugins/{name}/src/lib.rs"), version)
}

/// A component that calls itself another version, as long as `0.1.0`; `source` is the file with its manifest.
pub fn numbered(component: &[u8], source: &str, version: &str) -> Vec<u8> {
    let mut bytes = component.to_vec();
    let text = workspace::source(source);
    let (_, rest) = text.split_once("summary: \"").expect("the plugin has a summary");
    let summary = rest.split('"').next().unwrap_or_default();
    let old = format!("0.1.0{summary}");
    assert_eq!(version.len(), 5, "as long as 0.1.0");
    let places: Vec<usize> =
        bytes.windows(old.len()).enumerate().filter(|(_, w)| *w == old.as_bytes()).map(|(place, _)| place).collect();
    let [place] = places[..] else {
        panic!("the component of {source} has its version {} times before `{summary}`: once is wanted", places.len());
    };
    bytes[place..place + version.len()].copy_from_slice(version.as_bytes());
    bytes
}

/// A component written as text.
pub fn text(wat: &str) -> Vec<u8> {
    wat::parse_str(wat).unwrap_or_else(|error| panic!("{error}"))
}

/// The component of the first-party plugin `name` with an interface renamed, wherever it stands.
pub fn renamed(name: &str, from: &str, to: &str) -> Vec<u8> {
    changed(&workspace::plugin(name), from, to)
}

/// A component with a string replaced by another one that is as long, wherever it stands.
pub fn changed(component: &[u8], from: &str, to: &str) -> Vec<u8> {
    assert_eq!(from.len(), to.len(), "texts are kept with their length");
    let mut bytes = component.to_vec();
    let mut count = 0;
    for place in 0..bytes.len().saturating_sub(from.len()) {
        if bytes[place..].starts_with(from.as_bytes()) {
            bytes[place..place + to.len()].copy_from_slice(to.as_bytes());
            count += 1;
        }
    }
    assert!(count > 0, "the component does not name {from}");
    bytes
}

/// A condition whose `describe` does `body`, which leaves an `i32`.
pub fn describing(body: &str) -> Vec<u8> {
    text(&CONDITION.replace("BODY", body))
}

/// What `wit-component` would make of a condition, by hand: each exported instance is made by a component of its own,
/// because only there can its types be given their names.
const CONDITION: &str = r#"
(component
  (core module $code
    (memory (export "memory") 1)
    (func (export "realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
    (func (export "describe") (result i32) BODY)
    (func (export "evaluate") (param i32) (result i32) unreachable))
  (core instance $it (instantiate $code))
  (alias core export $it "memory" (core memory $memory))
  (alias core export $it "realloc" (core func $realloc))

  (type $pairs (list (tuple string string)))
  (type $manifest (record (field "name" string) (field "version" string) (field "summary" string)
    (field "parameters" string) (field "hints" $pairs)))
  (type $event (record (field "id" string) (field "event-type" string) (field "source" string)
    (field "subject" (option string)) (field "time" string) (field "data" string) (field "attributes" $pairs)))
  (type $failure (record (field "code" string) (field "message" string) (field "retry-after-ms" (option u32))))
  (type $verdict (record (field "holds" bool) (field "reason" string)))

  (func $describe (result $manifest)
    (canon lift (core func $it "describe") (memory $memory)))
  (func $evaluate (param "event" $event) (param "parameters" string) (result (result $verdict (error $failure)))
    (canon lift (core func $it "evaluate") (memory $memory) (realloc $realloc)))

  (component $metadata
    (type $pairs (list (tuple string string)))
    (type $shape (record (field "name" string) (field "version" string) (field "summary" string)
      (field "parameters" string) (field "hints" $pairs)))
    (import "manifest" (type $manifest (eq $shape)))
    (import "describe" (func $describe (result $manifest)))
    (export $named "manifest" (type $manifest))
    (export "describe" (func $describe) (func (result $named))))
  (instance $metadata-made (instantiate $metadata
    (with "manifest" (type $manifest)) (with "describe" (func $describe))))
  (export "hookwright:plugin/metadata@0.1.0" (instance $metadata-made))

  (component $condition
    (type $pairs (list (tuple string string)))
    (type $event-shape (record (field "id" string) (field "event-type" string) (field "source" string)
      (field "subject" (option string)) (field "time" string) (field "data" string) (field "attributes" $pairs)))
    (type $failure-shape (record (field "code" string) (field "message" string)
      (field "retry-after-ms" (option u32))))
    (type $verdict-shape (record (field "holds" bool) (field "reason" string)))
    (import "event" (type $event (eq $event-shape)))
    (import "failure" (type $failure (eq $failure-shape)))
    (import "verdict" (type $verdict (eq $verdict-shape)))
    (import "evaluate" (func $evaluate
      (param "event" $event) (param "parameters" string) (result (result $verdict (error $failure)))))
    (export $named-event "event" (type $event))
    (export $named-failure "failure" (type $failure))
    (export $named-verdict "verdict" (type $verdict))
    (export "evaluate" (func $evaluate) (func
      (param "event" $named-event) (param "parameters" string)
      (result (result $named-verdict (error $named-failure))))))
  (instance $condition-made (instantiate $condition
    (with "event" (type $event)) (with "failure" (type $failure)) (with "verdict" (type $verdict))
    (with "evaluate" (func $evaluate))))
  (export "hookwright:plugin/condition@0.1.0" (instance $condition-made)))
"#;
