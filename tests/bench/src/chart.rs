//! Figures as bar charts in one SVG file: a chart for each column of each table, a bar for each row and server.

use std::fmt::Write as _;

use crate::figures::{Figure, Series, Sheet};
use crate::table::short;

/// Sizes in pixels.
const WIDTH: f64 = 960.0;
const MARGIN: f64 = 20.0;
/// Where bars begin; labels stand to the left of it.
const BARS_FROM: f64 = 330.0;
/// Room to the right of the longest bar, for its value.
const VALUE_ROOM: f64 = 190.0;
const BAR: f64 = 16.0;
const GAP: f64 = 8.0;
const TITLE: f64 = 30.0;
const AXIS: f64 = 48.0;
const LEGEND: f64 = 44.0;
/// The most characters of a label that fit.
const LABEL: usize = 46;
/// How many parts an axis has at most.
const TICKS: f64 = 6.0;
const COLOURS: [&str; 2] = ["#4878a8", "#d08040"];

/// The charts; `about` stands above them.
pub(crate) fn svg(about: &str, series: &[Series]) -> String {
    let mut body = String::new();
    let mut top = MARGIN + LEGEND;
    let compares = series.len() > 1;
    for sheet in series.first().map(|one| one.sheets.as_slice()).unwrap_or_default() {
        for column in sheet.columns() {
            let bars = bars(sheet, &column.name, series);
            top += chart(&mut body, top, &format!("{}: {}", sheet.title, column.heading()), column, &bars);
        }
    }
    let height = top + MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"{WIDTH}\" height=\"{height}\" fill=\"#ffffff\"/>\n"
    );
    text(&mut out, (MARGIN, MARGIN), "start", about);
    legend(&mut out, series, compares);
    out.push_str(&body);
    out.push_str("</svg>\n");
    out
}

/// What the colours and the thin lines are.
fn legend(out: &mut String, series: &[Series], compares: bool) {
    let names: Vec<String> = if compares {
        ["A", "B"].iter().zip(series).map(|(side, one)| format!("{side}: {}, median of the rounds", one.name)).collect()
    } else {
        vec!["median of the rounds".to_owned()]
    };
    let mut y = MARGIN + 8.0;
    let mut x = MARGIN;
    for (colour, name) in COLOURS.iter().zip(&names) {
        rectangle(out, (x, y), (12.0, 12.0), colour);
        text(out, (x + 18.0, y + 10.0), "start", &clipped(name));
        x += BARS_FROM;
    }
    line(out, (x, y + 6.0), (x + 20.0, y + 6.0));
    text(out, (x + 26.0, y + 10.0), "start", "least to greatest round");
    y += 20.0;
    line(out, (MARGIN, y), (WIDTH - MARGIN, y));
}

/// A bar: what it is of, which series it is of, and its figure.
struct Bar<'s> {
    label: String,
    series: usize,
    figure: &'s Figure,
}

/// One bar for each row that has the figure, and for each series.
fn bars<'s>(sheet: &Sheet, name: &str, series: &'s [Series]) -> Vec<Bar<'s>> {
    let mut found = Vec::new();
    for row in &sheet.rows {
        for (number, one) in series.iter().enumerate() {
            let same = one.sheets.iter().find(|same| same.section == sheet.section && same.title == sheet.title);
            let beside = same.and_then(|same| same.rows.iter().find(|beside| beside.labels == row.labels));
            let figure = beside.and_then(|beside| beside.figures.iter().find(|figure| figure.name == name));
            found.extend(figure.map(|figure| Bar { label: row.labels.join(", "), series: number, figure }));
        }
    }
    found
}

/// Draws one chart and returns its height.
fn chart(out: &mut String, top: f64, title: &str, column: &Figure, bars: &[Bar<'_>]) -> f64 {
    let greatest = bars.iter().map(|bar| bar.figure.summary().greatest).filter(|value| value.is_finite());
    let step = step(greatest.fold(0.0, f64::max));
    let most = step * TICKS;
    let scale = |value: f64| {
        let share = if value.is_finite() { (value / most).clamp(0.0, 1.0) } else { 0.0 };
        BARS_FROM + share * (WIDTH - BARS_FROM - VALUE_ROOM)
    };
    let _ = writeln!(out, "<g font-weight=\"bold\">");
    text(out, (MARGIN, top + 18.0), "start", title);
    let _ = writeln!(out, "</g>");
    let mut y = top + TITLE;
    let mut last = None;
    for bar in bars {
        let summary = bar.figure.summary();
        if last != Some(&bar.label) {
            text(out, (BARS_FROM - 8.0, y + BAR - 4.0), "end", &clipped(&bar.label));
        }
        last = Some(&bar.label);
        let colour = COLOURS.get(bar.series).copied().unwrap_or("#808080");
        rectangle(out, (BARS_FROM, y), (scale(summary.median) - BARS_FROM, BAR), colour);
        let middle = y + BAR / 2.0;
        line(out, (scale(summary.least), middle), (scale(summary.greatest), middle));
        text(out, (scale(summary.greatest) + 6.0, y + BAR - 4.0), "start", &bar.figure.shown());
        y += BAR + GAP;
    }
    line(out, (BARS_FROM, y), (scale(most), y));
    let mut tick = 0.0;
    while tick <= most * 1.001 {
        line(out, (scale(tick), y), (scale(tick), y + 4.0));
        text(out, (scale(tick), y + 16.0), "middle", &column.unit.shown(tick));
        tick += step;
    }
    let axis = if column.unit.text.is_empty() { "ratio" } else { column.unit.text };
    text(out, (scale(most / 2.0), y + 30.0), "middle", axis);
    y + AXIS - top
}

/// The distance of the ticks of an axis up to `greatest`: 1, 2 or 5 times a power of ten.
fn step(greatest: f64) -> f64 {
    let least = if greatest > 0.0 { greatest / TICKS } else { 1.0 / TICKS };
    let power = 10_f64.powf(least.log10().floor());
    [1.0, 2.0, 5.0, 10.0].into_iter().map(|times| times * power).find(|step| *step >= least).unwrap_or(10.0 * power)
}

/// A label that fits.
fn clipped(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    let mut clipped: String = label.chars().take(LABEL.saturating_sub(1)).collect();
    clipped.push('…');
    clipped
}

fn text(out: &mut String, (x, y): (f64, f64), anchor: &str, content: &str) {
    let (x, y) = (short(x), short(y));
    let _ = writeln!(out, "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>", escaped(content));
}

fn rectangle(out: &mut String, (x, y): (f64, f64), (width, height): (f64, f64), colour: &str) {
    let _ = writeln!(
        out,
        "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" fill=\"{colour}\"/>"
    );
}

fn line(out: &mut String, (x1, y1): (f64, f64), (x2, y2): (f64, f64)) {
    let _ = writeln!(
        out,
        "<line x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\" stroke=\"#202020\" stroke-width=\"1\"/>"
    );
}

/// Text as it stands in XML; what XML 1.0 cannot hold is replaced.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            '\t' | '\n' => out.push(' '),
            character if character.is_control() || matches!(character, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            character => out.push(character),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::figures::{Row, Unit};

    fn series(name: &str, rates: &[f64]) -> Series {
        let row = Row::new(["16".to_owned(), "a <b> & \"c\"".to_owned()]);
        let row = row.with("rate", Unit::EVENTS_PER_SECOND, rates.to_vec()).with("beside", Unit::RATIO, vec![1.0]);
        Series { name: name.to_owned(), sheets: vec![Sheet::single("accept", "R&D", "connections", row)] }
    }

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b> & \"c\" 'd'\n\u{0}"), "a&lt;b&gt; &amp; &quot;c&quot; &apos;d&apos; \u{fffd}");
        let svg = svg("<about>", &[series("x", &[1.0, 3.0])]);
        assert!(svg.contains("&lt;about&gt;") && svg.contains("R&amp;D: events/s"), "{svg}");
        assert!(svg.contains("16, a &lt;b&gt; &amp; &quot;c&quot;"), "{svg}");
        assert!(!svg.contains("<about>") && !svg.contains("<b>"));
    }

    #[test]
    fn a_chart_has_axis_units_and_a_legend() {
        let one = svg("machine", &[series("", &[1.0, 3.0, 2.0])]);
        assert!(one.starts_with("<svg ") && one.ends_with("</svg>\n"));
        assert!(one.contains(">median of the rounds<") && one.contains(">least to greatest round<"), "{one}");
        assert!(one.contains(">events/s<") && one.contains(">ratio<") && one.contains(">2 (1 to 3)<"), "{one}");
        let two = svg("machine", &[series("main", &[1.0]), series("HEAD", &[2.0])]);
        assert!(two.contains(">A: main, median of the rounds<") && two.contains(">B: HEAD, median"), "{two}");
        assert!(two.matches(COLOURS[1]).count() > one.matches(COLOURS[1]).count());
    }

    #[test]
    fn an_axis_has_round_steps_that_reach_the_greatest_value() {
        for greatest in [0.0, 0.003, 1.0, 5.9, 6.1, 123_456.0] {
            let step = step(greatest);
            assert!(step * TICKS >= greatest, "{greatest}: {step}");
            let first = step / 10_f64.powf(step.log10().floor());
            let is_round = [1.0, 2.0, 5.0, 10.0].iter().any(|round| (first - round).abs() < 1e-6);
            assert!(is_round, "{greatest}: {step}");
        }
    }

    #[test]
    fn a_long_label_is_clipped() {
        assert_eq!(clipped("short"), "short");
        assert_eq!(clipped(&"é".repeat(100)).chars().count(), LABEL);
    }
}
