//! What the end-to-end tests stand on: the server as a child process, a client, a receiver for what it sends out, and
//! the programs of others that talk to it.

pub mod client;
#[cfg(unix)]
pub mod clock;
pub mod command;
pub mod components;
#[cfg(unix)]
pub mod due;
#[cfg(unix)]
pub mod executable;
pub mod memory;
pub mod poll;
pub mod programs;
pub mod raw;
pub mod receiver;
pub mod routes;
pub mod scene;
pub mod server;
pub mod small_disk;
#[cfg(unix)]
pub mod tutorial;
pub mod verify;
pub mod workspace;

pub use client::{Answer, Client};
pub use memory::MemoryGroup;
pub use poll::{eventually, within};
pub use receiver::{Receiver, Reply};
pub use server::{ADMIN_KEY, Options, Server};
pub use small_disk::SmallDisk;
pub use verify::{Claim, Verifiers};
