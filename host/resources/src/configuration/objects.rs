//! Sets of objects of a space.

use std::collections::{HashMap, HashSet};

use crate::configuration::state::Section;

/// Objects by section and id. The section is part of the key: a workflow's id is its name, which people choose, and
/// which may equal the id of an automation.
#[derive(Default)]
pub(crate) struct ObjectSet(HashMap<Section, HashSet<String>>);

impl ObjectSet {
    pub(crate) fn insert(&mut self, section: Section, id: String) {
        self.0.entry(section).or_default().insert(id);
    }

    pub(crate) fn contains(&self, section: Section, id: &str) -> bool {
        self.0.get(&section).is_some_and(|ids| ids.contains(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_belongs_to_one_section() {
        let mut objects = ObjectSet::default();
        objects.insert(Section::Workflows, "aut_1".to_owned());
        assert!(objects.contains(Section::Workflows, "aut_1"));
        assert!(!objects.contains(Section::Automations, "aut_1"));
        assert!(!objects.contains(Section::Workflows, "aut_2"));
    }
}
