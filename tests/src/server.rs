//! The server as a child process on a port and a data directory of its own.

use std::fs::File;
use std::io::ErrorKind;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use serde_json::json;
use tempfile::TempDir;

use crate::client::Client;
use crate::poll::within;
use crate::workspace;

/// The administrator key of the space `main` in every server that the tests start.
pub const ADMIN_KEY: &str = "key-of-the-end-to-end-tests-0001";

/// How long a server may take to start, to stop, or to die.
const PATIENCE: Duration = Duration::from_secs(90);

/// How a server is started.
#[derive(Clone, Debug)]
pub struct Options {
    variables: Vec<(String, String)>,
    flags: Vec<String>,
    cold: bool,
    program: Option<PathBuf>,
}

impl Default for Options {
    fn default() -> Self {
        Self { variables: Vec::new(), flags: Vec::new(), cold: false, program: None }
            .set("HOOKWRIGHT_ADMIN_KEY", ADMIN_KEY)
            .set("HOOKWRIGHT_ALLOW_NETWORKS", "127.0.0.0/8")
            .set("HOOKWRIGHT_ALLOW_HTTP", "true")
            .set("HOOKWRIGHT_RETRY_JITTER", "0")
    }
}

impl Options {
    /// With this variable in the server's environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Without this variable, which is there otherwise.
    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.variables.retain(|(other, _)| other != name);
        self
    }

    /// With this flag on the command line.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.flags.push(flag.to_owned());
        self
    }

    /// With another copy of the binary, started in the folder where it lies.
    #[must_use]
    pub fn program(mut self, program: PathBuf) -> Self {
        self.program = Some(program);
        self
    }

    /// With an empty cache of compiled plugins, as on a new machine.
    #[must_use]
    pub fn cold(mut self) -> Self {
        self.cold = true;
        self
    }
}

/// Ends a process that its [`Server`] still holds, so that the id cannot have become another's.
#[derive(Clone, Copy, Debug)]
pub struct Killer(u32);

impl Killer {
    /// Cuts it off, as a power cut would.
    pub fn kill(self) {
        assert!(Command::new("kill").args(["-KILL", &self.0.to_string()]).status().unwrap().success());
    }
}

/// A running server. It is killed when this is dropped.
pub struct Server {
    options: Options,
    dir: TempDir,
    port: u16,
    process: Mutex<Option<Child>>,
    client: Client,
}

impl Server {
    /// Starts a server on an empty data directory and waits until it serves.
    #[track_caller]
    pub fn start(options: Options) -> Self {
        let dir = tempfile::Builder::new().prefix("hookwright-").tempdir().unwrap();
        let client = Client::new("", None);
        let mut server = Self { options, dir, port: 0, process: Mutex::new(None), client };
        server.launch();
        server
    }

    /// A server with the usual options that the tests of one program share: each takes a space of its own.
    #[track_caller]
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<Server>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(server) = shared.upgrade() {
            return server;
        }
        let server = Arc::new(Self::start(Options::default()));
        *shared = Arc::downgrade(&server);
        server
    }

    /// The administrator of the space `main`.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The administrator of a space that nothing else uses.
    #[track_caller]
    pub fn space(&self, name: &str) -> Client {
        let key = self.client.post("/v1/keys", &json!({"name": "test", "role": "admin", "space": name})).expect(201);
        self.client.with_key(key["key"].as_str().unwrap())
    }

    /// `HOST:PORT`.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// The data directory.
    pub fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// What the server wrote to its log, over all of its starts.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.log_path()).unwrap_or_default()
    }

    /// Asks the server to stop, as an operator would.
    #[track_caller]
    pub fn ask_to_stop(&self) {
        let id = self.process.lock().unwrap().as_ref().map(Child::id).expect("the server runs");
        assert!(Command::new("kill").args(["-TERM", &id.to_string()]).status().unwrap().success());
    }

    /// The same, and waits until it has.
    #[track_caller]
    pub fn stop(&mut self) {
        self.ask_to_stop();
        let status = self.wait();
        assert!(status.success(), "the server ended badly: {status}\n{}", self.log_end());
    }

    /// Cuts the server off, as a power cut would.
    pub fn kill(&mut self) {
        if let Some(mut process) = self.process.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = process.kill();
            let _ = process.wait();
        }
    }

    /// What can cut the server off while others use it.
    pub fn killer(&self) -> Killer {
        Killer(self.process.lock().unwrap().as_ref().map(Child::id).expect("the server runs"))
    }

    /// Whether the process still runs.
    pub fn lives(&self) -> bool {
        self.process.lock().unwrap().as_mut().is_some_and(|process| process.try_wait().unwrap().is_none())
    }

    /// Waits until the process has ended by itself.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut process = self.process.lock().unwrap().take().expect("the server runs");
        within(PATIENCE, || process.try_wait().unwrap().ok_or_else(|| "the server still runs".to_owned()))
    }

    /// Starts it again on the same data, whether it was stopped, killed or still runs.
    #[track_caller]
    pub fn restart(&mut self) {
        self.restart_with(self.options.clone());
    }

    /// The same with other options.
    #[track_caller]
    pub fn restart_with(&mut self, options: Options) {
        self.kill();
        self.options = options;
        self.launch();
    }

    /// Starts it again with other options under which it is bound to die by itself, perhaps before it serves; waits
    /// for that.
    #[track_caller]
    pub fn restart_to_die(&mut self, options: Options) -> ExitStatus {
        self.kill();
        self.options = options;
        self.port = free_port();
        *self.process.lock().unwrap() = Some(self.spawn());
        self.wait()
    }

    #[track_caller]
    fn launch(&mut self) {
        if !self.options.cold {
            share(&workspace::compiled(), &self.data().join("cache"));
        }
        // Another program may take the port between the test of it and its use.
        for _ in 0..5 {
            self.port = free_port();
            self.client = Client::new(&format!("http://{}", self.address()), Some(ADMIN_KEY));
            *self.process.lock().unwrap() = Some(self.spawn());
            if self.comes_up() {
                if !self.options.cold {
                    share(&self.data().join("cache"), &workspace::compiled());
                }
                return;
            }
        }
        panic!("the server does not start:\n{}", self.log_end());
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log_path()).unwrap();
        let mut command = Command::new(self.options.program.clone().unwrap_or_else(workspace::binary));
        if let Some(folder) = self.options.program.as_ref().and_then(|program| program.parent()) {
            command.current_dir(folder);
        }
        command.arg("serve").arg("--data-dir").arg(self.data()).args(["--listen", &self.address()]);
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("HOOKWRIGHT_") {
                command.env_remove(name);
            }
        }
        command
            .args(&self.options.flags)
            .envs(self.options.variables.iter().map(|(name, value)| (name, value)))
            .env("NO_COLOR", "1")
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// Whether it serves; not if it ended because somebody else has the port.
    #[track_caller]
    fn comes_up(&self) -> bool {
        within(PATIENCE, || {
            if !self.lives() {
                let end = self.log_end();
                assert!(end.contains("cannot listen"), "the server ended at once:\n{end}");
                return Ok(false);
            }
            match self.client.try_send("GET", "/healthz", &[], b"") {
                Ok(answer) if answer.status == 200 => Ok(true),
                Ok(answer) => Err(answer.to_string()),
                Err(error) => Err(error),
            }
        })
    }

    fn log_path(&self) -> PathBuf {
        self.dir.path().join("server.log")
    }

    fn log_end(&self) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            eprintln!("--- the end of the server's log ---\n{}\n---", self.log_end());
        } else {
            assert!(!self.log().contains("panicked at"), "the server panicked:\n{}", self.log_end());
        }
    }
}

/// A port below those that the system gives to outgoing connections, on which nobody listens.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let begin = u16::try_from(std::process::id() % 6000).unwrap() * 2;
    for _ in 0..12_000 {
        let port = 20_000 + (begin + NEXT.fetch_add(1, Ordering::Relaxed)) % 12_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no port is free");
}

/// Copies compiled plugins that are not there yet. They are named by their content, so copies never go stale.
fn share(from: &Path, to: &Path) {
    let Ok(files) = std::fs::read_dir(from) else { return };
    std::fs::create_dir_all(to).unwrap();
    for file in files.flatten() {
        let name = file.file_name();
        let target = to.join(&name);
        if !name.to_string_lossy().ends_with(".cwasm") || target.exists() {
            continue;
        }
        let beside = to.join(format!("{}.{}", name.to_string_lossy(), free_port()));
        match std::fs::copy(file.path(), &beside).and_then(|_| std::fs::rename(&beside, &target)) {
            Err(error) if error.kind() != ErrorKind::NotFound => panic!("{}: {error}", target.display()),
            _ => {}
        }
    }
}
