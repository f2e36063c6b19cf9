//! Regular expressions, with the groups that took no part in a match.

use jaq_core::native::{Fun, bome, v};
use jaq_core::{Cv, Error, ValR};
use jaq_json::{Map, Val};
use jaq_std::ValT as _;
use regex_bites::bytes::RegexBuilder;

use crate::data::Data;

/// `all_captures(re; flags)`: a list of matches, each a list of the whole match and its groups.
pub(crate) fn function() -> Fun<Data> {
    use jaq_core::native::run;
    run(("all_captures", v(2), |cv| bome(all_captures(cv))))
}

fn all_captures(mut cv: Cv<'_, Data>) -> ValR<Val> {
    let flags = cv.0.pop_var();
    let pattern = cv.0.pop_var();
    let text = text_of(&cv.1)?.to_owned();
    let (flags, pattern) = (text_of(&flags)?, text_of(&pattern)?);
    let mut builder = RegexBuilder::new(pattern);
    let (mut global, mut ignores_empty) = (false, false);
    for flag in flags.chars() {
        match flag {
            'g' => global = true,
            'n' => ignores_empty = true,
            'i' => _ = builder.case_insensitive(true),
            'x' => _ = builder.ignore_whitespace(true),
            's' => _ = builder.dot_matches_new_line(true),
            'l' => _ = builder.swap_greed(true),
            'm' => _ = builder.multi_line(true),
            'p' => _ = builder.multi_line(true).dot_matches_new_line(true),
            other => return Err(Error::str(format!("invalid regex flag: {other}"))),
        }
    }
    let regex = builder.build().map_err(|error| Error::str(format!("invalid regex: {error}")))?;
    let mut matches = Vec::new();
    for found in regex.captures_iter(text.as_bytes()) {
        let whole_is_empty = found.get(0).is_none_or(|whole| whole.as_bytes().is_empty());
        if ignores_empty && whole_is_empty {
            continue;
        }
        let groups = found.iter().zip(regex.capture_names()).map(|(group, name)| {
            let range = group.map(|group| (group.start(), group.end()));
            described(&text, range, name)
        });
        matches.push(groups.collect::<Val>());
        if !global {
            break;
        }
    }
    Ok(matches.into_iter().collect())
}

fn text_of(value: &Val) -> Result<&str, Error<Val>> {
    let bytes = value.as_utf8_bytes().ok_or_else(|| Error::typ(value.clone(), "string"))?;
    std::str::from_utf8(bytes).map_err(Error::str)
}

/// A group as jq shows it: offset and length in characters.
fn described(text: &str, range: Option<(usize, usize)>, name: Option<&str>) -> Val {
    let characters = |end: usize| text.get(..end).map_or(0, |part| part.chars().count());
    let part = range.and_then(|(start, end)| text.get(start..end));
    let (offset, string) = match (range, part) {
        (Some((start, _)), Some(part)) => (Val::from(characters(start)), Val::from(part.to_owned())),
        _ => (Val::from(-1_isize), Val::Null),
    };
    let length = Val::from(part.map_or(0, |part| part.chars().count()));
    let name = name.map_or(Val::Null, |name| Val::from(name.to_owned()));
    let members = [("offset", offset), ("length", length), ("string", string), ("name", name)];
    Val::obj(members.into_iter().map(|(name, value)| (Val::from(name.to_owned()), value)).collect::<Map>())
}
