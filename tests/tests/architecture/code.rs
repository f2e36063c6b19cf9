//! `unsafe`: one block in the server.

use crate::tree::Tree;

/// The file that loads code which the same server compiled before.
const REVIEWED: &str = "host/plugin/src/cache.rs";
/// The files that were reviewed, with how often each has the keyword.
const ALLOWED: [(&str, usize); 1] = [(REVIEWED, 1)];

/// Uses of the keyword, in all but comments and texts, beyond those that are allowed.
pub(crate) fn unsafe_blocks(tree: &Tree) -> Vec<String> {
    let mut complaints = Vec::new();
    for (file, text) in tree.texts().filter(|(file, _)| file.ends(&["rs"])) {
        let found =
            code_of(text).split(|c: char| c != '_' && !c.is_alphanumeric()).filter(|word| *word == "unsafe").count();
        let allowed = ALLOWED.iter().find(|(path, _)| *path == file.path).map_or(0, |(_, allowed)| *allowed);
        if found > allowed {
            complaints.push(format!("{}: {found} times `unsafe`, {allowed} allowed", file.path));
        }
        if found < allowed {
            complaints.push(format!("{}: {found} times `unsafe`, {allowed} expected: correct this test", file.path));
        }
    }
    complaints
}

/// Rust source with comments, texts and characters blanked out.
fn code_of(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else if let Some(length) =
            raw_text(rest).filter(|_| !code.ends_with(|c: char| c == '_' || c.is_alphanumeric()))
        {
            length
        } else if first == '"' {
            quoted(rest, '"')
        } else if first == '\'' && is_character(rest) {
            quoted(rest, '\'')
        } else {
            code.push(first);
            rest = &rest[first.len_utf8()..];
            continue;
        };
        code.push(' ');
        rest = &rest[length..];
    }
    code
}

/// The length of a block comment, with those inside of it.
fn comment(text: &str) -> usize {
    let (mut depth, mut place) = (0_usize, 0);
    while place < text.len() {
        if text[place..].starts_with("/*") {
            depth += 1;
            place += 2;
        } else if text[place..].starts_with("*/") {
            depth -= 1;
            place += 2;
            if depth == 0 {
                return place;
            }
        } else {
            place += text[place..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// The length of a raw text such as `r#"..."#` or `br"..."`, if one begins here.
fn raw_text(text: &str) -> Option<usize> {
    let after = text.strip_prefix("br").or_else(|| text.strip_prefix("cr")).or_else(|| text.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let content = after[hashes..].strip_prefix('"')?;
    let end = format!("\"{}", "#".repeat(hashes));
    let close = content.find(&end).map_or(content.len(), |place| place + end.len());
    Some(text.len() - content.len() + close)
}

/// The length of what stands between two `quote`s, with them.
fn quoted(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (place, c) in text.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return place + 1,
            _ => {}
        }
    }
    text.len()
}

/// Whether a `'` begins a character rather than a lifetime.
fn is_character(text: &str) -> bool {
    let mut chars = text.chars().skip(1);
    matches!((chars.next(), chars.next()), (Some('\\'), _) | (Some(_), Some('\'')))
}

#[test]
fn a_second_unsafe_block_is_reported() {
    let one = "// SAFETY: ours.\nunsafe { load() }";
    let good = Tree::of(&[
        (REVIEWED, one),
        (
            "host/store/src/lib.rs",
            "#![deny(unsafe_code)] // unsafe\nlet c = '\"'; /* unsafe /* unsafe */ unsafe */ r#\"unsafe\"# \"unsafe \\\" unsafe\"",
        ),
        ("docs/safety.md", "unsafe"),
    ]);
    assert_eq!(unsafe_blocks(&good), Vec::<String>::new());
    for (path, text) in [
        (REVIEWED, "unsafe { load() } unsafe { load() }"),
        ("host/store/src/lib.rs", "let c = '\"'; unsafe { x() } // \""),
        ("plugins/sdk/src/lib.rs", "fn a<'a>(x: &'a str) { unsafe{} }"),
        ("xtask/src/main.rs", "pub unsafe fn x() {}"),
    ] {
        assert_eq!(unsafe_blocks(&Tree::of(&[(path, text)])).len(), 1, "{path}: {text}");
    }
    assert_eq!(unsafe_blocks(&Tree::of(&[(REVIEWED, "fn main() {}")])).len(), 1);
}
