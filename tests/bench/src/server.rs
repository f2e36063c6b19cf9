//! Servers as child processes: Hookwright, and the bare ones that it is compared with.

use std::fs::{File, read_to_string};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::Failed;
use crate::bare_server::Kind;
use crate::client::{Connection, KEY, request};
use crate::machine::number_after;
use crate::place::Place;
use crate::worker;

/// How long a server may take until it serves, or until it has ended.
const PATIENCE: Duration = Duration::from_secs(120);
/// How long a server must use next to no processor to be idle.
const QUIET: Duration = Duration::from_millis(500);
/// Clock ticks a second in `/proc/PID/stat` (`USER_HZ`, which is 100 wherever Linux runs).
const TICKS: f64 = 100.0;

/// A running server. It is ended when this is dropped.
pub(crate) struct Server {
    child: Child,
    log: PathBuf,
    started: Instant,
    pub(crate) address: SocketAddr,
}

impl Server {
    /// Hookwright, with its data in `home/data`.
    pub(crate) fn hookwright(place: &Place, home: &Path) -> Result<Self, Failed> {
        let mut command = Command::new(&place.binary);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOOKWRIGHT_") {
                command.env_remove(name);
            }
        }
        command
            .env("HOOKWRIGHT_ADMIN_KEY", KEY)
            .env("HOOKWRIGHT_LOG", "warn")
            .env("HOOKWRIGHT_ALLOW_HTTP", "true")
            .env("HOOKWRIGHT_ALLOW_NETWORKS", "127.0.0.0/8")
            .stdin(Stdio::null());
        let address = free_address()?;
        command.arg("serve").arg("--data-dir").arg(home.join("data")).arg("--listen").arg(address.to_string());
        Self::start(command, home, address)
    }

    /// The same, once its plugins are compiled and loaded: otherwise that takes the processors while it is measured. Each
    /// program compiles them once.
    pub(crate) async fn settled(place: &Place, home: &Path) -> Result<Self, Failed> {
        let cache = home.join("data").join("cache");
        copy_files(place.compiled.path(), &cache)?;
        let mut server = Self::hookwright(place, home)?;
        server.serving().await?;
        let readyz = request("GET", "/readyz", "text/plain", b"");
        let mut connection = Connection::open(server.address).await?;
        loop {
            let settled = match connection.exchange(&readyz).await?.status {
                200 => true,
                // A version from before `/readyz`, which `compare` may be given.
                404 => server.idles().await?,
                _ => false,
            };
            if settled {
                break;
            }
            if server.started.elapsed() > PATIENCE {
                return Err(server.complaint("does not load its plugins in time"));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        copy_files(&cache, place.compiled.path())?;
        Ok(server)
    }

    /// A bare server, with its data in `home`.
    pub(crate) fn bare(kind: Kind, home: &Path) -> Result<Self, Failed> {
        let address = free_address()?;
        let command = worker::command(&["serve", kind.name(), &address.to_string(), &home.to_string_lossy()])?;
        Self::start(command, home, address)
    }

    fn start(mut command: Command, home: &Path, address: SocketAddr) -> Result<Self, Failed> {
        let log = home.join("server.log");
        let out = File::create(&log)?;
        let err = out.try_clone()?;
        let started = Instant::now();
        let child = command.stdout(out).stderr(err).spawn()?;
        Ok(Self { child, log, started, address })
    }

    /// Waits until it answers; returns how long that took from its start.
    pub(crate) async fn serving(&mut self) -> Result<Duration, Failed> {
        let healthz = request("GET", "/healthz", "text/plain", b"");
        loop {
            let answered =
                async { Connection::open(self.address).await?.exchange(&healthz).await.map(|answer| answer.status) };
            match answered.await {
                Ok(200..=299) => return Ok(self.started.elapsed()),
                Ok(status) => return Err(self.complaint(&format!("answered {status} to /healthz"))),
                Err(_) => {}
            }
            if let Some(status) = self.child.try_wait()? {
                return Err(self.complaint(&format!("ended with {status}")));
            }
            if self.started.elapsed() > PATIENCE {
                return Err(self.complaint("does not serve in time"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Whether it uses next to no processor for a while, which it does once its plugins are compiled.
    async fn idles(&self) -> Result<bool, Failed> {
        let before = self.processor_time()?;
        tokio::time::sleep(QUIET).await;
        Ok(self.processor_time()?.saturating_sub(before) <= QUIET / 50)
    }

    fn complaint(&self, what: &str) -> Failed {
        let log = read_to_string(&self.log).unwrap_or_default();
        format!("the server {what}; its log:\n{log}").into()
    }

    /// Processor time used so far, by all of its threads.
    pub(crate) fn processor_time(&self) -> Result<Duration, Failed> {
        let stat = read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name, in brackets, may hold anything. After it come state (field 3) and the rest; 14 and 15 are the times.
        let rest = stat.rsplit_once(')').map(|(_, rest)| rest).unwrap_or_default();
        let ticks: f64 = rest.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<f64>().ok()).sum();
        Ok(Duration::from_secs_f64(ticks / TICKS))
    }

    /// A line of `/proc/PID/status`, in KiB.
    pub(crate) fn status_kib(&self, name: &str) -> Result<f64, Failed> {
        let status = read_to_string(format!("/proc/{}/status", self.child.id()))?;
        number_after(&status, name).ok_or_else(|| format!("there is no {name} in its status").into())
    }

    /// Tells it to stop and waits until it has; returns how long that took.
    pub(crate) async fn stop(mut self) -> Result<Duration, Failed> {
        let start = Instant::now();
        // The shell has `kill` built in, and the standard library has no signals but one.
        Command::new("sh").arg("-c").arg(format!("kill -TERM {}", self.child.id())).status()?;
        while self.child.try_wait()?.is_none() {
            if start.elapsed() > PATIENCE {
                return Err(self.complaint("does not stop"));
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(start.elapsed())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Copies what is in one folder and not in the other.
fn copy_files(from: &Path, to: &Path) -> Result<(), Failed> {
    std::fs::create_dir_all(to)?;
    for file in std::fs::read_dir(from)? {
        let file = file?;
        let copy = to.join(file.file_name());
        if file.file_type()?.is_file() && !copy.exists() {
            std::fs::copy(file.path(), copy)?;
        }
    }
    Ok(())
}

/// An address on loopback where nobody listens.
pub(crate) fn free_address() -> Result<SocketAddr, Failed> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}
