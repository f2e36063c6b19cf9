//! Variables in mail addresses. Event data can be at most a part of one name or of one address: it cannot add an
//! address, nor change another one.

use hookwright_model::{split_addresses, written};

/// The validation error of `filled`: the string `template` with its variables filled in, or an entry of the list that
/// is the value of the only variable of `template`.
pub(super) fn wrong(template: &str, filled: &str) -> Option<String> {
    let shown = || crate::cut::cut(filled, 100).escape_debug().to_string();
    let Some(literals) = written(template) else {
        // The variable is the whole string: one address, with a name or without.
        let count = split_addresses(filled).len();
        return (count > 1).then(|| {
            let shown = shown();
            format!(
                "is `{shown}`, {count} addresses in one text that a variable stands for: give one address, or a list that has \
                 each address as an entry of its own"
            )
        });
    };
    // A backslash before a variable would quote the first character of the value.
    let escapes = literals.iter().any(|literal| literal.ends_with('\\'));
    let literals = literals.concat();
    // In a comment a double quote quotes nothing, so every mark counts.
    let everywhere = literals.contains('(');
    // Every mark of the literals is in `filled` too, in the same order. If there are no others, the values have none.
    let same = marks(&literals, everywhere) == marks(filled, everywhere);
    (escapes || !same).then(|| {
        let shown = shown();
        format!(
            "is `{shown}`, in which the value of a variable could change which part is an address: between other \
             text it is a part of one name or one address, without double quotes and backslashes, and without ( ) < > , ; \
             unless it stands in double quotes"
        )
    })
}

/// The characters of a string that delimit names and addresses.
fn marks(text: &str, everywhere: bool) -> String {
    let (mut found, mut quoted, mut escaped) = (String::new(), false, false);
    for c in text.chars() {
        let is_mark = match c {
            '"' | '\\' => true,
            '(' | ')' | '<' | '>' | ',' | ';' => everywhere || !quoted,
            _ => false,
        };
        if is_mark {
            found.push(c);
        }
        match c {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            _ => {}
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn data_is_at_most_a_part_of_one_name_or_one_address() {
        let named = r#""{{name}}" <{{mail}}>"#;
        for (template, filled, good) in [
            ("{{to}}", "a@example.com", true),
            ("{{to}}", r#""Doe, Ada" <a@example.com>"#, true),
            ("{{to}}", "", true),
            ("{{to}}", "a@example.com, evil@example.com", false),
            (named, r#""Ada" <a@example.com>"#, true),
            (named, r#""Doe, Ada (Sales) <x>; @" <a@example.com>"#, true),
            (named, r#""" <a@example.com>"#, true),
            (named, r#""evil" <evil@example.com>, "x" <a@example.com>"#, false),
            (named, r#""evil" <evil@example.com> "" <a@example.com>"#, false),
            (named, r#""Ada\" <a@example.com>"#, false),
            (named, r#""Ada" <a@example.com>, <evil@example.com>"#, false),
            ("{{name}} <{{mail}}>", "Ada <a@example.com>", true),
            ("{{name}} <{{mail}}>", "Doe, Ada <a@example.com>", false),
            ("{{name}} <{{mail}}>", "Ada (x) <a@example.com>", false),
            ("ops@example.com, {{m}}", "ops@example.com, a@example.com", true),
            ("ops@example.com, {{m}}", "ops@example.com, ", true),
            ("ops@example.com, {{m}}", "ops@example.com, a@example.com, evil@example.com", false),
            ("{{user}}@example.com", "a.b+c@example.com", true),
            ("{{user}}@example.com", "evil@example.org,a@example.com", false),
            ("{{user}}@example.com", "<evil@example.org>@example.com", false),
            // One value opens a comment and another closes it, so the number of addresses is unchanged.
            (r#""{{a}}" <{{b}}>, {{c}}"#, r#""e" <evil@example.com>, z (" <b@example.com>, ) <c@example.com>"#, false),
            (r#"A (" {{a}} ") <a@example.com>"#, r#"A (" ) " (") <a@example.com>"#, false),
            (r#"A (" {{a}} ") <a@example.com>"#, r#"A (" x ") <a@example.com>"#, true),
            (r#""A\{{a}}" <a@example.com>"#, r#""A\b" <a@example.com>"#, false),
        ] {
            assert_eq!(wrong(template, filled).is_none(), good, "{template} {filled}");
        }
    }
}
