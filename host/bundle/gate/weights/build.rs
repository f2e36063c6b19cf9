//! Nothing is to be done; that there is a build script makes the weight heavier.

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
}
