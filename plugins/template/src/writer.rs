//! Writing JSON as the engine's own filter sets it.

use serde_json::Value as Json;

/// How the parts of a list or an object are set.
#[derive(Clone, Copy)]
pub(crate) enum Style {
    /// A space after each comma and colon.
    Line,
    /// A line for each part, indented by so many spaces.
    Lines(usize),
}

/// JSON of a part of the payload on one line.
pub(crate) fn compact(json: &Json) -> String {
    let mut writer = Writer::new(Style::Line, false);
    writer.json(json);
    writer.finish()
}

/// Takes the parts of a JSON value one after the other.
pub(crate) struct Writer {
    text: String,
    style: Style,
    /// Whether it must be safe in HTML.
    safe: bool,
    depth: usize,
}

impl Writer {
    /// `safe`: so that it may stand in HTML.
    pub(crate) fn new(style: Style, safe: bool) -> Self {
        Self { text: String::new(), style, safe, depth: 0 }
    }

    /// The literal.
    pub(crate) fn finish(self) -> String {
        self.text
    }

    /// Text that is JSON already.
    pub(crate) fn plain(&mut self, json: &str) {
        self.text.push_str(json);
    }

    pub(crate) fn json(&mut self, json: &Json) {
        let mut empty = true;
        match json {
            Json::String(text) => self.string(text),
            Json::Array(items) => {
                self.open('[');
                for item in items {
                    self.next(&mut empty);
                    self.json(item);
                }
                self.close(']', empty);
            }
            Json::Object(members) => {
                self.open('{');
                for (name, json) in members {
                    self.next(&mut empty);
                    self.string(name);
                    self.text.push_str(": ");
                    self.json(json);
                }
                self.close('}', empty);
            }
            plain => self.text.push_str(&plain.to_string()),
        }
    }

    pub(crate) fn string(&mut self, text: &str) {
        let quoted = Json::from(text).to_string();
        if !self.safe {
            self.text.push_str(&quoted);
            return;
        }
        for character in quoted.chars() {
            match character {
                '<' => self.text.push_str("\\u003c"),
                '>' => self.text.push_str("\\u003e"),
                '&' => self.text.push_str("\\u0026"),
                '\'' => self.text.push_str("\\u0027"),
                other => self.text.push(other),
            }
        }
    }

    pub(crate) fn open(&mut self, bracket: char) {
        self.text.push(bracket);
        self.depth = self.depth.saturating_add(1);
    }

    /// The prefix of a part.
    pub(crate) fn next(&mut self, empty: &mut bool) {
        let first = std::mem::replace(empty, false);
        match (self.style, first) {
            (Style::Line, true) => {}
            (Style::Line, false) => self.text.push_str(", "),
            (Style::Lines(_), true) => self.line(),
            (Style::Lines(_), false) => {
                self.text.push(',');
                self.line();
            }
        }
    }

    fn line(&mut self) {
        if let Style::Lines(indent) = self.style {
            self.text.push('\n');
            self.text.push_str(&" ".repeat(indent.saturating_mul(self.depth)));
        }
    }

    pub(crate) fn close(&mut self, bracket: char, empty: bool) {
        self.depth = self.depth.saturating_sub(1);
        if !empty {
            self.line();
        }
        self.text.push(bracket);
    }
}
