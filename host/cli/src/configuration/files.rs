//! Files of a configuration: read together, each thing with the place where it stands.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use sha2::{Digest as _, Sha256};

use super::yaml::{self, Document};
use crate::failed::{Failed, at, problem};
use crate::plugin::Artifact;

/// The sections of a configuration, in the order in which they are written.
pub(super) const SECTIONS: [&str; 10] = [
    "plugins",
    "kinds",
    "event_types",
    "workflows",
    "webhook_policies",
    "automations",
    "schedules",
    "webhooks",
    "sources",
    "keys",
];
/// Where components lie.
pub(super) const PLUGINS: &str = "plugins";
/// The largest file that is read, in bytes.
const LARGEST: u64 = 16 * 1024 * 1024;

/// Where a thing stands.
#[derive(Clone, Debug)]
struct Place {
    file: PathBuf,
    /// Its path in the document of the file.
    path: String,
    /// Lines of the document.
    lines: std::rc::Rc<BTreeMap<String, usize>>,
}

/// A configuration as files have it.
#[derive(Default)]
pub(super) struct Files {
    sections: BTreeMap<&'static str, Vec<(Value, Place)>>,
    /// Components by the names of their plugins.
    pub(super) components: BTreeMap<String, Artifact>,
    /// What is wrong, with where.
    mistakes: Vec<String>,
}

impl Files {
    /// Reads a file, or all of a folder.
    pub(super) fn read(from: &Path) -> Result<Self, Failed> {
        let mut files = Self::default();
        if from.is_dir() {
            for path in listed(from)? {
                if ["yaml", "yml", "json"].iter().any(|ending| path.extension().is_some_and(|own| own == *ending)) {
                    files.add(&path)?;
                }
            }
            files.add_components(&from.join(PLUGINS))?;
        } else {
            files.add(from)?;
        }
        files.resolve_secrets();
        files.name_components();
        if files.mistakes.is_empty() {
            return Ok(files);
        }
        Err(wrong(&files.mistakes))
    }

    fn add(&mut self, path: &Path) -> Result<(), Failed> {
        let size = std::fs::metadata(path).map_err(|error| at(path, &error))?.len();
        if size > LARGEST {
            self.mistakes.push(format!("{}: has {size} bytes: at most {LARGEST}", path.display()));
            return Ok(());
        }
        let text = std::fs::read_to_string(path).map_err(|error| at(path, &error))?;
        let documents = if path.extension().is_some_and(|ending| ending == "json") {
            serde_json::from_str(&text)
                .map(|value| vec![Document { value, lines: BTreeMap::new() }])
                .map_err(|error| yaml::Unreadable { line: error.line(), message: error.to_string() })
        } else {
            yaml::read(&text)
        };
        match documents {
            Ok(documents) => documents.into_iter().for_each(|document| self.add_document(path, document)),
            Err(error) => self.mistakes.push(format!("{}:{}: {}", path.display(), error.line, error.message)),
        }
        Ok(())
    }

    fn add_document(&mut self, path: &Path, document: Document) {
        let lines = std::rc::Rc::new(document.lines);
        let place = |inner: &str| Place { file: path.to_owned(), path: inner.to_owned(), lines: lines.clone() };
        let sections = match document.value {
            Value::Null => return,
            Value::Object(sections) => sections,
            _ => {
                let message = format!("gives no sections: write {} with lists", SECTIONS.join(", "));
                self.mistakes.push(place("").tell("", &message));
                return;
            }
        };
        for (name, things) in sections {
            let Some(section) = SECTIONS.iter().find(|known| **known == name) else {
                let message = format!("`{name}` is no section: there are {}", SECTIONS.join(", "));
                self.mistakes.push(place(&name).tell("", &message));
                continue;
            };
            let known = self.sections.entry(section).or_default();
            match things {
                Value::Null => {}
                Value::Array(things) => {
                    let placed = |(n, thing)| (thing, place(&format!("{name}[{n}]")));
                    known.extend(things.into_iter().enumerate().map(placed));
                }
                _ => self.mistakes.push(place(&name).tell("", "is no list: begin each thing with `- name: ..`")),
            }
        }
    }

    /// Components: `plugins/NAME.wasm`, or the one in `plugins/NAME/`.
    fn add_components(&mut self, folder: &Path) -> Result<(), Failed> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in listed(folder)? {
            let component = if path.is_dir() {
                let inside = listed(&path)?.into_iter().filter(|path| is_component(path)).collect::<Vec<_>>();
                match inside.as_slice() {
                    [component] => component.clone(),
                    [] => continue,
                    _ => {
                        self.mistakes.push(format!("{}: holds {} components: keep one", path.display(), inside.len()));
                        continue;
                    }
                }
            } else {
                path.clone()
            };
            if !is_component(&component) {
                continue;
            }
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
            if let Err(error) = hookwright_plugin::check_name(&stem) {
                self.mistakes.push(format!("{}: {error}", path.display()));
            } else if self.components.insert(stem.clone(), Artifact::read(&component)?).is_some() {
                self.mistakes.push(format!("{}: there is another component of `{stem}`: keep one", path.display()));
            }
        }
        Ok(())
    }

    /// Puts in the values of secrets that stand in variables, and refuses those that stand in files.
    fn resolve_secrets(&mut self) {
        for (thing, place) in self.sections.values_mut().flatten() {
            let Some(thing) = thing.as_object_mut() else { continue };
            if thing.contains_key("secret") {
                let message =
                    "stands in a file: give `secret_env`, a variable, or `secret_name`, a secret of the space";
                self.mistakes.push(place.tell("secret", message));
            }
            let Some(variable) = thing.shift_remove("secret_env") else { continue };
            let value = variable.as_str().and_then(|variable| std::env::var(variable).ok());
            match value.filter(|value| !value.is_empty()) {
                Some(value) => drop(thing.insert("secret".to_owned(), value.into())),
                None => {
                    let message = format!("the variable {variable} is not set: set it to the secret's value");
                    self.mistakes.push(place.tell("secret_env", &message));
                }
            }
        }
    }

    /// Gives each component's plugin its digest.
    fn name_components(&mut self) {
        if self.components.is_empty() {
            return;
        }
        let things = self.sections.entry(PLUGINS).or_default();
        for (name, artifact) in &self.components {
            let digest = hex::encode(Sha256::digest(&artifact.bytes));
            let known = things.iter_mut().find(|(thing, _)| thing.get("name").is_some_and(|own| own == name));
            let Some((thing, place)) = known else {
                let place = Place { file: artifact.path.clone(), path: String::new(), lines: std::rc::Rc::default() };
                things.push((json!({"name": name, "digest": digest}), place));
                continue;
            };
            let Some(thing) = thing.as_object_mut() else { continue };
            let given = thing.get("digest").and_then(Value::as_str).unwrap_or_default();
            if !digest.starts_with(given) {
                let message = format!("is not that of {}, which is {digest}", artifact.path.display());
                self.mistakes.push(place.tell("digest", &message));
            }
            thing.insert("digest".to_owned(), digest.into());
        }
    }

    /// The configuration, as the server takes it.
    pub(super) fn configuration(&self) -> Value {
        let mut all = Map::new();
        for (section, things) in &self.sections {
            all.insert((*section).to_owned(), things.iter().map(|(thing, _)| thing.clone()).collect());
        }
        Value::Object(all)
    }

    /// A mistake that the server found, with the file and line where it stands.
    pub(super) fn place(&self, path: &str, message: &str) -> String {
        let path = path.strip_prefix("configuration.").unwrap_or(path);
        let found = path.split_once('[').and_then(|(section, rest)| {
            let (number, inner) = rest.split_once(']')?;
            let (thing, place) = self.sections.get(section)?.get(number.parse::<usize>().ok()?)?;
            let name = thing.get("name").and_then(Value::as_str).unwrap_or_default();
            Some((section, name, place, inner.trim_start_matches('.')))
        });
        match found {
            Some((section, name, place, inner)) => {
                let field = if inner.is_empty() { String::new() } else { format!(" {inner}:") };
                place.tell(inner, &format!("{section} `{name}`:{field} {message}"))
            }
            None if path.is_empty() => message.to_owned(),
            None => format!("{path}: {message}"),
        }
    }
}

/// Every mistake as one failure.
pub(super) fn wrong(mistakes: &[String]) -> Failed {
    problem("configuration.invalid", format!("nothing was changed:\n  {}", mistakes.join("\n  ")))
}

impl Place {
    /// A message with the file, and the line of the field as near as it is known.
    fn tell(&self, field: &str, message: &str) -> String {
        let dot = if field.is_empty() || field.starts_with('[') || self.path.is_empty() { "" } else { "." };
        let mut path = format!("{}{dot}{field}", self.path);
        loop {
            if let Some(line) = self.lines.get(&path) {
                return format!("{}:{line}: {message}", self.file.display());
            }
            match path.rfind(['.', '[']) {
                Some(end) => path.truncate(end),
                None => return format!("{}: {message}", self.file.display()),
            }
        }
    }
}

fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "wasm") && path.is_file()
}

/// What a folder holds, by name, without what is hidden.
fn listed(folder: &Path) -> Result<Vec<PathBuf>, Failed> {
    let entries = std::fs::read_dir(folder).map_err(|error| at(folder, &error))?;
    let mut paths = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| at(folder, &error))?;
        if !entry.file_name().to_string_lossy().starts_with('.') {
            paths.push(entry.path());
        }
    }
    paths.sort();
    Ok(paths)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_mistake_of_every_file_is_told_with_its_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("a.yaml", "automations:\n  - name: a\n---\nwebhooks:\n  - name: w\n    secret: whsec_x\nother: []\n");
        file("b.yml", "a: [");
        file("c.json", "{\"webhooks\": [{\"name\": \"v\", \"secret_env\": \"HOOKWRIGHT_NOT_SET\"}]}");
        let error = Files::read(folder.path()).err().unwrap().to_string();
        for part in ["a.yaml:6: stands in a file", "a.yaml:7: `other` is no section", "b.yml:", "HOOKWRIGHT_NOT_SET"] {
            assert!(error.contains(part), "{part}: {error}");
        }
    }

    #[test]
    fn things_of_several_files_are_one_section_and_are_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("a.yaml", "automations:\n  - name: a\n    then:\n      - action: x\n");
        file("b.yaml", "automations:\n  - name: b\n    then:\n      - action: y\n");
        let files = Files::read(folder.path()).unwrap();
        assert_eq!(files.configuration()["automations"].as_array().unwrap().len(), 2);
        let told = files.place("automations[1].then[0].action", "there is no action `y`");
        assert!(told.ends_with("b.yaml:4: automations `b`: then[0].action: there is no action `y`"), "{told}");
    }
}
