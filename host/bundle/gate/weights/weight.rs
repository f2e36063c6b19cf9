//! A weight: an empty crate that other crates depend on.
//!
//! Of the crates that are ready, cargo first compiles the one with the most dependents. Only the bundle and the server
//! depend on the gate, so it would be compiled after hundreds of crates, ten minutes into the build. So there is a
//! chain between the gate and the bundle: each weight has a build script and is used both by the next weight and by the
//! next weight's build script, with another feature each time, and counts six times. With ten of them the gate comes
//! before `libc` and `serde`, and a build that must fail does so in seconds. `docs/development.md` has the numbers.
