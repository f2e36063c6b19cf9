//! Keys and secrets in a document.

use hookwright_foundation::error::PipelineError;
use hookwright_model::Mistake;
use serde_json::{Map, Value};
use subtle::ConstantTimeEq as _;

use crate::configuration::compare::FieldChange;
use crate::configuration::part::Draft;

/// A secret that is replaced by another: neither is shown.
pub(crate) fn secret_changes() -> FieldChange {
    FieldChange { path: "secret".to_owned(), from: Some("(kept)".into()), to: Some("(another)".into()) }
}

/// Whether two secrets are the same, compared in constant time.
pub(crate) fn same_secret(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The secret of an item: given as a value, or as the name of a secret of the space.
pub(crate) fn secret_of(draft: &Draft<'_>, item: &mut Map<String, Value>) -> Result<Option<String>, PipelineError> {
    let text = |field: &str, value: Value| match value {
        Value::String(text) => Ok(text),
        _ => Err(Mistake::new(field, "is not a string")),
    };
    let mut taken = |field: &str| item.shift_remove(field).filter(|value| !value.is_null());
    let given = taken("secret").map(|value| text("secret", value)).transpose()?;
    let name = taken("secret_name").map(|value| text("secret_name", value)).transpose()?;
    let Some(name) = name else { return Ok(given) };
    if given.is_some() {
        return Err(Mistake::new("secret_name", "is given beside `secret`: keep one of them").into());
    }
    let Some(secret) = draft.configurations.store.secrets.secret(draft.space, &name)? else {
        let name = hookwright_model::abridged(&name);
        let message = format!("there is no secret `{name}` in this space: PUT /v1/secrets/{name} first");
        return Err(Mistake::new("secret_name", message).into());
    };
    let opened = draft.configurations.vault.open_sealed(&secret.sealed)?;
    let opened = String::from_utf8(opened).map_err(|_| Mistake::new("secret_name", "does not contain text"))?;
    Ok(Some(opened))
}
