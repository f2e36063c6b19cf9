//! A run of the benchmarks: its sections one after the other, of one server or of two in alternation.

use serde_json::{Value, json};

use crate::figures::{Series, Sheet};
use crate::machine::Machine;
use crate::options::Options;
use crate::place::Place;
use crate::section::Section;
use crate::{Failed, chart, report};

/// What was measured so far.
pub(crate) struct Session<'o> {
    options: &'o Options,
    machine: Machine,
    series: Vec<Series>,
}

impl<'o> Session<'o> {
    pub(crate) fn new(options: &'o Options) -> Result<Self, Failed> {
        let machine = Machine::look()?;
        println!("{machine}");
        let series = match &options.sides {
            Some(names) => names.iter().map(Series::new).collect(),
            None => vec![Series::new("")],
        };
        Ok(Self { options, machine, series })
    }

    /// Measures each section and prints its tables. A missed goal is an error once all were measured.
    pub(crate) async fn measure(&mut self) -> Result<(), Failed> {
        let options = self.options;
        let places = match &options.sides {
            Some([a, b]) => vec![Place::side("A", a)?, Place::side("B", b)?],
            None => vec![Place::find()?],
        };
        let mut missed = Vec::new();
        for section in &options.sections {
            eprintln!("== {} ==", section.name());
            let printed = self.series.first().map_or(0, |one| one.sheets.len());
            match places.as_slice() {
                [a, b] => self.alternate(*section, [a, b]).await?,
                [only] => {
                    let sheets = section.measure(only, &options.effort).await?;
                    missed.extend(sheets.iter().flat_map(|sheet| sheet.missed.clone()));
                    self.add(0, sheets)?;
                }
                _ => {}
            }
            for table in report::tables(&self.series, printed) {
                print!("{table}");
            }
        }
        if missed.is_empty() { Ok(()) } else { Err(missed.join("; ").into()) }
    }

    /// Each round measures both servers, and each round another one first. Goals are not judged by single rounds.
    async fn alternate(&mut self, section: Section, sides: [&Place; 2]) -> Result<(), Failed> {
        for round in self.options.effort.turns() {
            let effort = self.options.effort.only(round);
            for turn in 0..sides.len() {
                let number = (turn + round) % sides.len();
                let Some(place) = sides.get(number) else { continue };
                eprintln!("{}: round {}, {}", section.name(), round + 1, ["A", "B"].get(number).unwrap_or(&""));
                let sheets = section.measure(place, &effort).await?;
                self.add(number, sheets)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, number: usize, sheets: Vec<Sheet>) -> Result<(), Failed> {
        self.series.get_mut(number).map_or(Ok(()), |series| series.add(sheets))
    }

    /// Writes the files that were asked for, if anything was measured.
    pub(crate) fn write(&self) -> Result<(), Failed> {
        if self.series.iter().all(|one| one.sheets.is_empty()) {
            return Ok(());
        }
        if let Some(file) = &self.options.json {
            let mut about = self.machine.as_json();
            let sections = self.options.sections.iter().map(|section| section.name());
            let mut settings = self.options.effort.settings();
            if let Some(settings) = settings.as_object_mut() {
                settings.insert("sections".to_owned(), sections.map(Value::from).collect());
                settings.insert("compares".to_owned(), json!(self.options.sides));
            }
            about.insert("settings".to_owned(), settings);
            let text = serde_json::to_string_pretty(&report::as_json(about, &self.series))?;
            write(file, &format!("{text}\n"))?;
        }
        if let Some(file) = &self.options.chart {
            write(file, &chart::svg(&self.machine.to_string(), &self.series))?;
        }
        Ok(())
    }
}

fn write(file: &std::path::Path, text: &str) -> Result<(), Failed> {
    std::fs::write(file, text).map_err(|error| format!("{}: {error}", file.display()))?;
    eprintln!("wrote {}", file.display());
    Ok(())
}
