//! How much of a request an error repeats. Names and values are cut where a message shows them; a whole message and a path
//! are bounded as well, so that no error grows with the request.

/// Maximum number of characters of a name or a value in a message.
const MAX_SHOWN: usize = 200;
/// Maximum number of characters of a message.
const MAX_MESSAGE: usize = 2000;
/// How many characters remain at the beginning of an abridged message, and at its end, where the remedy is.
const MESSAGE_BEGINNING: usize = 1400;
const MESSAGE_END: usize = 500;
/// Maximum number of characters of a path.
const MAX_PATH: usize = 500;

/// A name or a value as a message shows it: of more than 200 characters the first 200, an ellipsis and their number.
pub fn abridged(text: &str) -> String {
    beginning(text, MAX_SHOWN)
}

/// A message that may contain a whole value: of more than 2000 characters the beginning, their number and the end.
pub fn abridged_message(message: String) -> String {
    // A character has at least one byte, so most messages need not be counted.
    if message.len() <= MAX_MESSAGE {
        return message;
    }
    let count = message.chars().count();
    let end_of_beginning = message.char_indices().nth(MESSAGE_BEGINNING);
    let beginning_of_end = message.char_indices().nth(count.saturating_sub(MESSAGE_END));
    match (end_of_beginning, beginning_of_end) {
        (Some((first, _)), Some((last, _))) if count > MAX_MESSAGE => {
            let (beginning, end) = (message.get(..first).unwrap_or_default(), message.get(last..).unwrap_or_default());
            format!("{beginning}… ({count} characters) …{end}")
        }
        _ => message,
    }
}

/// The path of a validation error: of more than 500 characters the first 500, an ellipsis and their number.
pub(crate) fn abridged_path(path: String) -> String {
    if path.len() <= MAX_PATH { path } else { beginning(&path, MAX_PATH) }
}

fn beginning(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        None => text.to_owned(),
        Some((end, _)) => {
            format!("{}… ({} characters)", text.get(..end).unwrap_or_default(), text.chars().count())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_value_is_truncated_and_its_length_is_shown() {
        for short in ["", "a", &"é".repeat(200)] {
            assert_eq!(abridged(short), short);
        }
        assert_eq!(abridged(&"é".repeat(201)), format!("{}… (201 characters)", "é".repeat(200)));
    }

    #[test]
    fn a_long_message_is_abridged_between_its_beginning_and_the_remedy() {
        for short in ["a".repeat(2000), "é".repeat(2000)] {
            assert_eq!(abridged_message(short.clone()), short);
        }
        let message = format!("unknown field `{}`, expected `name`", "é".repeat(900_000));
        let shown = abridged_message(message.clone());
        assert!(shown.starts_with("unknown field `éé") && shown.ends_with("éé`, expected `name`"), "{shown}");
        assert!(shown.contains(&format!("… ({} characters) …", message.chars().count())), "{shown}");
        assert!(shown.chars().count() <= 2000, "{shown}");
        assert_eq!(abridged_message(shown.clone()), shown);
    }

    #[test]
    fn a_long_path_is_cut() {
        assert_eq!(abridged_path("then[0].with".to_owned()), "then[0].with");
        let shown = abridged_path("n".repeat(900_000));
        assert!(shown.ends_with("… (900000 characters)") && shown.len() < 600, "{shown}");
    }
}
