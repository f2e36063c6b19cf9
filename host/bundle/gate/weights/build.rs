//! The build script does nothing; its existence makes the weight heavier.

fn main() {
    println!("cargo::rerun-if-changed=../build.rs");
}
