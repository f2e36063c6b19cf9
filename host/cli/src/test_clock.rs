//! A clock that tests put ahead, so that none of them waits for what is due in an hour: the machine's, and what is added.
//!
//! `HOOKWRIGHT_TEST_CLOCK` is the absolute path of a Unix socket, on which a process that connects sends one line:
//! `by MILLISECONDS` moves the clock, back too; `to TIME` (RFC 3339) puts it ahead to that time, unless it shows a later one.
//! The answer is by how many milliseconds it is ahead, once everything was told to look at it. `SOCKET@MILLISECONDS` is ahead
//! from the start, so that the clock does not go back when a test starts the server again.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hookwright_model::{Clock, SystemClock, Timestamp};
use hookwright_pipeline::Pipeline;

const VARIABLE: &str = "HOOKWRIGHT_TEST_CLOCK";
const REMEDY: &str = "give the absolute path of a Unix socket, such as /tmp/clock, or unset it";

/// A clock for tests.
pub(crate) struct TestClock {
    socket: PathBuf,
    ahead: AtomicI64,
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_millis(SystemClock.now().millis().saturating_add(self.ahead()))
    }
}

impl TestClock {
    /// The clock that the environment asks for. Creates nothing, so that a value that cannot be used leaves nothing behind.
    pub(crate) fn from_environment() -> Result<Option<Arc<Self>>, String> {
        let Some(value) = std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) else { return Ok(None) };
        let value = value.into_string().map_err(|_| format!("{VARIABLE} is not valid UTF-8: {REMEDY}"))?;
        let clock = Self::read(&value)?;
        clock.left_over()?;
        Ok(Some(Arc::new(clock)))
    }

    /// Refuses a server that listens on anything but a loopback address. That does not keep it from production: a server
    /// behind a proxy listens on a loopback address too. So there is a warning as well, since signatures and keys do not
    /// expire when they should if somebody moves the clock.
    pub(crate) fn check_address(&self, address: SocketAddr) -> Result<(), String> {
        if !address.ip().is_loopback() {
            return Err(format!(
                "{VARIABLE} is for tests: unset it, or listen on a loopback address such as 127.0.0.1 and not on {address}"
            ));
        }
        tracing::warn!(
            socket = %self.socket.display(), ahead_ms = self.ahead(),
            "{VARIABLE} is set: this is a server for tests, and any process that can write to the socket can move its clock"
        );
        Ok(())
    }

    /// Strict, since the variable must not take effect by accident: `0` or `false` is not a socket.
    fn read(value: &str) -> Result<Self, String> {
        if !Path::new(value).is_absolute() {
            return Err(format!("{VARIABLE} is `{value}`: {REMEDY}"));
        }
        let (socket, ahead) = match value.rsplit_once('@') {
            Some((socket, ahead)) if !ahead.contains(std::path::is_separator) => {
                let refused =
                    |_| format!("{VARIABLE} is `{value}`: `{ahead}` is not an integer of milliseconds: {REMEDY}");
                (socket, ahead.parse::<i64>().map_err(refused)?)
            }
            _ => (value, 0),
        };
        Ok(Self { socket: socket.into(), ahead: AtomicI64::new(ahead) })
    }

    fn ahead(&self) -> i64 {
        self.ahead.load(Ordering::SeqCst)
    }

    #[cfg(not(unix))]
    fn left_over(&self) -> Result<bool, String> {
        Err(format!("{VARIABLE}: {} cannot be created, since this system has no Unix sockets", self.socket.display()))
    }

    #[cfg(not(unix))]
    pub(crate) fn listen(self: &Arc<Self>, _pipeline: &Arc<Pipeline>) -> Result<(), String> {
        self.left_over().map(|_| ())
    }
}

#[cfg(unix)]
mod moves {
    use std::io::ErrorKind;
    use std::os::unix::fs::FileTypeExt as _;
    use std::sync::Weak;

    use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
    use tokio::net::{UnixListener, UnixStream};

    use super::*;

    /// The longest line that is read.
    const LONGEST: u64 = 100;

    impl TestClock {
        /// Whether an earlier process left its socket at the path. Anything else there is an error: it is not this server's
        /// to remove, whatever the variable names by mistake.
        pub(super) fn left_over(&self) -> Result<bool, String> {
            let socket = self.socket.display();
            match std::fs::symlink_metadata(&self.socket) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                Err(error) => return Err(self.not_created(&error)),
                Ok(found) if !found.file_type().is_socket() => {
                    return Err(format!("{VARIABLE}: {socket} exists and is not a socket: give another path"));
                }
                Ok(_) => {}
            }
            match std::os::unix::net::UnixStream::connect(&self.socket) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(true),
                Err(error) => Err(format!(
                    "{VARIABLE}: {socket} exists, and another process may use it ({error}): give another path"
                )),
                Ok(_) => Err(format!(
                    "{VARIABLE}: another process listens on {socket}: stop that process, or give another path"
                )),
            }
        }

        fn not_created(&self, error: &std::io::Error) -> String {
            format!("{VARIABLE}: {} cannot be created: {error}", self.socket.display())
        }

        /// Takes moves until the server ends. A socket that an earlier process left is replaced.
        pub(crate) fn listen(self: &Arc<Self>, pipeline: &Arc<Pipeline>) -> Result<(), String> {
            // Again, since another process may have started while this one opened its store.
            if self.left_over()? {
                std::fs::remove_file(&self.socket).map_err(|error| self.not_created(&error))?;
            }
            let listener = UnixListener::bind(&self.socket).map_err(|error| self.not_created(&error))?;
            let (clock, pipeline) = (Arc::clone(self), Arc::downgrade(pipeline));
            tokio::spawn(async move {
                while let Ok((stream, _)) = listener.accept().await {
                    let (clock, pipeline) = (Arc::clone(&clock), Weak::clone(&pipeline));
                    tokio::spawn(async move {
                        // Whoever went away without its answer does not need it.
                        let _ = clock.talk(stream, &pipeline).await;
                    });
                }
            });
            Ok(())
        }

        async fn talk(&self, mut stream: UnixStream, pipeline: &Weak<Pipeline>) -> std::io::Result<()> {
            let mut line = String::new();
            BufReader::new((&mut stream).take(LONGEST)).read_line(&mut line).await?;
            let answer = match self.take(line.trim()) {
                None => format!("unknown command `{}`: send `by MILLISECONDS` or `to TIME`\n", line.trim()),
                Some(ahead) => {
                    if let Some(pipeline) = pipeline.upgrade() {
                        pipeline.clock_moved();
                    }
                    format!("{ahead}\n")
                }
            };
            stream.write_all(answer.as_bytes()).await
        }

        /// Moves it; returns how far ahead it is then, or nothing if the line is not a move or goes beyond what the clock
        /// can count, which moves nothing.
        pub(super) fn take(&self, line: &str) -> Option<i64> {
            match line.split_once(' ')? {
                ("by", ms) => {
                    let ms: i64 = ms.parse().ok()?;
                    self.ahead.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |ahead| ahead.checked_add(ms)).ok()?;
                }
                ("to", time) => {
                    let ms = Timestamp::parse(time)?.millis().saturating_sub(SystemClock.now().millis());
                    self.ahead.fetch_max(ms, Ordering::SeqCst);
                }
                _ => return None,
            }
            Some(self.ahead())
        }
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[test]
    fn the_variable_names_the_socket_and_may_say_how_far_ahead_the_clock_is() {
        for (value, socket, ahead) in [
            ("/tmp/clock", "/tmp/clock", 0),
            ("/tmp/clock@1500", "/tmp/clock", 1500),
            ("/tmp/clock@-20", "/tmp/clock", -20),
            ("/tmp/a@b/clock", "/tmp/a@b/clock", 0),
            ("/tmp/a@b@7", "/tmp/a@b", 7),
        ] {
            let clock = TestClock::read(value).unwrap();
            assert_eq!((clock.socket.to_str(), clock.ahead()), (Some(socket), ahead), "{value}");
        }
    }

    #[test]
    fn a_value_that_is_not_an_absolute_path_or_has_no_integer_after_the_at_sign_is_refused() {
        for value in ["0", "1", "false", "clock", "./clock", "clock@5", "@5", " /tmp/clock"] {
            assert_eq!(
                TestClock::read(value).err(),
                Some(format!(
                    "HOOKWRIGHT_TEST_CLOCK is `{value}`: give the absolute path of a Unix socket, such as /tmp/clock, \
                     or unset it"
                ))
            );
        }
        for ahead in ["15s", "", "1.5", " 5", "9223372036854775808"] {
            let value = format!("/tmp/clock@{ahead}");
            let error = TestClock::read(&value).err().unwrap_or_default();
            for part in
                [format!("HOOKWRIGHT_TEST_CLOCK is `{value}`: `{ahead}` is not an integer"), "or unset it".to_owned()]
            {
                assert!(error.contains(&part), "{value}: {error}");
            }
        }
    }

    #[test]
    fn only_a_server_that_listens_on_a_loopback_address_may_have_it() {
        let clock = TestClock::read("/tmp/clock").unwrap();
        for (address, may) in [
            ("127.0.0.1:80", true),
            ("[::1]:80", true),
            ("0.0.0.0:80", false),
            ("[::]:80", false),
            ("192.0.2.1:80", false),
        ] {
            assert_eq!(clock.check_address(address.parse().unwrap()).is_ok(), may, "{address}");
        }
    }

    #[test]
    fn only_a_socket_on_which_nobody_listens_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let clock = |name: &str| TestClock::read(folder.path().join(name).to_str().unwrap()).unwrap();
        assert_eq!(clock("clock").left_over(), Ok(false));
        let listener = std::os::unix::net::UnixListener::bind(folder.path().join("clock")).unwrap();
        assert!(clock("clock").left_over().unwrap_err().contains("another process listens on"));
        drop(listener);
        assert_eq!(clock("clock").left_over(), Ok(true));
        std::fs::write(folder.path().join("file"), "kept").unwrap();
        assert!(clock("file").left_over().unwrap_err().contains("exists and is not a socket"));
        // A link is not followed to what it names.
        std::os::unix::fs::symlink(folder.path().join("clock"), folder.path().join("link")).unwrap();
        assert!(clock("link").left_over().unwrap_err().contains("exists and is not a socket"));
        assert!(clock("file/clock").left_over().unwrap_err().contains("cannot be created"));
    }

    #[test]
    fn a_clock_is_moved_by_a_time_or_ahead_to_one() {
        let clock = TestClock::read("/tmp/clock").unwrap();
        assert_eq!(clock.take("by 90000"), Some(90_000));
        assert_eq!(clock.take("by -30000"), Some(60_000));
        assert_eq!(clock.take("to 2026-01-01T00:00:00Z"), Some(60_000), "it never goes back to a time");
        let later = clock.now().after(std::time::Duration::from_secs(3600));
        clock.take(&format!("to {later}")).unwrap();
        assert!(clock.now() >= later && clock.now().since(later).as_secs() < 60);
        let ahead = clock.ahead();
        for line in ["", "by", "by now", "by 5s", "to tomorrow", "at 5", "BY 5"] {
            assert_eq!(clock.take(line), None, "{line}");
        }
        assert_eq!(clock.ahead(), ahead);
    }

    #[test]
    fn a_move_beyond_what_the_clock_can_count_is_refused_and_moves_nothing() {
        let clock = TestClock::read("/tmp/clock").unwrap();
        assert_eq!(clock.take("by 9223372036854775807"), Some(i64::MAX));
        assert_eq!(clock.take("by 1"), None);
        assert_eq!(clock.ahead(), i64::MAX);
        assert_eq!(clock.take("by -9223372036854775807"), Some(0));
        assert_eq!(clock.take("by -9223372036854775808"), Some(i64::MIN));
        assert_eq!(clock.take("by -1"), None);
        assert_eq!(clock.ahead(), i64::MIN);
    }
}
