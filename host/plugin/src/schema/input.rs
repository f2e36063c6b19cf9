use hookwright_model::Mistake;
use serde_json::{Map, Value};

use super::Schema;

/// The JSON Schema (2020-12) of a workflow's input. Bounded as a plugin's is.
pub struct InputSchema(Schema);

impl InputSchema {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence about what is wrong with the schema.
    pub fn new(schema: &Map<String, Value>) -> Result<Self, String> {
        let compiled = Schema::new(&Value::Object(schema.clone()));
        compiled.map(Self).map_err(|error| error.replacen("`parameters` is", "it is", 1))
    }

    /// The validation errors of `input`. Paths begin with `input`.
    pub fn check(&self, input: &Value) -> Vec<Mistake> {
        self.0.check(input).into_iter().map(|mistake| Mistake::new(at(&mistake.path), mistake.message)).collect()
    }

    /// The validation errors that do not depend on the values of variables in `input`.
    pub fn check_template(&self, input: &Value) -> Vec<Mistake> {
        let found = self.0.check_template(input);
        found.into_iter().map(|mistake| Mistake::new(at(&mistake.path), mistake.message)).collect()
    }
}

fn at(path: &str) -> String {
    match path {
        "" => "input".to_owned(),
        path if path.starts_with('[') => format!("input{path}"),
        path => format!("input.{path}"),
    }
}
