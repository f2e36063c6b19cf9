//! The options of `cargo xtask demo`.

use std::path::PathBuf;

use crate::stop::Stop;

/// What the command line asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// End after the show.
    pub(crate) exit: bool,
    /// The port to listen on; `None`: 8080, or any free one.
    pub(crate) port: Option<u16>,
    /// The data directory; `None`: in the target folder.
    pub(crate) data: Option<PathBuf>,
}

impl Options {
    /// Reads the words after `demo`.
    pub(crate) fn read(words: &[String]) -> Result<Self, Stop> {
        let mut options = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let (name, given) = match word.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (word.as_str(), None),
            };
            let mut value = |what: &str| {
                given.clone().or_else(|| words.next().cloned()).ok_or_else(|| Stop::new(format!("{name} needs {what}")))
            };
            match name {
                "--exit" => options.exit = true,
                "--port" => {
                    let text = value("a port")?;
                    let port = text.parse().ok().filter(|port| *port > 0);
                    options.port =
                        Some(port.ok_or_else(|| Stop::new(format!("--port `{text}`: give a number from 1 to 65535")))?);
                }
                "--data-dir" => options.data = Some(PathBuf::from(value("a folder")?)),
                _ => return Err(Stop::new(format!("unknown option `{word}`: cargo xtask help demo lists them"))),
            }
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, Stop> {
        Options::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    #[test]
    fn options_are_parsed_in_both_forms() {
        let wanted = Options { exit: true, port: Some(81), data: Some("x/y".into()) };
        assert_eq!(read("--exit --port 81 --data-dir x/y"), Ok(wanted.clone()));
        assert_eq!(read("--data-dir=x/y --port=81 --exit"), Ok(wanted));
        assert_eq!(read(""), Ok(Options::default()));
    }

    #[test]
    fn invalid_options_are_rejected_by_name() {
        for (line, part) in [
            ("--port", "needs a port"),
            ("--port 70000", "`70000`"),
            ("--port 0", "`0`"),
            ("exit", "`exit`"),
            ("--quick", "`--quick`"),
        ] {
            let stop = read(line).unwrap_err().to_string();
            assert!(stop.contains(part), "{line}: {stop}");
        }
    }
}
