//! The server under show: started on a fresh store, watched, and stopped.

use std::fs::File;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Options;
use super::client::Client;
use crate::checkout::Checkout;
use crate::stop::Stop;

/// How long the server may take to serve. At its first start it compiles the plugins.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// How long it may take to end.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// The port that is tried first.
const DEFAULT_PORT: u16 = 8080;

/// How many of the log's last lines are shown when the server fails.
const LOG_LINES: usize = 20;

/// A server, ended when it is dropped.
pub(crate) struct Server {
    child: Child,
    base: String,
    key: String,
    log: PathBuf,
    /// Removed at the end: it was made for this show.
    data: Option<PathBuf>,
}

impl Server {
    /// Starts the server and waits until it serves.
    pub(crate) fn start(checkout: &Checkout, options: &Options) -> Result<Self, Stop> {
        let folder = checkout.target.join("demo");
        std::fs::create_dir_all(&folder).map_err(|error| Stop::file(&folder, &error))?;
        let own = std::process::id();
        let data = options.data.clone().unwrap_or_else(|| folder.join(format!("data-{own}")));
        if std::fs::read_dir(&data).is_ok_and(|mut entries| entries.next().is_some()) {
            return Err(Stop::new(format!(
                "{} is not empty: name another folder, the demo needs an empty one",
                data.display()
            )));
        }
        let log = folder.join(format!("server-{own}.log"));
        let output = File::create(&log).map_err(|error| Stop::file(&log, &error))?;
        let errors = output.try_clone().map_err(|error| Stop::file(&log, &error))?;
        let key = random_key()?;
        let address = format!("127.0.0.1:{}", port(options.port)?);
        let binary = checkout.binary();
        let child = Command::new(&binary)
            .arg("serve")
            .arg("--data-dir")
            .arg(&data)
            .args(["--listen", &address])
            .env("HOOKWRIGHT_ADMIN_KEY", &key)
            .env("HOOKWRIGHT_ALLOW_NETWORKS", "127.0.0.0/8")
            .env("HOOKWRIGHT_ALLOW_HTTP", "true")
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors)
            .spawn()
            .map_err(|error| Stop::file(&binary, &error))?;
        let fresh = options.data.is_none().then_some(data);
        let mut server = Self { child, base: format!("http://{address}"), key, log, data: fresh };
        server.wait()?;
        println!("    {} serves on {}", checkout.shown(&binary), server.base);
        Ok(server)
    }

    fn wait(&mut self) -> Result<(), Stop> {
        let client = Client::new();
        let url = format!("{}/healthz", self.base);
        let began = Instant::now();
        loop {
            self.check()?;
            if client.send("GET", &url, &[], Vec::new()).is_ok_and(|answer| answer.status == 200) {
                return Ok(());
            }
            if began.elapsed() > START_TIMEOUT {
                return Err(self.failed(&format!("{url} did not answer 200 within {} s", START_TIMEOUT.as_secs())));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Fails if the server has ended.
    pub(crate) fn check(&mut self) -> Result<(), Stop> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.failed(&format!("the server ended ({status})"))),
            Err(error) => Err(self.failed(&format!("the server cannot be watched: {error}"))),
        }
    }

    fn failed(&self, what: &str) -> Stop {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let mut last: Vec<&str> = log.lines().rev().take(LOG_LINES).collect();
        last.reverse();
        Stop::new(format!("{what}. The end of its log, {}:\n{}", self.log.display(), last.join("\n")))
    }

    /// The beginning of its URLs.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    /// The administrator's key.
    pub(crate) fn key(&self) -> &str {
        &self.key
    }

    /// The file with what it writes.
    pub(crate) fn log(&self) -> String {
        self.log.display().to_string()
    }

    /// Ends the server as an operator would, and removes the state that was made for the show.
    pub(crate) fn stop(mut self) -> Result<(), Stop> {
        // One that Ctrl-C ended already is not there any more.
        let _ = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let began = Instant::now();
        loop {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => break,
                Ok(Some(status)) => return Err(self.failed(&format!("the server failed at shutdown ({status})"))),
                _ if began.elapsed() > STOP_TIMEOUT => {
                    return Err(self.failed(&format!("the server did not stop within {} s", STOP_TIMEOUT.as_secs())));
                }
                _ => std::thread::sleep(Duration::from_millis(20)),
            }
        }
        match self.data.take() {
            Some(data) => std::fs::remove_dir_all(&data).map_err(|error| Stop::file(&data, &error)),
            None => Ok(()),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // After `stop` there is nothing left to end; after a failed show the state stays, to be looked at.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn port(wanted: Option<u16>) -> Result<u16, Stop> {
    if let Some(port) = wanted {
        return Ok(port);
    }
    let free = |port: u16| TcpListener::bind(("127.0.0.1", port)).and_then(|listener| listener.local_addr());
    let address =
        free(DEFAULT_PORT).or_else(|_| free(0)).map_err(|error| Stop::new(format!("no port is free: {error}")))?;
    Ok(address.port())
}

fn random_key() -> Result<String, Stop> {
    let mut bytes = [0_u8; 24];
    getrandom::fill(&mut bytes).map_err(|error| Stop::new(format!("no random bytes: {error}")))?;
    Ok(format!("demo_{}", hex::encode(bytes)))
}
