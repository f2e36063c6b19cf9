//! Configuration files: read together, each object with its file and line.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use hookwright_model::abridged;
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
/// The folder of the components.
pub(super) const PLUGINS: &str = "plugins";
/// The maximum size of a file, in bytes.
const MAX_FILE_BYTES: u64 = 16 * 1024 * 1024;

/// The position of an object.
#[derive(Clone, Debug)]
struct Position {
    file: PathBuf,
    /// Its path in the document of the file.
    path: String,
    /// Lines of the document.
    lines: std::rc::Rc<BTreeMap<String, usize>>,
}

/// A configuration that was read from files.
#[derive(Default)]
pub(super) struct Files {
    sections: BTreeMap<&'static str, Vec<(Value, Position)>>,
    /// Components by the names of their plugins.
    pub(super) components: BTreeMap<String, Artifact>,
    /// The errors, with their positions.
    mistakes: Vec<String>,
    /// Sections that lack objects because those could not be read.
    incomplete: BTreeSet<&'static str>,
}

impl Files {
    /// Reads a file, or all files of a folder. [`Files::failure`] reports their errors, together with those that the
    /// server finds in the rest.
    pub(super) fn read(from: &Path) -> Result<Self, Failed> {
        let mut files = Self::default();
        if from.is_dir() {
            for path in listed(from)? {
                if ["yaml", "yml", "json"].iter().any(|ending| path.extension().is_some_and(|own| own == *ending))
                    && let Err(error) = files.add(&path)
                {
                    files.lose(error.to_string());
                }
            }
            files.add_components(&from.join(PLUGINS))?;
        } else {
            files.add(from)?;
        }
        if files.sections.is_empty() && files.components.is_empty() && files.mistakes.is_empty() {
            return Err(nothing_in(from));
        }
        files.resolve_secrets();
        files.name_components();
        Ok(files)
    }

    /// Records why a file could not be read. It may contain objects of any section.
    fn lose(&mut self, mistake: String) {
        self.mistakes.push(mistake);
        self.incomplete.extend(SECTIONS);
    }

    /// All errors: those in the files, and `others`.
    pub(super) fn failure(&self, others: impl IntoIterator<Item = String>) -> Option<Failed> {
        let all: Vec<String> = self.mistakes.iter().cloned().chain(others).collect();
        let message = || format!("nothing was changed:\n  {}", all.join("\n  "));
        (!all.is_empty()).then(|| problem("configuration.invalid", message()))
    }

    /// The failure of a request, with the errors in the files.
    pub(super) fn unchecked(&self, error: Failed) -> Failed {
        if self.mistakes.is_empty() {
            return error;
        }
        self.failure([format!("the server could not check the rest: {error}")]).unwrap_or(error)
    }

    /// Sections that lack objects because those could not be read.
    pub(super) fn incomplete(&self) -> Vec<&'static str> {
        self.incomplete.iter().copied().collect()
    }

    /// Removes a component that the server rejected, and its plugin, which cannot be checked any further.
    pub(super) fn leave_out(&mut self, name: &str, error: &Failed) {
        if let Some(artifact) = self.components.remove(name) {
            self.mistakes.push(format!("{}: {error}", artifact.path.display()));
        }
        if let Some(things) = self.sections.get_mut(PLUGINS) {
            things.retain(|(thing, _)| thing.get("name").and_then(Value::as_str) != Some(name));
        }
        self.incomplete.insert(PLUGINS);
    }

    fn add(&mut self, path: &Path) -> Result<(), Failed> {
        let size = std::fs::metadata(path).map_err(|error| at(path, &error))?.len();
        if size > MAX_FILE_BYTES {
            self.lose(format!("{}: has {size} bytes: at most {MAX_FILE_BYTES}", path.display()));
            return Ok(());
        }
        let text = std::fs::read_to_string(path).map_err(|error| at(path, &error))?;
        let documents = if path.extension().is_some_and(|ending| ending == "json") {
            super::json::read(&text).map(|document| vec![document])
        } else {
            super::json::within_yaml(&text).map_or_else(|| yaml::read(&text), |document| Ok(vec![document]))
        };
        match documents {
            Ok(documents) => documents.into_iter().for_each(|document| self.add_document(path, document)),
            Err(error) => self.lose(format!("{}:{}: {}", path.display(), error.line, error.message)),
        }
        Ok(())
    }

    fn add_document(&mut self, path: &Path, document: Document) {
        let lines = std::rc::Rc::new(document.lines);
        let place = |inner: &str| Position { file: path.to_owned(), path: inner.to_owned(), lines: lines.clone() };
        let sections = match document.value {
            Value::Null => return,
            Value::Object(sections) => sections,
            _ => {
                let message = format!("has no sections: write {} with lists", SECTIONS.join(", "));
                self.lose(place("").message("", &message));
                return;
            }
        };
        for (name, things) in sections {
            let Some(section) = SECTIONS.iter().find(|known| **known == name) else {
                let message = format!("`{name}` is not a section: the sections are {}", SECTIONS.join(", "));
                self.mistakes.push(place(&name).message("", &message));
                // It may be a misspelt section.
                let shared =
                    |known: &str| known.bytes().zip(name.bytes()).take_while(|(known, given)| known == given).count();
                self.incomplete.extend(SECTIONS.into_iter().filter(|known| shared(known) >= 4));
                continue;
            };
            match things {
                // If everything below it is commented out, it would parse as an empty list, and pruning would delete all objects.
                Value::Null => {
                    let message = format!("`{name}` has no value: write `[]` for an empty list");
                    self.mistakes.push(place(&name).message("", &message));
                    self.incomplete.insert(*section);
                }
                Value::Array(things) => {
                    let placed = |(n, thing)| (thing, place(&format!("{name}[{n}]")));
                    let known = self.sections.entry(section).or_default();
                    known.extend(things.into_iter().enumerate().map(placed));
                }
                _ => {
                    let message = format!("`{name}` is not a list: begin each object with `- name: ..`");
                    self.mistakes.push(place(&name).message("", &message));
                    self.incomplete.insert(*section);
                }
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
                        self.mistakes.push(format!(
                            "{}: contains {} components: keep one",
                            path.display(),
                            inside.len()
                        ));
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
                continue;
            }
            match Artifact::read(&component) {
                Ok(artifact) => {
                    if self.components.insert(stem.clone(), artifact).is_some() {
                        let message = format!("there is another component of `{stem}`: keep one");
                        self.mistakes.push(format!("{}: {message}", path.display()));
                    }
                }
                Err(error) => {
                    self.mistakes.push(error.to_string());
                    self.incomplete.insert(PLUGINS);
                }
            }
        }
        Ok(())
    }

    /// Inserts the values of secrets from environment variables, and rejects secrets that are written in files.
    fn resolve_secrets(&mut self) {
        let things =
            self.sections.iter_mut().flat_map(|(section, things)| things.iter_mut().map(move |at| (*section, at)));
        for (section, (thing, place)) in things {
            let name = name_of(thing);
            let mut wrong = |field: &str, message: &str| {
                self.mistakes.push(place.message_about(section, &name, field, message));
            };
            let Some(thing) = thing.as_object_mut() else { continue };
            // It is not sent either.
            if thing.shift_remove("secret").is_some() {
                wrong(
                    "secret",
                    "must not be written in a file: give `secret_env`, a variable, or `secret_name`, a secret of the space",
                );
            }
            let Some(variable) = thing.shift_remove("secret_env") else { continue };
            let Some(variable) = variable.as_str() else {
                let shown = abridged(&variable.to_string());
                wrong("secret_env", &format!("is `{shown}`: give the name of an environment variable, as a string"));
                continue;
            };
            match std::env::var(variable).ok().filter(|value| !value.is_empty()) {
                Some(value) => drop(thing.insert("secret".to_owned(), value.into())),
                None => {
                    let shown = abridged(variable);
                    wrong("secret_env", &format!("the variable `{shown}` is not set: set it to the secret's value"));
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
                let place =
                    Position { file: artifact.path.clone(), path: String::new(), lines: std::rc::Rc::default() };
                things.push((json!({"name": name, "digest": digest}), place));
                continue;
            };
            let Some(thing) = thing.as_object_mut() else { continue };
            let given = thing.get("digest").and_then(Value::as_str).unwrap_or_default();
            if !digest.starts_with(given) {
                let message = format!("does not match {}, whose digest is {digest}", artifact.path.display());
                self.mistakes.push(place.message_about(PLUGINS, name, "digest", &message));
            }
            thing.insert("digest".to_owned(), digest.into());
        }
    }

    /// The configuration in the format of the server's API.
    pub(super) fn configuration(&self) -> Value {
        let mut all = Map::new();
        for (section, things) in &self.sections {
            all.insert((*section).to_owned(), things.iter().map(|(thing, _)| thing.clone()).collect());
        }
        Value::Object(all)
    }

    /// An error that the server found, with its file and line.
    pub(super) fn place(&self, path: &str, message: &str) -> String {
        let path = path.strip_prefix("configuration.").unwrap_or(path);
        let found = path.split_once('[').and_then(|(section, rest)| {
            let (number, inner) = rest.split_once(']')?;
            let (thing, place) = self.sections.get(section)?.get(number.parse::<usize>().ok()?)?;
            Some((section, name_of(thing), place, inner.trim_start_matches('.')))
        });
        match found {
            Some((section, name, place, inner)) => place.message_about(section, &name, inner, message),
            None if path.is_empty() => message.to_owned(),
            None => format!("{path}: {message}"),
        }
    }
}

impl Position {
    /// A message about a field of the object at this position; an empty field: about the whole object.
    fn message_about(&self, section: &str, name: &str, field: &str, message: &str) -> String {
        let thing = if name.is_empty() { self.path.clone() } else { format!("{section} `{name}`") };
        let inner = if field.is_empty() { String::new() } else { format!(" {field}:") };
        self.message(field, &format!("{thing}:{inner} {message}"))
    }

    /// A message with the file, and the line of the field as near as it is known.
    fn message(&self, field: &str, message: &str) -> String {
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

/// The name of an object; empty if it is unknown.
fn name_of(thing: &Value) -> String {
    thing.get("name").and_then(Value::as_str).map(abridged).unwrap_or_default()
}

/// The error for a path without any configuration, which may be the wrong folder.
fn nothing_in(from: &Path) -> Failed {
    let known = SECTIONS.join(", ");
    let message = if from.is_dir() {
        format!(
            "no configuration was found in the folder {}: it has no *.yaml, *.yml or *.json with any of the sections \
             {known}, and no plugins/*.wasm; folders in it are not read",
            from.display()
        )
    } else {
        format!("no configuration was found in the file {}: write any of the sections {known}", from.display())
    };
    problem("configuration.not_found", message)
}

fn is_component(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "wasm") && path.is_file()
}

/// The entries of a folder, by name, without hidden ones.
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
    fn every_error_of_every_file_is_reported_with_its_position() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        file("a.yaml", "automations:\n  - name: a\n---\nwebhooks:\n  - name: w\n    secret: whsec_x\nother: []\n");
        file("b.yml", "a: [");
        file("c.json", "{\"webhooks\": [{\"name\": \"v\", \"secret_env\": \"HOOKWRIGHT_NOT_SET\"}]}");
        let files = Files::read(folder.path()).unwrap();
        let error = files.failure([]).unwrap().to_string();
        for part in [
            "a.yaml:6: webhooks `w`: secret: must not be written in a file",
            "a.yaml:7: `other` is not a section",
            "b.yml:",
            "c.json:1: webhooks `v`: secret_env: the variable `HOOKWRIGHT_NOT_SET` is not set",
        ] {
            assert!(error.contains(part), "{part}: {error}");
        }
        assert_eq!(files.incomplete().len(), SECTIONS.len(), "b.yml may have anything");
        let known = files.configuration();
        assert_eq!(known["automations"], json!([{"name": "a"}]), "what can be read is checked");
        assert!(!known.to_string().contains("whsec_x"), "a secret is not sent: {known}");
        let offline = files.unchecked(problem("server.unreachable", "nobody is there")).to_string();
        assert!(offline.contains("a.yaml:6") && offline.contains("nobody is there"), "{offline}");
    }

    #[test]
    fn a_json_file_with_a_duplicate_name_is_rejected() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.json"), "{\"keys\": [{\"name\": \"a\"}],\n \"keys\": []}").unwrap();
        let files = Files::read(folder.path()).unwrap();
        let error = files.failure([]).unwrap().to_string();
        assert!(error.contains("a.json:2: `keys` is given twice in one object"), "{error}");
        assert_eq!((files.configuration(), files.incomplete().len()), (json!({}), SECTIONS.len()));
    }

    #[test]
    fn a_path_without_any_configuration_is_an_error() {
        let folder = tempfile::tempdir().unwrap();
        let failed = |from: &Path| Files::read(from).err().map(|error| error.to_string()).unwrap_or_default();
        let expected =
            format!("configuration.not_found: no configuration was found in the folder {}", folder.path().display());
        assert!(failed(folder.path()).starts_with(&expected), "{}", failed(folder.path()));
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/a.yaml"), "automations: []\n").unwrap();
        std::fs::write(folder.path().join("README.md"), "automations: []\n").unwrap();
        assert!(failed(folder.path()).starts_with(&expected), "{}", failed(folder.path()));
        let file = folder.path().join("a.yaml");
        std::fs::write(&file, "# nothing\n").unwrap();
        assert!(failed(&file).contains("no configuration was found in the file"), "{}", failed(&file));
        assert!(failed(folder.path()).starts_with(&expected));
        std::fs::write(&file, "automations: []\n").unwrap();
        assert_eq!(failed(folder.path()), "");
    }

    #[test]
    fn numbers_in_files_keep_their_digits() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\"sources\": [{\"name\": \"a\", \"with\": {\"n\": 12345678901234567890, \"m\": -0}}]}";
        for name in ["a.json", "a.yaml"] {
            std::fs::write(folder.path().join(name), text).unwrap();
            let read = Files::read(&folder.path().join(name)).unwrap();
            assert_eq!(read.configuration(), serde_json::from_str::<Value>(text).unwrap(), "{name}");
        }
    }

    #[test]
    fn errors_in_json_files_have_line_numbers() {
        let folder = tempfile::tempdir().unwrap();
        let text = "{\n  \"keys\": [\n    {\"name\": \"k\",\n     \"role\": 5}\n  ]\n}\n";
        std::fs::write(folder.path().join("a.json"), text).unwrap();
        let told = Files::read(folder.path()).unwrap().place("keys[0].role", "is wrong");
        assert!(told.ends_with("a.json:4: keys `k`: role: is wrong"), "{told}");
    }

    #[test]
    fn a_section_without_a_value_is_rejected_and_an_empty_list_accepted() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a.yaml"), "automations: []\nkeys:\n#  - name: a\n").unwrap();
        let files = Files::read(folder.path()).unwrap();
        let error = files.failure([]).unwrap().to_string();
        assert!(error.contains("a.yaml:2: `keys` has no value: write `[]` for an empty list"), "{error}");
        assert_eq!(files.incomplete(), ["keys"]);
        std::fs::write(folder.path().join("a.yaml"), "automations: []\n").unwrap();
        assert_eq!(Files::read(folder.path()).unwrap().configuration(), serde_json::json!({"automations": []}));
    }

    #[test]
    fn objects_of_several_files_form_one_section_and_keep_their_positions() {
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
