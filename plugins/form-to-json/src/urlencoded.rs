//! `application/x-www-form-urlencoded` (WHATWG URL standard, section 5.1).

use hookwright_formats::multipart::check_bounds;
use hookwright_sdk::{Failure, inbound};

use crate::field::Field;

/// The fields of a form, in order.
///
/// # Errors
/// A name or a value is not text in the form's charset, which is UTF-8 unless the media type names another
/// (`form.encoding`), or there are too many (`form.too_large`).
pub(crate) fn read(body: &[u8], charset: Option<&str>) -> Result<Vec<Field>, Failure> {
    let fields = inbound::form_fields(body, charset).map_err(|said| Failure::permanent("form.encoding", said))?;
    let mut checked = Vec::with_capacity(fields.len());
    for (name, value) in fields {
        check_bounds(checked.len(), &name)?;
        checked.push((name, value.into()));
    }
    Ok(checked)
}
