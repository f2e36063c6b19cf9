//! The clock of a server that was started with [`crate::Options::clock`], and the times that servers show.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

/// How long the server may take to answer.
const PATIENCE: Duration = Duration::from_secs(90);

/// Sends a line to the socket on which a server's clock is moved; returns the answer.
#[track_caller]
pub fn send(socket: &Path, line: &str) -> String {
    let ask = || {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.write_all(format!("{line}\n").as_bytes())?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok::<String, std::io::Error>(answer)
    };
    ask().unwrap_or_else(|error| panic!("{}: `{line}`: {error}", socket.display()))
}

/// Sends a move to a server; returns by how many milliseconds its clock is ahead then. The server has been told by then.
#[track_caller]
pub(crate) fn move_clock(socket: &Path, line: &str) -> i64 {
    let answer = send(socket, line);
    answer.trim().parse().unwrap_or_else(|_| panic!("`{line}` was answered with `{answer}`"))
}

/// A time as the API shows it, such as `2026-01-02T03:04:05.678Z`, in milliseconds since 1970.
#[track_caller]
pub fn millis(time: &Value) -> i64 {
    let text = time.as_str().unwrap_or_else(|| panic!("{time} is no time"));
    let (whole, fraction) = text.trim_end_matches('Z').split_once('.').unwrap_or((text.trim_end_matches('Z'), "0"));
    let numbers: Vec<i64> = whole
        .split(['-', 'T', ':'])
        .map(|number| number.parse().unwrap_or_else(|_| panic!("{text} is no time in UTC")))
        .collect();
    let [year, month, day, hour, minute, second] = numbers[..] else { panic!("{text} is no time in UTC") };
    let fraction: i64 = format!("{fraction:0<3}")[..3].parse().unwrap();
    // Years begin in March, so that a leap day is the last one.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 719_468;
    (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + fraction
}

/// How much later one time is than another, as the API shows them.
#[track_caller]
pub fn between(earlier: &Value, later: &Value) -> Duration {
    let passed = millis(later) - millis(earlier);
    Duration::from_millis(u64::try_from(passed).unwrap_or_else(|_| panic!("{later} is before {earlier}")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_time_is_read_to_the_millisecond() {
        for (time, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("2022-04-07T21:39:13.042Z", 1_649_367_553_042),
            ("2024-02-29T23:59:59.9Z", 1_709_251_199_900),
            ("2024-03-01T00:00:00.000Z", 1_709_251_200_000),
        ] {
            assert_eq!(millis(&json!(time)), expected, "{time}");
        }
        let (earlier, later) = (json!("2025-12-31T23:59:59.5Z"), json!("2026-01-01T00:00:01Z"));
        assert_eq!(between(&earlier, &later), Duration::from_millis(1500));
    }
}
