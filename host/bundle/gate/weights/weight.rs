//! A weight: it holds nothing, and exists to be waited for.
//!
//! Of the crates that are ready, cargo first compiles the one that the most others wait for. By itself the gate has only
//! the bundle and the server waiting, and would come after hundreds of crates: ten minutes into the build. So there is a
//! chain between the gate and the bundle: each weight has a build script and is used both by the next weight and by the
//! next weight's build script, with another feature each time, and counts six times. With ten of them the gate stands
//! before `libc` and `serde`, and a build that must fail does so in seconds. `docs/development.md` has the numbers.
