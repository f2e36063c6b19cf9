//! Signals: SIGTERM and SIGINT stop the server, a second one at once; SIGHUP reloads the plugin folder.

use tokio::sync::mpsc;

/// The exit code after a second signal.
const EXIT_FORCED: i32 = 130;

/// The request that a signal makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SignalRequest {
    /// Stop.
    Stop,
    /// Reload.
    Reload,
}

/// The signals received since this was created.
pub(crate) struct Signals(mpsc::UnboundedReceiver<SignalRequest>);

impl Signals {
    /// Starts receiving signals.
    pub(crate) fn listen() -> std::io::Result<Self> {
        let (sender, receiver) = mpsc::unbounded_channel();
        #[cfg(unix)]
        {
            use tokio::signal::unix::{SignalKind, signal};
            for (kind, asked) in [
                (SignalKind::terminate(), SignalRequest::Stop),
                (SignalKind::interrupt(), SignalRequest::Stop),
                (SignalKind::hangup(), SignalRequest::Reload),
            ] {
                let (mut signals, sender) = (signal(kind)?, sender.clone());
                tokio::spawn(async move {
                    while signals.recv().await.is_some() {
                        if sender.send(asked).is_err() {
                            return;
                        }
                    }
                });
            }
        }
        #[cfg(not(unix))]
        tokio::spawn(async move {
            while tokio::signal::ctrl_c().await.is_ok() && sender.send(SignalRequest::Stop).is_ok() {}
        });
        Ok(Self(receiver))
    }

    /// The next signal.
    pub(crate) async fn next(&mut self) -> SignalRequest {
        match self.0.recv().await {
            Some(asked) => asked,
            None => std::future::pending().await,
        }
    }

    /// From now on, the next stop signal ends the process at once, after `last`.
    pub(crate) fn force(mut self, last: impl FnOnce() + Send + 'static) {
        tokio::spawn(async move {
            while self.next().await != SignalRequest::Stop {}
            last();
            tracing::warn!("stopped at once: work in progress continues at the next start");
            std::process::exit(EXIT_FORCED);
        });
    }
}
