//! What the end-to-end tests stand on: the server as a child process, a client, a receiver for what it sends out, and
//! the programs of others that talk to it.

pub mod client;
pub mod components;
pub mod poll;
pub mod programs;
pub mod raw;
pub mod receiver;
pub mod routes;
pub mod scene;
pub mod server;
pub mod verify;
pub mod workspace;

pub use client::{Answer, Client};
pub use poll::{eventually, within};
pub use receiver::{Receiver, Reply};
pub use server::{ADMIN_KEY, Options, Server};
pub use verify::{Claim, Verifiers};
