//! Two servers beside each other: what each figure of the one is in terms of the other.

use crate::figures::{Figure, Row, Series, Sheet};
use crate::statistics::{Summary, ratios};

/// A figure of two servers.
pub(crate) struct Contrast<'s> {
    pub(crate) row: &'s Row,
    pub(crate) a: &'s Figure,
    pub(crate) b: &'s Figure,
    /// B divided by A in each round, so that what else the machine does meets both alike.
    pub(crate) ratio: Summary,
}

/// Each sheet of the first server, with the figures that both have. Those that are ratios themselves are left out: what
/// they are made of is there.
pub(crate) fn contrasts<'s>(a: &'s Series, b: &'s Series) -> Vec<(&'s Sheet, Vec<Contrast<'s>>)> {
    a.sheets.iter().map(|sheet| (sheet, in_sheet(sheet, b))).collect()
}

fn in_sheet<'s>(a: &'s Sheet, b: &'s Series) -> Vec<Contrast<'s>> {
    let other = b.sheets.iter().find(|other| other.section == a.section && other.title == a.title);
    let mut found = Vec::new();
    for row in &a.rows {
        let Some(beside) = other.and_then(|other| other.rows.iter().find(|beside| beside.labels == row.labels)) else {
            continue;
        };
        for figure in row.figures.iter().filter(|figure| !figure.unit.text.is_empty()) {
            if let Some(same) = beside.figures.iter().find(|same| same.name == figure.name) {
                let ratio = Summary::of(&ratios(&same.rounds, &figure.rounds));
                found.push(Contrast { row, a: figure, b: same, ratio });
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::Unit;

    fn series(rates: &[f64], servers: &[&str]) -> Series {
        let mut sheet = Sheet::new("accept", "Accepting", &["server"]);
        for server in servers {
            let row = Row::new([(*server).to_owned()]).with("rate", Unit::EVENTS_PER_SECOND, rates.to_vec());
            sheet.rows.push(row.with("beside the journal", Unit::RATIO, vec![1.0]));
        }
        Series { name: "x".to_owned(), sheets: vec![sheet] }
    }

    #[test]
    fn a_ratio_is_taken_in_each_round_before_the_median() {
        let (a, b) = (series(&[100.0, 200.0, 400.0], &["one"]), series(&[150.0, 100.0, 400.0], &["one"]));
        let contrasts = contrasts(&a, &b);
        let [(_, found)] = contrasts.as_slice() else { panic!("one sheet expected") };
        assert_eq!(found.len(), 1, "a figure that is a ratio is not compared");
        // The ratio of the medians would be 0.75.
        assert_eq!(found[0].ratio, Summary { median: 1.0, least: 0.5, greatest: 1.5 });
        assert_eq!((found[0].a.summary().median, found[0].b.summary().median), (200.0, 150.0));
    }

    #[test]
    fn rows_that_only_one_side_has_are_left_out() {
        let (a, b) = (series(&[1.0], &["one", "two"]), series(&[1.0], &["two"]));
        let contrasts = contrasts(&a, &b);
        assert_eq!(contrasts[0].1.len(), 1);
        assert_eq!(contrasts[0].1[0].row.labels, ["two"]);
        let none = Series::new("x");
        assert!(super::contrasts(&a, &none)[0].1.is_empty());
    }
}
