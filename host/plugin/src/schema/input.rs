use hookwright_model::Mistake;
use serde_json::{Map, Value};

use super::Schema;

/// A JSON Schema (2020-12) that is no plugin's: of what a workflow is started with. Bounded as a plugin's is.
pub struct InputSchema(Schema);

impl InputSchema {
    /// Compiles it.
    ///
    /// # Errors
    /// A sentence that says what is wrong with the schema.
    pub fn new(schema: &Map<String, Value>) -> Result<Self, String> {
        let compiled = Schema::new(&Value::Object(schema.clone()));
        compiled.map(Self).map_err(|error| error.replacen("`parameters` is", "it is", 1))
    }

    /// What is wrong with `input`; paths begin with `input`.
    pub fn check(&self, input: &Value) -> Vec<Mistake> {
        self.0.check(input).into_iter().map(|mistake| Mistake::new(at(&mistake.path), mistake.message)).collect()
    }

    /// The same, whatever the variables in `input` stand for.
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
