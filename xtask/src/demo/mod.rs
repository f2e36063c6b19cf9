//! `cargo xtask demo`: a server, real webhooks, and what came of them.

mod client;
mod options;
mod receiver;
mod server;
mod show;
mod signature;
mod story;
mod swap;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

pub(crate) use options::Options;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::build;
use crate::checkout::Checkout;
use crate::stage::Stages;
use crate::stop::Stop;
use receiver::Receiver;
use server::Server;
use show::Show;

/// The task.
pub(crate) fn run(checkout: &Checkout, options: &Options) -> Result<(), Stop> {
    // Set first, so that Ctrl-C during the show ends the server too.
    let stopping = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        signal_hook::flag::register(signal, Arc::clone(&stopping))
            .map_err(|error| Stop::new(format!("Ctrl-C cannot be caught: {error}")))?;
    }

    let mut stages = Stages::new(build::STAGES + 1);
    build::server(checkout, &mut stages)?;
    let mut server = stages.run("start", || Server::start(checkout, options))?;
    let receiver = Receiver::start()?;
    let mut show = Show::new(&server, &receiver, checkout, Arc::clone(&stopping));
    story::tell(&mut show)?;
    println!("\nEverything worked: {} expectations met.", show.held());
    println!(
        "\nWhat to look at{}:",
        if options.exit { ", if the server were not stopped now because of --exit" } else { "" }
    );
    where_to_look(&server, &show);
    if options.exit {
        return server.stop();
    }
    println!("\nThe server keeps serving on {} until Ctrl-C.", server.base());
    while !stopping.load(Ordering::SeqCst) {
        server.check()?;
        std::thread::sleep(Duration::from_millis(200));
    }
    println!("\nStopping.");
    server.stop()
}

fn where_to_look(server: &Server, show: &Show<'_>) {
    let base = server.base();
    println!("    export KEY={}", server.key());
    for (path, what) in show.places() {
        println!("    curl -s -H \"Authorization: Bearer $KEY\" {base}{path}    # {what}");
    }
    println!("    {}    # the server's log", server.log());
}
