use std::collections::BTreeMap;
use std::sync::LazyLock;

use serde::Deserialize;

use crate::{EventPattern, Mistake};

/// The content of a vocabulary's file.
static ALL: LazyLock<Vec<Vocabulary>> = LazyLock::new(|| {
    let files = [
        include_str!("../../catalogue/capsule.json"),
        include_str!("../../catalogue/uspacy.json"),
        include_str!("../../catalogue/xurrent.json"),
    ];
    // A test reads each file. One that could not be read would be omitted.
    files.iter().filter_map(|text| serde_json::from_str(text).ok()).map(Vocabulary::indexed).collect()
});

/// The names of a reference system for event types.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vocabulary {
    /// `capsule`, `uspacy` or `xurrent`.
    name: String,
    /// Its display name.
    title: String,
    /// The separator between an entity and its operation.
    separator: String,
    /// Whether its names are matched exactly, because the system's clients get them back.
    #[serde(default)]
    exact: bool,
    /// Operations with the native verb of each.
    operations: BTreeMap<String, String>,
    /// Names that are not a pair, before the others.
    singles: Vec<Single>,
    /// In the order of the system's own list.
    entities: Vec<Entity>,
    /// Native types with the name of each.
    #[serde(skip)]
    names: BTreeMap<String, String>,
}

/// A name that is not a pair of an entity and an operation.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Single {
    name: String,
    /// Native types.
    types: Vec<String>,
}

/// An operation on an entity.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entity {
    name: String,
    /// The native kinds of record that it denotes, the main one first.
    kinds: Vec<String>,
    operations: Vec<String>,
    /// Further native types of an operation.
    #[serde(default)]
    also: BTreeMap<String, Vec<String>>,
}

impl Vocabulary {
    /// Every vocabulary.
    pub fn all() -> &'static [Self] {
        &ALL
    }

    /// The vocabulary of this name: `capsule`, `uspacy` or `xurrent`.
    pub fn named(name: &str) -> Option<&'static Self> {
        ALL.iter().find(|vocabulary| vocabulary.name == name)
    }

    /// What a native type is called in the vocabularies that have a word for it: the vocabulary's name with the word.
    pub fn words_for(event_type: &str) -> BTreeMap<String, String> {
        let words = ALL.iter().filter_map(|one| Some((one.name.clone(), one.name_of(event_type)?)));
        words.collect()
    }

    /// Its own name, `capsule`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its display name.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// Every name that a subscriber may use, in the order of the system's own list.
    pub fn names(&self) -> Vec<String> {
        let singles = self.singles.iter().map(|single| single.name.clone());
        singles.chain(self.entities.iter().flat_map(|entity| self.names_with(entity))).collect()
    }

    /// The native types that a name denotes. Unless the vocabulary is exact, letter case is ignored, and so is whether
    /// the words of an operation are joined by `_`, `-` or a space.
    ///
    /// The error names every valid name; for an operation that the entity does not have, the entity's first.
    pub fn parse(&self, name: &str) -> Result<Vec<EventPattern>, Mistake> {
        if let Some(single) = self.singles.iter().find(|single| self.same(&single.name, name)) {
            return Ok(patterns(single.types.iter().cloned()));
        }
        match name.split_once(self.separator.as_str()) {
            Some((entity, operation)) => self.pair(name, entity, operation),
            None => Err(self.no_name(name)),
        }
    }

    /// The name of a native type in this vocabulary's messages. `None`: the vocabulary has none.
    pub fn name_of(&self, event_type: &str) -> Option<String> {
        self.names.get(event_type).cloned()
    }

    /// Every native type that has a name here.
    pub fn native_types(&self) -> impl Iterator<Item = &str> {
        self.names.keys().map(String::as_str)
    }

    fn pair(&self, name: &str, entity: &str, operation: &str) -> Result<Vec<EventPattern>, Mistake> {
        let Some(found) = self.entities.iter().find(|one| self.same(&one.name, entity)) else {
            return Err(self.no_name(name));
        };
        match found.operations.iter().find(|own| self.same(own, operation)) {
            Some(operation) => Ok(patterns(self.types(found, operation).into_iter())),
            None => {
                let own = self.names_with(found);
                let others = self.names().into_iter().filter(|name| !own.contains(name)).collect::<Vec<_>>();
                let message = format!(
                    "`{}` cannot be: {} has {}. The others are {}",
                    shown(name),
                    found.name,
                    own.join(", "),
                    others.join(", ")
                );
                Err(Mistake::new("event", message))
            }
        }
    }

    /// Whether two words are equal. Unless the vocabulary is exact, case and the separators of their parts are ignored.
    fn same(&self, one: &str, other: &str) -> bool {
        let plain = |text: &str| text.trim().replace(['-', ' '], "_").to_ascii_lowercase();
        one == other || (!self.exact && plain(one) == plain(other))
    }

    fn no_name(&self, name: &str) -> Mistake {
        let message =
            format!("`{}` is not an event of {}: give one of {}", shown(name), self.name, self.names().join(", "));
        Mistake::new("event", message)
    }

    fn names_with(&self, entity: &Entity) -> Vec<String> {
        let joined = |operation: &String| format!("{}{}{operation}", entity.name, self.separator);
        entity.operations.iter().map(joined).collect()
    }

    /// The native types of an entity's operation, the first kind's first.
    fn types(&self, entity: &Entity, operation: &str) -> Vec<String> {
        let verb = self.operations.get(operation);
        let own = verb.into_iter().flat_map(|verb| entity.kinds.iter().map(move |kind| format!("{kind}.{verb}")));
        let also = entity.also.get(operation).into_iter().flatten().cloned();
        own.chain(also).collect()
    }

    fn indexed(mut self) -> Self {
        let mut names = BTreeMap::new();
        for single in &self.singles {
            names.extend(single.types.iter().map(|native| (native.clone(), single.name.clone())));
        }
        for entity in &self.entities {
            for operation in &entity.operations {
                let name = format!("{}{}{operation}", entity.name, self.separator);
                names.extend(self.types(entity, operation).into_iter().map(|native| (native, name.clone())));
            }
        }
        self.names = names;
        self
    }
}

/// A test checks that every type in the files is a valid pattern.
fn patterns(types: impl Iterator<Item = String>) -> Vec<EventPattern> {
    types.filter_map(|native| native.parse().ok()).collect()
}

fn shown(name: &str) -> String {
    crate::abridged(name)
}

#[cfg(test)]
mod tests;
