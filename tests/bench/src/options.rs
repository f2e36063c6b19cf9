//! What the command line asks for.

use std::time::Duration;

use crate::Failed;

pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [--quick] [SECTION..]

Sections: accept, pipeline, hot, call, languages, swap, start, many, deliver, match, records, share. None named: all of them.

  --quick   fewer and shorter rounds: to see that it works, not to quote

It starts servers and load on loopback only, and writes beside its own program, in a folder that it removes.
";

/// One part of the measurements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Section {
    Accept,
    Pipeline,
    Hot,
    Call,
    Languages,
    Swap,
    Start,
    Many,
    Deliver,
    Match,
    Records,
    Share,
}

impl Section {
    const ALL: [Self; 12] = [
        Self::Accept,
        Self::Pipeline,
        Self::Hot,
        Self::Call,
        Self::Languages,
        Self::Swap,
        Self::Start,
        Self::Many,
        Self::Deliver,
        Self::Match,
        Self::Records,
        Self::Share,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Accept => "accept",
            Self::Pipeline => "pipeline",
            Self::Hot => "hot",
            Self::Call => "call",
            Self::Languages => "languages",
            Self::Swap => "swap",
            Self::Start => "start",
            Self::Many => "many",
            Self::Deliver => "deliver",
            Self::Match => "match",
            Self::Records => "records",
            Self::Share => "share",
        }
    }
}

/// How long and how often is measured.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Effort {
    /// Rounds of each comparison.
    pub(crate) rounds: usize,
    /// How long one round loads one server.
    pub(crate) load: Duration,
    /// How long it does before it counts.
    pub(crate) warm_up: Duration,
    /// Calls of a plugin in one round of one thread.
    pub(crate) calls: usize,
}

const FULL: Effort =
    Effort { rounds: 7, load: Duration::from_millis(2500), warm_up: Duration::from_millis(500), calls: 5000 };
const QUICK: Effort =
    Effort { rounds: 3, load: Duration::from_millis(700), warm_up: Duration::from_millis(200), calls: 500 };

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) effort: Effort,
    pub(crate) sections: Vec<Section>,
}

impl Options {
    pub(crate) fn read(words: &[String]) -> Result<Self, Failed> {
        let mut options = Self { effort: FULL, sections: Vec::new() };
        for word in words {
            if word == "--quick" {
                options.effort = QUICK;
                continue;
            }
            let section = Section::ALL.into_iter().find(|section| section.name() == word);
            options.sections.push(section.ok_or_else(|| format!("there is no section `{word}`\n\n{HELP}"))?);
        }
        if options.sections.is_empty() {
            options.sections = Section::ALL.to_vec();
        }
        Ok(options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Options, Failed> {
        Options::read(&words.iter().map(ToString::to_string).collect::<Vec<_>>())
    }

    #[test]
    fn no_section_named_means_all() {
        assert_eq!(read(&["--quick"]).unwrap().sections, Section::ALL);
        assert_eq!(read(&["swap", "call"]).unwrap().sections, [Section::Swap, Section::Call]);
        assert!(read(&["acept"]).unwrap_err().to_string().contains("`acept`"));
    }
}
