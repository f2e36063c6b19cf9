//! What the command line asks for.

use std::ops::Range;
use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use crate::Failed;
use crate::schedule::{Arrivals, Pace};
use crate::section::Section;

pub(crate) const HELP: &str = "\
Usage: cargo xtask bench [OPTIONS] [SECTION..]
       cargo xtask bench compare A B [OPTIONS] [SECTION..]

Sections: accept, pipeline, hot, call, languages, swap, start, many, deliver, match, records, share, stored. None named: all of them.

`compare` measures two servers in alternation in one run (A B, B A, ..) and prints for each figure A, B and B/A. A and B are
commits, which are built in target/bench/COMMIT, or paths of `hookwright` binaries. Sections: those that measure the server
as a process, which are accept, pipeline, hot, start, deliver, match, records, share and stored. None named: all of these.

  --quick             shorter rounds and smaller sizes: to see that it works, not to quote
  --rounds N          rounds, which take turns: 1 to 50 (default 3)
  --seconds S         how long a round loads a server: 0.1 to 60 (default 2.5; quick: 0.7)
  --warm-up S         how long it does so before it counts: 0 to 60 (default 0.5; quick: 0.2)
  --rates N[,N..]     the rates of the open loop of `accept` in events/s: 1 to 100000 each, at most 8 (default 1000,5000)
  --arrivals KIND     intervals of the open loop: constant or exponential (default exponential)
  --seed N            seed of the exponential intervals: 0 to 4294967295 (default 1)
  --limit MINUTES     ends the run after so many minutes: 1 to 1440 (default 180)
  --json FILE         writes the machine, the commit, the settings and every figure as JSON
  --chart FILE        writes the figures as bar charts in SVG

Each figure is the median of the rounds, with the least and the greatest in brackets.
It starts servers and load on loopback only, and writes beside its own program, in a folder that it removes.
";

/// The most rates of the open loop.
const MAX_RATES: usize = 8;
/// How many events a second `deliver` sends in its open loop.
const DELIVER_RATE: u32 = 100;

/// How long and how often is measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Effort {
    /// Whether the sizes are those to be quoted.
    pub(crate) full: bool,
    /// The number of the first round, from 0.
    pub(crate) first: usize,
    /// Rounds of each comparison.
    pub(crate) rounds: usize,
    /// How long one round loads one server.
    pub(crate) load: Duration,
    /// How long it does before it counts.
    pub(crate) warm_up: Duration,
    /// Calls of a plugin in one round of one thread.
    pub(crate) calls: usize,
    /// Set rates of events a second.
    pub(crate) rates: Vec<u32>,
    arrivals: Arrivals,
    seed: u32,
}

impl Effort {
    fn new(full: bool) -> Self {
        let (load, warm_up, calls) = if full { (2500, 500, 5000) } else { (700, 200, 500) };
        Self {
            full,
            first: 0,
            rounds: 3,
            load: Duration::from_millis(load),
            warm_up: Duration::from_millis(warm_up),
            calls,
            rates: vec![1000, 5000],
            arrivals: Arrivals::Exponential,
            seed: 1,
        }
    }

    /// The numbers of its rounds, which say who begins.
    pub(crate) fn turns(&self) -> Range<usize> {
        self.first..self.first.saturating_add(self.rounds)
    }

    /// One of its rounds.
    pub(crate) fn only(&self, round: usize) -> Self {
        Self { first: round, rounds: 1, ..self.clone() }
    }

    /// The open loop of a round at a rate: the same times for everything that is compared in this round.
    pub(crate) fn pace(&self, rate: u32, round: usize) -> Pace {
        Pace { rate, arrivals: self.arrivals, seed: u64::from(self.seed).wrapping_add(round as u64) }
    }

    /// The open loop of `deliver`.
    pub(crate) fn deliver_pace(&self, round: usize) -> Pace {
        self.pace(DELIVER_RATE, round)
    }

    /// What it was set to, for reports.
    pub(crate) fn settings(&self) -> Value {
        json!({
            "quick": !self.full,
            "rounds": self.rounds,
            "seconds": self.load.as_secs_f64(),
            "warm_up_seconds": self.warm_up.as_secs_f64(),
            "rates": self.rates,
            "arrivals": self.arrivals.name(),
            "seed": self.seed,
        })
    }
}

/// The command line, read.
#[derive(Debug)]
pub(crate) struct Options {
    pub(crate) effort: Effort,
    pub(crate) sections: Vec<Section>,
    /// The two servers that are compared, as they were named.
    pub(crate) sides: Option<[String; 2]>,
    pub(crate) json: Option<PathBuf>,
    pub(crate) chart: Option<PathBuf>,
    /// After how long the run ends.
    pub(crate) limit: Duration,
}

impl Options {
    pub(crate) fn read(words: &[String]) -> Result<Self, Failed> {
        let (sides, rest) = match words {
            [first, a, b, rest @ ..] if first == "compare" && ![a, b].iter().any(|side| side.starts_with('-')) => {
                (Some([a.clone(), b.clone()]), rest)
            }
            [first, ..] if first == "compare" => {
                return Err(
                    "`compare`: two commits or paths of binaries expected next, as in `compare main HEAD`".into()
                );
            }
            _ => (None, words),
        };
        let effort = Effort::new(!rest.iter().any(|word| word == "--quick"));
        let limit = Duration::from_mins(180);
        let mut options = Self { effort, sections: Vec::new(), sides, json: None, chart: None, limit };
        let mut rest = rest.iter();
        while let Some(word) = rest.next() {
            if word.starts_with('-') {
                options.set(word, &mut rest)?;
            } else {
                options.select(word)?;
            }
        }
        if options.sections.is_empty() {
            let compares = options.sides.is_some();
            let wanted = |section: &Section| !compares || section.incomparable().is_none();
            options.sections = Section::ALL.into_iter().filter(wanted).collect();
        }
        Ok(options)
    }

    /// Reads an option, and its value from `rest`.
    fn set<'w>(&mut self, option: &str, rest: &mut impl Iterator<Item = &'w String>) -> Result<(), Failed> {
        if option == "--quick" {
            return Ok(());
        }
        let mut value = |expected: &str| {
            let next = rest.next().filter(|value| !value.starts_with("--"));
            next.ok_or_else(|| format!("`{option}` has no value: {expected} expected"))
        };
        match option {
            "--rounds" => self.effort.rounds = usize::try_from(whole(option, value("a number of rounds")?, 1, 50)?)?,
            "--seconds" => self.effort.load = seconds(option, value("a number of seconds")?, 0.1)?,
            "--warm-up" => self.effort.warm_up = seconds(option, value("a number of seconds")?, 0.0)?,
            "--rates" => self.effort.rates = rates(option, value("rates in events/s")?)?,
            "--arrivals" => self.effort.arrivals = arrivals(option, value("`constant` or `exponential`")?)?,
            "--seed" => self.effort.seed = whole(option, value("a whole number")?, 0, u32::MAX)?,
            "--limit" => {
                let minutes = whole(option, value("a number of minutes")?, 1, 1440)?;
                self.limit = Duration::from_mins(u64::from(minutes));
            }
            "--json" => self.json = Some(value("a file")?.into()),
            "--chart" => self.chart = Some(value("a file")?.into()),
            _ => return Err(format!("unknown option `{option}`\n\n{HELP}").into()),
        }
        Ok(())
    }

    fn select(&mut self, name: &str) -> Result<(), Failed> {
        let section = Section::ALL.into_iter().find(|section| section.name() == name);
        let section = section
            .ok_or_else(|| format!("unknown section `{name}`; the sections are {}", Section::names(|_| true)))?;
        if let (Some(why), true) = (section.incomparable(), self.sides.is_some()) {
            let others = Section::names(|section| section.incomparable().is_none());
            return Err(format!("`{name}` cannot be compared: {why}. Compare one of {others}").into());
        }
        if !self.sections.contains(&section) {
            self.sections.push(section);
        }
        Ok(())
    }
}

fn whole(option: &str, text: &str, least: u32, most: u32) -> Result<u32, Failed> {
    let number: Option<u32> = text.parse().ok().filter(|number| (least..=most).contains(number));
    number.ok_or_else(|| format!("`{option} {text}`: a whole number from {least} to {most} expected").into())
}

fn seconds(option: &str, text: &str, least: f64) -> Result<Duration, Failed> {
    const MOST: f64 = 60.0;
    let number: Option<f64> = text.parse().ok().filter(|number| (least..=MOST).contains(number));
    let number = number.ok_or_else(|| format!("`{option} {text}`: seconds from {least} to {MOST} expected"))?;
    Ok(Duration::from_secs_f64(number))
}

fn rates(option: &str, text: &str) -> Result<Vec<u32>, Failed> {
    let rates: Vec<u32> = text.split(',').map(|rate| whole(option, rate, 1, 100_000)).collect::<Result<_, _>>()?;
    if rates.len() > MAX_RATES {
        return Err(format!("`{option} {text}`: at most {MAX_RATES} rates expected, not {}", rates.len()).into());
    }
    Ok(rates)
}

fn arrivals(option: &str, text: &str) -> Result<Arrivals, Failed> {
    let kind = Arrivals::ALL.into_iter().find(|kind| kind.name() == text);
    kind.ok_or_else(|| format!("`{option} {text}`: `constant` or `exponential` expected").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Options, Failed> {
        Options::read(&line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
    }

    fn error(line: &str) -> String {
        read(line).unwrap_err().to_string()
    }

    #[test]
    fn no_section_named_means_all() {
        assert_eq!(read("--quick").unwrap().sections, Section::ALL);
        assert_eq!(read("swap call swap").unwrap().sections, [Section::Swap, Section::Call]);
        assert!(error("acept").contains("`acept`"));
        assert!(error("acept").contains("accept, pipeline"));
    }

    #[test]
    fn options_override_what_quick_sets_whatever_their_order() {
        let quick = read("accept --quick").unwrap().effort;
        assert_eq!((quick.full, quick.rounds, quick.load), (false, 3, Duration::from_millis(700)));
        for line in ["--seconds 4 --quick", "--quick --seconds 4"] {
            let effort = read(line).unwrap().effort;
            assert_eq!((effort.load, effort.warm_up), (Duration::from_secs(4), quick.warm_up));
        }
        let options = read(
            "--rounds 5 --warm-up 0 --rates 10,20 --arrivals constant --seed 9 --limit 2 --json a.json --chart b.svg",
        );
        let options = options.unwrap();
        assert_eq!((options.effort.turns(), options.effort.warm_up), (0..5, Duration::ZERO));
        assert_eq!(options.effort.rates, [10, 20]);
        assert_eq!(options.effort.pace(10, 3), Pace { rate: 10, arrivals: Arrivals::Constant, seed: 12 });
        assert_eq!(options.effort.only(4).turns(), 4..5);
        assert_eq!(options.limit, Duration::from_secs(120));
        assert_eq!((options.json, options.chart), (Some("a.json".into()), Some("b.svg".into())));
    }

    #[test]
    fn an_invalid_option_is_reported_with_its_value_and_what_is_allowed() {
        for (line, expected) in [
            ("--rounds 0", "`--rounds 0`: a whole number from 1 to 50 expected"),
            ("--rounds many", "`--rounds many`: a whole number from 1 to 50 expected"),
            ("--seconds 61", "`--seconds 61`: seconds from 0.1 to 60 expected"),
            ("--warm-up NaN", "`--warm-up NaN`: seconds from 0 to 60 expected"),
            ("--rates 10,0", "`--rates 0`: a whole number from 1 to 100000 expected"),
            ("--rates 1,2,3,4,5,6,7,8,9", "`--rates 1,2,3,4,5,6,7,8,9`: at most 8 rates expected, not 9"),
            ("--arrivals poisson", "`--arrivals poisson`: `constant` or `exponential` expected"),
            ("--seed -1", "`--seed -1`: a whole number from 0 to 4294967295 expected"),
            ("--limit 0", "`--limit 0`: a whole number from 1 to 1440 expected"),
            ("--json", "`--json` has no value: a file expected"),
            ("--chart --quick", "`--chart` has no value: a file expected"),
        ] {
            assert_eq!(error(line), expected);
        }
        assert!(error("--fast").starts_with("unknown option `--fast`"));
    }

    #[test]
    fn sections_that_link_the_host_are_not_compared() {
        let options = read("compare main /tmp/hookwright accept --rounds 2").unwrap();
        assert_eq!(options.sides, Some(["main".to_owned(), "/tmp/hookwright".to_owned()]));
        assert_eq!(options.sections, [Section::Accept]);
        let all = read("compare a b").unwrap().sections;
        assert!(all.contains(&Section::Share) && !all.contains(&Section::Call) && all.len() == 9);
        let refused = error("compare a b call");
        assert!(refused.contains("`call` cannot be compared") && refused.contains("accept"), "{refused}");
        for line in ["compare", "compare a", "compare a --quick", "compare --quick a b"] {
            assert!(error(line).starts_with("`compare`: two commits"), "{line}");
        }
    }

    #[test]
    fn the_help_text_names_every_section_and_the_limits() {
        assert!(HELP.contains(&Section::names(|_| true)));
        for section in Section::ALL.into_iter().filter(|section| section.incomparable().is_none()) {
            assert!(HELP.matches(section.name()).count() >= 2, "{}", section.name());
        }
    }
}
