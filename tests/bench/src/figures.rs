//! What a section found: sheets of rows of figures. Tables, JSON, charts and comparisons are all made from them.

use crate::Failed;
use crate::latencies::Latencies;
use crate::statistics::Summary;
use crate::table::{count, short};

/// What a figure counts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unit {
    pub(crate) text: &'static str,
    /// Whether values are whole numbers.
    whole: bool,
}

impl Unit {
    pub(crate) const MILLIS: Self = Self::new("ms");
    pub(crate) const MICROS: Self = Self::new("us");
    pub(crate) const SECONDS: Self = Self::new("s");
    pub(crate) const MEBIBYTES: Self = Self::new("MiB");
    pub(crate) const KIBIBYTES: Self = Self::new("KiB");
    /// One thing divided by another.
    pub(crate) const RATIO: Self = Self::new("");
    pub(crate) const BYTES: Self = Self::whole("bytes");
    pub(crate) const EVENTS_PER_SECOND: Self = Self::whole("events/s");

    pub(crate) const fn new(text: &'static str) -> Self {
        Self { text, whole: false }
    }

    /// A unit of things that are counted.
    pub(crate) const fn whole(text: &'static str) -> Self {
        Self { text, whole: true }
    }

    /// A value as a person reads it, without the unit.
    pub(crate) fn shown(self, value: f64) -> String {
        if self.whole || value >= 1000.0 { count(value) } else { short(value) }
    }
}

/// One value, once for each round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) unit: Unit,
    pub(crate) rounds: Vec<f64>,
}

impl Figure {
    pub(crate) fn summary(&self) -> Summary {
        Summary::of(&self.rounds)
    }

    /// Name and unit.
    pub(crate) fn heading(&self) -> String {
        match (self.name.as_str(), self.unit.text) {
            (name, "") => name.to_owned(),
            // `rate events/s` says it twice.
            ("rate", unit) => unit.to_owned(),
            (name, unit) => format!("{name} {unit}"),
        }
    }

    /// The median, and the least and the greatest round where they can be told apart.
    pub(crate) fn shown(&self) -> String {
        let summary = self.summary();
        let [median, least, greatest] =
            [summary.median, summary.least, summary.greatest].map(|value| self.unit.shown(value));
        if least == greatest { median } else { format!("{median} ({least} to {greatest})") }
    }
}

/// The figures of one thing that was measured.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Row {
    /// What tells it from the other rows of the sheet.
    pub(crate) labels: Vec<String>,
    pub(crate) figures: Vec<Figure>,
    /// The latencies of all rounds, where latencies were measured.
    pub(crate) latencies: Option<Latencies>,
}

impl Row {
    pub(crate) fn new<const N: usize>(labels: [String; N]) -> Self {
        Self { labels: labels.into(), figures: Vec::new(), latencies: None }
    }

    #[must_use]
    pub(crate) fn with(mut self, name: &str, unit: Unit, rounds: Vec<f64>) -> Self {
        self.figures.push(Figure { name: name.to_owned(), unit, rounds });
        self
    }

    /// A value that is the same in each round, or is taken once.
    #[must_use]
    pub(crate) fn with_one(self, name: &str, unit: Unit, value: f64) -> Self {
        self.with(name, unit, vec![value])
    }

    /// The percentiles of each round, in milliseconds.
    pub(crate) fn with_latencies<'a>(self, rounds: impl IntoIterator<Item = &'a Latencies>) -> Result<Self, Failed> {
        self.with_percentiles(Unit::MILLIS, 1.0, rounds)
    }

    /// The percentiles of each round, in microseconds.
    pub(crate) fn with_short_latencies<'a>(
        self,
        rounds: impl IntoIterator<Item = &'a Latencies>,
    ) -> Result<Self, Failed> {
        self.with_percentiles(Unit::MICROS, 1e3, rounds)
    }

    fn with_percentiles<'a>(
        mut self,
        unit: Unit,
        per_milli: f64,
        rounds: impl IntoIterator<Item = &'a Latencies>,
    ) -> Result<Self, Failed> {
        let rounds: Vec<&Latencies> = rounds.into_iter().collect();
        let merged = Latencies::merged(rounds.iter().copied())?;
        let each: Vec<_> = rounds.iter().map(|round| round.percentiles()).collect();
        for (place, (name, _)) in merged.percentiles().into_iter().enumerate() {
            let values = each.iter().filter_map(|round| round.get(place)).map(|(_, millis)| millis * per_milli);
            self = self.with(name, unit, values.collect());
        }
        self.latencies = Some(merged);
        Ok(self)
    }

    /// The rounds of one of its figures.
    pub(crate) fn rounds(&self, name: &str) -> &[f64] {
        self.figures
            .iter()
            .find(|figure| figure.name == name)
            .map(|figure| figure.rounds.as_slice())
            .unwrap_or_default()
    }

    fn absorb(&mut self, more: Self) -> Result<(), Failed> {
        for figure in more.figures {
            match self.figures.iter_mut().find(|own| own.name == figure.name) {
                Some(own) => own.rounds.extend(figure.rounds),
                None => self.figures.push(figure),
            }
        }
        self.latencies = match (self.latencies.take(), more.latencies) {
            (Some(own), Some(more)) => Some(Latencies::merged([&own, &more])?),
            (own, more) => own.or(more),
        };
        Ok(())
    }
}

/// A table of rows.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Sheet {
    pub(crate) section: &'static str,
    pub(crate) title: String,
    /// What the labels of a row say.
    pub(crate) heads: Vec<&'static str>,
    pub(crate) rows: Vec<Row>,
    /// The goals that were missed.
    pub(crate) missed: Vec<String>,
}

impl Sheet {
    /// `heads` says what each label of a row is.
    pub(crate) fn new(section: &'static str, title: impl Into<String>, heads: &[&'static str]) -> Self {
        Self { section, title: title.into(), heads: heads.to_vec(), rows: Vec::new(), missed: Vec::new() }
    }

    /// A sheet with one row.
    pub(crate) fn single(section: &'static str, title: impl Into<String>, head: &'static str, row: Row) -> Self {
        Self { rows: vec![row], ..Self::new(section, title, &[head]) }
    }

    /// Its columns: a figure for each name that a row has.
    pub(crate) fn columns(&self) -> Vec<&Figure> {
        let mut found: Vec<&Figure> = Vec::new();
        for figure in self.rows.iter().flat_map(|row| &row.figures) {
            if !found.iter().any(|other| other.name == figure.name) {
                found.push(figure);
            }
        }
        found
    }

    /// Adds the rounds of another run of the same measurement.
    fn absorb(&mut self, more: Self) -> Result<(), Failed> {
        for row in more.rows {
            match self.rows.iter_mut().find(|own| own.labels == row.labels) {
                Some(own) => own.absorb(row)?,
                None => self.rows.push(row),
            }
        }
        Ok(())
    }
}

/// What was found out about one server.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Series {
    /// What the server is called in reports; empty where there is only one.
    pub(crate) name: String,
    pub(crate) sheets: Vec<Sheet>,
}

impl Series {
    pub(crate) fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), sheets: Vec::new() }
    }

    /// Adds sheets; those of the same title are rounds of the same measurement.
    pub(crate) fn add(&mut self, sheets: Vec<Sheet>) -> Result<(), Failed> {
        for sheet in sheets {
            let same = |own: &&mut Sheet| own.section == sheet.section && own.title == sheet.title;
            match self.sheets.iter_mut().find(same) {
                Some(own) => own.absorb(sheet)?,
                None => self.sheets.push(sheet),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn latencies(millis: u64) -> Latencies {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_millis(millis));
        latencies
    }

    fn sheet(rate: f64, millis: u64) -> Sheet {
        let row = Row::new(["16".to_owned()]).with("rate", Unit::EVENTS_PER_SECOND, vec![rate]);
        let row = row.with_latencies([&latencies(millis)]).unwrap();
        Sheet::single("accept", "Accepting", "connections", row)
    }

    #[test]
    fn a_figure_is_shown_with_the_spread_of_its_rounds() {
        let figure = |rounds: &[f64], unit| Figure { name: "p50".to_owned(), unit, rounds: rounds.to_vec() };
        assert_eq!(figure(&[1.0, 3.0, 2.0], Unit::MILLIS).shown(), "2.00 (1.00 to 3.00)");
        assert_eq!(figure(&[12_345.4], Unit::EVENTS_PER_SECOND).shown(), "12,345");
        assert_eq!(figure(&[8.0, 8.0], Unit::whole("plugins")).shown(), "8");
        assert_eq!(figure(&[], Unit::MILLIS).shown(), "0.00");
    }

    #[test]
    fn a_heading_names_the_unit_once() {
        let heading = |name: &str, unit| Figure { name: name.to_owned(), unit, rounds: Vec::new() }.heading();
        assert_eq!(heading("rate", Unit::EVENTS_PER_SECOND), "events/s");
        assert_eq!(heading("p50", Unit::MILLIS), "p50 ms");
        assert_eq!(heading("beside the journal", Unit::RATIO), "beside the journal");
    }

    #[test]
    fn rounds_of_the_same_measurement_are_joined() {
        let mut series = Series::new("");
        series.add(vec![sheet(100.0, 2)]).unwrap();
        series.add(vec![sheet(300.0, 8), Sheet::new("accept", "Another", &["x"])]).unwrap();
        assert_eq!(series.sheets.len(), 2);
        let row = &series.sheets[0].rows[0];
        assert_eq!(row.rounds("rate"), [100.0, 300.0]);
        assert_eq!(row.rounds("p50").len(), 2);
        assert_eq!(row.latencies.as_ref().unwrap().count(), 2);
        assert!(row.rounds("p42").is_empty());
    }

    #[test]
    fn short_latencies_are_shown_in_microseconds() {
        let row = Row::new(["x".to_owned()]).with_short_latencies([&latencies(2)]).unwrap();
        assert!((row.rounds("p50")[0] - 2000.0).abs() < 2.0, "{row:?}");
        assert_eq!(row.figures[0].heading(), "p50 us");
    }
}
