//! Figures as tables for a terminal and as JSON.

use serde_json::{Map, Value, json};

use crate::compare::{Contrast, contrasts};
use crate::figures::{Figure, Row, Series, Sheet, Unit};
use crate::latencies::Latencies;
use crate::statistics::Summary;
use crate::table::Table;

/// The sheets from number `from` on: of one server with its rounds, of two beside each other.
pub(crate) fn tables(series: &[Series], from: usize) -> Vec<Table> {
    match series {
        [a, b] => contrasts(a, b).into_iter().skip(from).map(|(sheet, found)| compared(sheet, &found, a, b)).collect(),
        _ => series.iter().flat_map(|one| one.sheets.iter().skip(from)).map(table).collect(),
    }
}

fn table(sheet: &Sheet) -> Table {
    let columns = sheet.columns();
    let mut head: Vec<String> = sheet.heads.iter().map(ToString::to_string).collect();
    head.extend(columns.iter().map(|figure| figure.heading()));
    let mut table = Table::new(sheet.title.clone(), head, sheet.heads.len());
    for row in &sheet.rows {
        let mut cells = row.labels.clone();
        cells.extend(columns.iter().map(|column| {
            let own = row.figures.iter().find(|figure| figure.name == column.name);
            own.map_or_else(|| "-".to_owned(), Figure::shown)
        }));
        table.row(cells);
    }
    table
}

fn compared(sheet: &Sheet, found: &[Contrast<'_>], a: &Series, b: &Series) -> Table {
    let mut head: Vec<String> = sheet.heads.iter().map(ToString::to_string).collect();
    let labels = head.len() + 1;
    head.extend([
        "figure".to_owned(),
        format!("A: {}", a.name),
        format!("B: {}", b.name),
        "B/A".to_owned(),
        "least to greatest B/A".to_owned(),
    ]);
    let mut table = Table::new(sheet.title.clone(), head, labels);
    for contrast in found {
        let [ratio, least, greatest] = [contrast.ratio.median, contrast.ratio.least, contrast.ratio.greatest]
            .map(|ratio| Unit::RATIO.shown(ratio));
        let mut cells = contrast.row.labels.clone();
        cells.extend([
            contrast.a.heading(),
            contrast.a.shown(),
            contrast.b.shown(),
            ratio,
            format!("{least} to {greatest}"),
        ]);
        table.row(cells);
    }
    table
}

/// All figures; `about` says what they were measured on and how.
pub(crate) fn as_json(about: Map<String, Value>, series: &[Series]) -> Value {
    let mut report = about;
    let sheets = |one: &Series| one.sheets.iter().map(sheet_json).collect::<Vec<_>>();
    let all: Vec<Value> = series.iter().map(|one| json!({"server": one.name, "tables": sheets(one)})).collect();
    report.insert("servers".to_owned(), all.into());
    if let [a, b] = series {
        let all: Vec<Value> = contrasts(a, b)
            .into_iter()
            .flat_map(|(sheet, found)| found.into_iter().map(move |contrast| (sheet, contrast)))
            .map(|(sheet, contrast)| {
                json!({
                    "section": sheet.section,
                    "title": sheet.title,
                    "row": labels(sheet, contrast.row),
                    "name": contrast.a.name,
                    "unit": contrast.a.unit.text,
                    "a": contrast.a.summary().median,
                    "b": contrast.b.summary().median,
                    "b_by_a": spread(contrast.ratio),
                })
            })
            .collect();
        report.insert("comparison".to_owned(), all.into());
    }
    Value::Object(report)
}

fn sheet_json(sheet: &Sheet) -> Value {
    let rows: Vec<Value> = sheet.rows.iter().map(|row| row_json(sheet, row)).collect();
    json!({"section": sheet.section, "title": sheet.title, "rows": rows, "missed_goals": sheet.missed})
}

fn row_json(sheet: &Sheet, row: &Row) -> Value {
    let figures = row.figures.iter().map(|figure| {
        let mut value = spread(figure.summary());
        value.insert("rounds".to_owned(), json!(figure.rounds));
        value.insert("name".to_owned(), figure.name.as_str().into());
        value.insert("unit".to_owned(), figure.unit.text.into());
        Value::Object(value)
    });
    let mut value = Map::new();
    value.insert("row".to_owned(), labels(sheet, row).into());
    value.insert("figures".to_owned(), figures.collect::<Vec<_>>().into());
    if let Some(latencies) = &row.latencies {
        value.insert("latencies".to_owned(), latencies_json(latencies).into());
    }
    Value::Object(value)
}

/// The percentiles of all rounds together.
fn latencies_json(latencies: &Latencies) -> Map<String, Value> {
    let mut value = Map::new();
    value.insert("count".to_owned(), latencies.count().into());
    value.insert("unit".to_owned(), Unit::MILLIS.text.into());
    value.extend(latencies.percentiles().into_iter().map(|(name, millis)| (name.to_owned(), millis.into())));
    value
}

fn labels(sheet: &Sheet, row: &Row) -> Map<String, Value> {
    sheet.heads.iter().zip(&row.labels).map(|(head, label)| ((*head).to_owned(), label.as_str().into())).collect()
}

fn spread(summary: Summary) -> Map<String, Value> {
    let members = [("median", summary.median), ("least", summary.least), ("greatest", summary.greatest)];
    members.into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn series(name: &str, rates: &[f64]) -> Series {
        let mut latencies = Latencies::new().unwrap();
        latencies.record(Duration::from_millis(2));
        let row = Row::new(["16".to_owned()]).with("rate", Unit::EVENTS_PER_SECOND, rates.to_vec());
        let row = row.with_latencies([&latencies]).unwrap();
        let mut sheet = Sheet::single("accept", "Accepting", "connections", row);
        sheet.rows.push(Row::new(["64".to_owned()]).with("rate", Unit::EVENTS_PER_SECOND, vec![7.0]));
        Series { name: name.to_owned(), sheets: vec![sheet] }
    }

    #[test]
    fn a_table_has_a_column_for_each_figure() {
        let tables = tables(&[series("", &[1000.0, 3000.0])], 0);
        let text = tables[0].to_string();
        assert!(text.contains("| connections | events/s | p50 ms | p90 ms | p99 ms | p99.9 ms | max ms |"), "{text}");
        assert!(text.contains("| 16 | 2,000 (1,000 to 3,000) | 2.00 |"), "{text}");
        assert!(text.contains("| 64 | 7 | - | - | - | - | - |"), "{text}");
        assert!(super::tables(&[series("", &[1.0])], 1).is_empty());
    }

    #[test]
    fn a_comparison_has_a_row_for_each_figure() {
        let tables = tables(&[series("main", &[100.0, 200.0]), series("HEAD", &[150.0, 200.0])], 0);
        let text = tables[0].to_string();
        assert!(text.contains("| A: main | B: HEAD | B/A |"), "{text}");
        assert!(
            text.contains("| 16 | events/s | 150 (100 to 200) | 175 (150 to 200) | 1.25 | 1.00 to 1.50 |"),
            "{text}"
        );
    }

    #[test]
    fn json_has_every_figure_with_its_unit_and_spread() {
        let mut about = Map::new();
        about.insert("commit".to_owned(), "abc".into());
        let json = as_json(about, &[series("", &[100.0, 300.0])]);
        assert_eq!(json["commit"], "abc");
        let row = &json["servers"][0]["tables"][0]["rows"][0];
        assert_eq!(row["row"]["connections"], "16");
        let rate = &row["figures"][0];
        assert_eq!((&rate["name"], &rate["unit"]), (&json!("rate"), &json!("events/s")));
        assert_eq!(rate["rounds"], json!([100.0, 300.0]));
        assert_eq!([&rate["median"], &rate["least"], &rate["greatest"]], [&json!(200.0), &json!(100.0), &json!(300.0)]);
        assert_eq!(row["figures"].as_array().unwrap().len(), 6);
        assert_eq!((&row["latencies"]["count"], &row["latencies"]["unit"]), (&json!(1), &json!("ms")));
        assert!(row["latencies"]["p99.9"].as_f64().unwrap() >= 2.0);
        assert!(json.get("comparison").is_none());
    }

    #[test]
    fn json_of_two_servers_has_the_ratios() {
        let json = as_json(Map::new(), &[series("main", &[100.0]), series("HEAD", &[150.0])]);
        let first = &json["comparison"][0];
        assert_eq!((&first["name"], &first["b_by_a"]["median"]), (&json!("rate"), &json!(1.5)));
        assert_eq!((&json["servers"][0]["server"], &json["servers"][1]["server"]), (&json!("main"), &json!("HEAD")));
    }
}
