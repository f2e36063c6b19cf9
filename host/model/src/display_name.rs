//! The validation of display names, and of other strings that are shown in one line.

use crate::Mistakes;

/// Maximum number of characters of a name.
const MAX_NAME: usize = 256;

/// Whether a character is not allowed in one line of text: a control character, a separator of lines or paragraphs, or
/// one that changes the direction of the text around it, so that a name looks like another one (UAX #9, explicit
/// formatting).
/// Characters that join or mark letters, such as U+200D in emoji and U+200F in Hebrew, are part of names.
pub fn breaks_line(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202A}'..='\u{202E}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character is invisible by itself: whitespace, one that only joins, marks or separates others (Unicode 16,
/// `Default_Ignorable_Code_Point`), or U+2800, a Braille pattern without dots.
fn is_invisible(c: char) -> bool {
    c.is_whitespace()
        || matches!(
            c,
            '\u{AD}'
                | '\u{34F}'
                | '\u{61C}'
                | '\u{115F}'..='\u{1160}'
                | '\u{17B4}'..='\u{17B5}'
                | '\u{180B}'..='\u{180F}'
                | '\u{200B}'..='\u{200F}'
                | '\u{202A}'..='\u{202E}'
                | '\u{2060}'..='\u{206F}'
                | '\u{2800}'
                | '\u{3164}'
                | '\u{FE00}'..='\u{FE0F}'
                | '\u{FEFF}'
                | '\u{FFA0}'
                | '\u{FFF0}'..='\u{FFF8}'
                | '\u{1BCA0}'..='\u{1BCA3}'
                | '\u{1D173}'..='\u{1D17A}'
                | '\u{E0000}'..='\u{E0FFF}'
        )
}

/// Validates a display name: 1 to 256 characters in one line, at least one of which is visible.
pub fn check_display_name(path: &str, name: &str, mistakes: &mut Mistakes) {
    check_line(path, name, MAX_NAME, mistakes);
}

/// Validates a string that is shown in one line: 1 to `most` characters, at least one of which is visible.
pub fn check_line(path: &str, text: &str, most: usize, mistakes: &mut Mistakes) {
    let length = text.chars().count();
    if length > most {
        mistakes.add(path, format!("has {length} characters: give it 1 to {most}"));
    } else if text.trim().is_empty() {
        mistakes.add(path, format!("is blank: give it 1 to {most} characters"));
    } else if let Some(first) = text.chars().next().filter(|_| text.chars().all(is_invisible)) {
        let message = format!(
            "has invisible characters only, the first of which is U+{:04X}: give it 1 to {most} that are shown",
            u32::from(first)
        );
        mistakes.add(path, message);
    } else if let Some((place, control)) = text.chars().enumerate().find(|(_, letter)| breaks_line(*letter)) {
        let message = format!(
            "has the control character U+{:04X} at character {}: give it one line, without control characters",
            u32::from(control),
            place.saturating_add(1)
        );
        mistakes.add(path, message);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_line_that_is_shown_as_it_is_written() {
        let checked = |name: &str| {
            let mut mistakes = Mistakes::default();
            check_display_name("name", name, &mut mistakes);
            mistakes.check().map_err(|mistakes| mistakes.to_string())
        };
        for name in ["a", "Größe", "👩\u{200d}💻", "שלום\u{200f}!", "می\u{200c}خواهم", &"ü".repeat(256)]
        {
            assert_eq!(checked(name), Ok(()), "{name}");
        }
        for control in
            ['\0', '\n', '\u{7f}', '\u{85}', '\u{2028}', '\u{2029}', '\u{202a}', '\u{202e}', '\u{2066}', '\u{2069}']
        {
            let refused = checked(&format!("a{control}b")).unwrap_err();
            let expected = format!("name: has the control character U+{:04X} at character 2", u32::from(control));
            assert!(refused.starts_with(&expected), "{refused}");
        }
        for (name, part) in [
            ("", "is blank"),
            (" \u{a0}", "is blank"),
            (&*"n".repeat(257), "has 257 characters"),
            ("\u{200b}", "invisible characters only, the first of which is U+200B"),
            ("\u{feff} \u{200d}", "invisible characters only, the first of which is U+FEFF"),
            ("\u{3164}\u{fe0f}", "invisible characters only"),
            ("\u{2800}", "invisible characters only"),
            ("\u{e0061}", "invisible characters only"),
        ] {
            let refused = checked(name).unwrap_err();
            assert!(refused.contains(part), "{refused}");
        }
    }
}
