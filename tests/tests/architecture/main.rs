//! The house rules that a compiler does not keep: which room may name what, how files are cut, what is never written
//! down. Each rule is a function that answers the complaints it has; beside each stands a sample that it must complain of.

mod code;
mod docs;
mod rooms;
mod text;
mod tree;
mod wit;

use tree::Tree;

/// Fails with every complaint at once.
fn kept(complaints: &[String]) {
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
fn only_the_store_names_redb_and_only_the_plugin_room_names_wasmtime() {
    kept(&rooms::names(&Tree::of_the_checkout()));
}

#[test]
fn the_rooms_depend_on_one_another_in_one_direction() {
    kept(&rooms::arrows(&Tree::of_the_checkout()));
}

#[test]
fn no_source_file_has_more_than_600_lines() {
    kept(&text::long_files(&Tree::of_the_checkout()));
}

#[test]
fn no_file_is_a_place_for_odds_and_ends() {
    kept(&text::odds_and_ends(&Tree::of_the_checkout()));
}

#[test]
fn there_is_one_unsafe_block_and_it_loads_precompiled_code() {
    kept(&code::unsafe_blocks(&Tree::of_the_checkout()));
}

#[test]
fn no_file_names_a_machine_s_folders_or_a_registry() {
    kept(&text::machines(&Tree::of_the_checkout()));
}

#[test]
fn every_released_wit_version_is_kept_in_a_folder_of_its_own() {
    kept(&wit::versions(&Tree::of_the_checkout()));
}

#[test]
fn every_error_code_stands_in_the_docs() {
    kept(&docs::error_codes(&Tree::of_the_checkout()));
}

#[test]
fn every_route_stands_in_the_docs() {
    kept(&docs::routes(&Tree::of_the_checkout()));
}

#[test]
fn every_setting_stands_in_the_docs() {
    kept(&docs::settings(&Tree::of_the_checkout()));
}

#[test]
fn every_link_between_pages_leads_somewhere() {
    kept(&docs::links(&Tree::of_the_checkout()));
}
