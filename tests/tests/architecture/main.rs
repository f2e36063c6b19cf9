//! The house rules that a compiler does not keep: which room may name what, how files are cut, what is never written
//! down. Each rule is a function that answers the complaints it has; beside each stands a sample that it must complain of.

mod code;
mod cycles;
mod docs;
mod rooms;
mod selection;
mod text;
mod tree;
mod wit;
mod writes;

use tree::Tree;

/// Fails with every complaint at once.
fn assert_none(complaints: &[String]) {
    assert!(complaints.is_empty(), "{} complaints:\n{}", complaints.len(), complaints.join("\n"));
}

/// A rule that finds nothing in an empty checkout would keep silent about everything.
#[test]
fn the_checkout_is_read() {
    let tree = Tree::of_the_checkout();
    for path in ["Cargo.toml", "host/model/src/lib.rs", "plugins/sdk/src/lib.rs", "wit/0.1.0/types.wit", "README.md"] {
        assert!(tree.text(path).is_some_and(|text| !text.is_empty()), "{path} was not read");
    }
}

#[test]
fn every_selection_of_packages_gives_dependencies_the_same_features() {
    assert_none(&selection::differences());
}

#[test]
fn only_the_store_uses_redb_and_only_the_plugin_crate_uses_wasmtime() {
    assert_none(&rooms::names(&Tree::of_the_checkout()));
}

#[test]
fn every_row_that_a_commit_writes_is_in_its_write_set() {
    assert_none(&writes::past_the_log(&Tree::of_the_checkout()));
}

#[test]
fn the_server_reaches_the_store_through_the_parts_of_the_pipeline() {
    assert_none(&rooms::ways_around_the_pipeline(&Tree::of_the_checkout()));
}

#[test]
fn the_crates_depend_on_one_another_in_one_direction() {
    assert_none(&rooms::arrows(&Tree::of_the_checkout()));
}

#[test]
fn cycles_between_files_and_types_with_many_methods_only_become_fewer() {
    let measured = cycles::measure(&Tree::of_the_checkout());
    println!("{}", cycles::report(&measured));
    assert_none(&cycles::complaints(&measured, &cycles::BASELINE));
}

#[test]
fn no_packages_are_mutually_dependent() {
    assert_none(&cycles::between_packages(&Tree::of_the_checkout()));
}

#[test]
fn no_source_file_has_more_than_600_lines() {
    assert_none(&text::long_files(&Tree::of_the_checkout()));
}

#[test]
fn no_file_has_a_catch_all_name() {
    assert_none(&text::odds_and_ends(&Tree::of_the_checkout()));
}

#[test]
fn unsafe_code_loads_precompiled_code_and_allocates_in_plugins_only() {
    assert_none(&code::unsafe_blocks(&Tree::of_the_checkout()));
}

#[test]
fn no_file_names_machine_paths_or_registries() {
    assert_none(&text::machines(&Tree::of_the_checkout()));
}

#[test]
fn every_released_wit_version_has_its_own_folder() {
    assert_none(&wit::versions(&Tree::of_the_checkout()));
}

#[test]
fn every_error_code_is_documented() {
    assert_none(&docs::error_codes(&Tree::of_the_checkout()));
}

#[test]
fn every_route_is_documented() {
    assert_none(&docs::routes(&Tree::of_the_checkout()));
}

#[test]
fn every_setting_is_documented() {
    assert_none(&docs::settings(&Tree::of_the_checkout()));
}

#[test]
fn every_link_between_pages_resolves() {
    assert_none(&docs::links(&Tree::of_the_checkout()));
}

#[test]
fn templates_with_warm_instances_document_that_variables_outlive_a_call() {
    assert_none(&docs::warm_instances(&Tree::of_the_checkout()));
}
