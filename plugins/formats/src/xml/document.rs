//! Reading a document.

use hookwright_sdk::{Failure, shorten};
use quick_xml::events::{BytesRef, BytesStart, Event};
use quick_xml::{Reader, XmlVersion};
use serde_json::{Map, Value};

use super::place::failure;
use super::tree::{Element, is_space};
use super::{Options, encoding_problem, is_utf_8};

/// Elements inside of each other. Each may be a list and an object, and JSON that is nested more than 128 levels deep
/// is read by nobody.
const DEEPEST: usize = 60;

/// The document as a JSON object with its root element.
///
/// # Errors
/// A permanent failure with the line and column of what is wrong: `xml.invalid`, `xml.encoding`, `xml.doctype` or
/// `xml.too_deep`.
pub fn read(text: &str, parameters: &Options) -> Result<Value, Failure> {
    if let Some((at, character)) = text.char_indices().find(|(_, character)| !is_allowed(*character)) {
        let problem = format!("the character U+{:04X} is not allowed in XML", u32::from(character));
        return Err(failure("xml.invalid", text, at as u64, &problem));
    }
    let mut reader = Reader::from_str(text);
    reader.config_mut().check_comments = true;
    let mut document = Document { text, parameters, open: Vec::new(), root: None };
    loop {
        let start = reader.buffer_position();
        let event = reader.read_event().map_err(|error| {
            failure("xml.invalid", text, reader.error_position(), &shorten(&error.to_string(), 300))
        })?;
        if matches!(event, Event::Eof) {
            return document.end(start);
        }
        document.take(event, start)?;
    }
}

struct Document<'d> {
    text: &'d str,
    parameters: &'d Options,
    open: Vec<Element>,
    root: Option<(String, Value)>,
}

impl Document<'_> {
    fn take(&mut self, event: Event<'_>, at: u64) -> Result<(), Failure> {
        match event {
            Event::Start(tag) => self.start(&tag, at),
            Event::Empty(tag) => {
                self.start(&tag, at)?;
                self.close();
                Ok(())
            }
            Event::End(_) => {
                self.close();
                Ok(())
            }
            Event::Text(text) => self.add_text(&text.xml10_content(), at),
            Event::CData(text) => match self.open.last_mut() {
                Some(element) => {
                    element.add_text(&text.xml10_content());
                    Ok(())
                }
                None => Err(self.wrong(at, "a CDATA section is outside of the root element")),
            },
            Event::GeneralRef(reference) => self.reference(&reference, at),
            Event::Decl(declaration) => {
                if at != 0 {
                    return Err(self.wrong(at, "the XML declaration must be at the very beginning"));
                }
                match declaration.encoding() {
                    Some(Ok(name)) if !is_utf_8(&name) => Err(failure(
                        "xml.encoding",
                        self.text,
                        at,
                        &format!("the document {}", encoding_problem(&name)),
                    )),
                    Some(Err(error)) => Err(self.wrong(at, &shorten(&error.to_string(), 300))),
                    _ => Ok(()),
                }
            }
            Event::DocType(_) => Err(failure(
                "xml.doctype",
                self.text,
                at,
                "a document type (DTD) is refused, since it could define entities: have the sender leave it out",
            )),
            Event::Comment(_) | Event::PI(_) | Event::Eof => Ok(()),
        }
    }

    fn start(&mut self, tag: &BytesStart<'_>, at: u64) -> Result<(), Failure> {
        if self.open.is_empty() && self.root.is_some() {
            return Err(self.wrong(at, "a second root element begins here: a document has one"));
        }
        if self.open.len() >= DEEPEST {
            let problem = format!("elements are nested more than {DEEPEST} levels deep");
            return Err(failure("xml.too_deep", self.text, at, &problem));
        }
        let name = self.name(tag.name().0, at)?;
        let kept = self.open.last().map_or(!self.parameters.trim, |outer| outer.keeps_space);
        let mut element = Element::new(name, kept);
        for attribute in tag.attributes() {
            let attribute = attribute.map_err(|error| self.wrong(at, &shorten(&error.to_string(), 300)))?;
            let name = self.name(attribute.key.0, at)?;
            if attribute.value.contains('<') {
                return Err(self.wrong(at, &format!("the value of the attribute {name} has a <: write &lt;")));
            }
            let value = attribute
                .normalized_value(XmlVersion::Explicit1_0)
                .map_err(|error| self.wrong(at, &shorten(&format!("in the attribute {name}: {error}"), 300)))?;
            if let Some(character) = value.chars().find(|character| !is_allowed(*character)) {
                let problem = format!(
                    "the attribute {name} has the character U+{:04X}, which is not allowed",
                    u32::from(character)
                );
                return Err(self.wrong(at, &problem));
            }
            if name == "xml:space" {
                element.keeps_space = value == "preserve" || !self.parameters.trim;
            }
            element.set_attribute(name, &value);
        }
        self.open.push(element);
        Ok(())
    }

    fn close(&mut self) {
        let Some(element) = self.open.pop() else { return };
        let (name, value) = element.close();
        match self.open.last_mut() {
            Some(outer) => outer.add_element(name, value, &self.parameters.arrays),
            None => self.root = Some((name, value)),
        }
    }

    fn add_text(&mut self, text: &str, at: u64) -> Result<(), Failure> {
        match self.open.last_mut() {
            Some(element) => element.add_text(text),
            None if text.chars().all(is_space) => {}
            None => {
                let problem = format!("there is text outside of the root element: {}", shorten(text.trim(), 60));
                return Err(self.wrong(at, &problem));
            }
        }
        Ok(())
    }

    fn reference(&mut self, reference: &BytesRef<'_>, at: u64) -> Result<(), Failure> {
        let name = reference.xml10_content();
        let known = match name.as_ref() {
            "lt" => Some('<'),
            "gt" => Some('>'),
            "amp" => Some('&'),
            "apos" => Some('\''),
            "quot" => Some('"'),
            _ => None,
        };
        let character = match known {
            Some(character) => character,
            None => match reference.resolve_char_ref() {
                Ok(Some(character)) if is_allowed(character) => character,
                Ok(Some(_)) | Err(_) => {
                    return Err(self.wrong(at, &format!("&{}; is not a character of XML", shorten(&name, 60))));
                }
                Ok(None) => {
                    return Err(self.wrong(
                        at,
                        &format!(
                            "the entity &{}; is not known: only lt, gt, amp, apos and quot are",
                            shorten(&name, 60)
                        ),
                    ));
                }
            },
        };
        match self.open.last_mut() {
            Some(element) => {
                element.add_text(character.encode_utf8(&mut [0; 4]));
                Ok(())
            }
            None => Err(self.wrong(at, "a reference is outside of the root element")),
        }
    }

    /// A name as XML 1.0 has it in section 2.3, where everything beyond ASCII counts as a letter.
    fn name<'n>(&self, name: &'n str, at: u64) -> Result<&'n str, Failure> {
        let is_first = |character: char| {
            character.is_ascii_alphabetic() || matches!(character, '_' | ':') || !character.is_ascii()
        };
        let is_next =
            |character: char| is_first(character) || character.is_ascii_digit() || matches!(character, '-' | '.');
        if name.starts_with(is_first) && name.chars().all(is_next) {
            return Ok(name);
        }
        Err(self.wrong(at, &format!("`{}` is not a name in XML", shorten(name, 60))))
    }

    fn end(self, at: u64) -> Result<Value, Failure> {
        if let Some(element) = self.open.last() {
            return Err(self.wrong(at, &format!("the element <{}> is not closed", shorten(&element.name, 60))));
        }
        let Some((name, value)) = self.root else {
            return Err(failure("xml.invalid", self.text, at, "there is no root element"));
        };
        let value = if self.parameters.arrays.contains(&name) { Value::Array(vec![value]) } else { value };
        let mut members = Map::new();
        members.insert(name, value);
        Ok(Value::Object(members))
    }

    fn wrong(&self, at: u64, problem: &str) -> Failure {
        failure("xml.invalid", self.text, at, problem)
    }
}

/// Whether a character is allowed in a document (XML 1.0, section 2.2).
fn is_allowed(character: char) -> bool {
    matches!(character, '\t' | '\n' | '\r' | ' '..='\u{FFFD}' | '\u{10000}'..='\u{10FFFF}')
}
