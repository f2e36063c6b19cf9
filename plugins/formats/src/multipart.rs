//! `multipart/form-data` (RFC 7578, and RFC 2046, section 5.1).

use hookwright_sdk::{Failure, inbound, shorten};

use crate::MediaType;

/// Parts of a form.
const MOST_PARTS: usize = 1000;

/// Bytes of a part's name.
const LONGEST_NAME: usize = 1024;

/// Bytes of one part's header fields.
const LARGEST_HEADER: usize = 8192;

/// The longest boundary that RFC 2046 allows.
const LONGEST_BOUNDARY: usize = 70;

/// A part of a form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part<'b> {
    /// The field's name.
    pub name: String,
    /// The file's name, if it is a file.
    pub filename: Option<String>,
    /// Its declared media type.
    pub content_type: Option<String>,
    /// The bytes.
    pub content: &'b [u8],
}

impl<'b> Part<'b> {
    /// The bytes as text, in the charset that the part names, else in UTF-8.
    ///
    /// # Errors
    /// They are not text in it (`form.encoding`).
    pub fn text(&self) -> Result<String, Failure> {
        let charset = self.content_type.as_deref().and_then(inbound::charset);
        inbound::text(self.content, charset.as_deref()).map_err(|said| {
            Failure::permanent("form.encoding", format!("the field {} {said}", shorten(&self.name, 60)))
        })
    }
}

/// The parts of a form, in order.
///
/// # Errors
/// The body is no such form (`form.invalid`), the header of a part is not UTF-8 (`form.encoding`), or it has too many parts
/// (`form.too_large`).
pub fn read<'b>(body: &'b [u8], boundary: &str) -> Result<Vec<Part<'b>>, Failure> {
    if boundary.is_empty() || boundary.len() > LONGEST_BOUNDARY {
        return Err(invalid(&format!(
            "the boundary has {} bytes, and 1 to {LONGEST_BOUNDARY} are allowed",
            boundary.len()
        )));
    }
    let delimiter = format!("--{boundary}");
    let Some(mut rest) = opened(body, delimiter.as_bytes()) else {
        return Err(invalid(&format!(
            "the boundary {} does not stand in the body ({} bytes)",
            shorten(&delimiter, 80),
            body.len()
        )));
    };
    let mut parts: Vec<Part<'b>> = Vec::new();
    while !rest.starts_with(b"--") {
        let number = parts.len() + 1;
        let Some((line_end, part)) = next_line(rest) else {
            return Err(invalid(&format!(
                "the body ends at the boundary before part {number}, which is not the closing one"
            )));
        };
        let closing = [line_end, delimiter.as_bytes()].concat();
        // A part without header fields and without content has the next boundary at its very beginning.
        let end = find(part, &closing)
            .ok_or_else(|| invalid(&format!("part {number} is not ended by the boundary: the body was cut off")))?;
        let (content, after) = part.split_at(end);
        let part = read_part(content, line_end, number)?;
        check_bounds(parts.len(), &part.name)?;
        parts.push(part);
        rest = after.get(closing.len()..).unwrap_or_default();
    }
    Ok(parts)
}

/// What follows the first boundary, which begins the body or a line of it.
fn opened<'b>(body: &'b [u8], delimiter: &[u8]) -> Option<&'b [u8]> {
    if let Some(rest) = body.strip_prefix(delimiter) {
        return Some(rest);
    }
    let with_line = [b"\n", delimiter].concat();
    body.get(find(body, &with_line)? + with_line.len()..)
}

/// The end of a boundary's line, after which the part begins, and how lines end. RFC 2046 wants CRLF; what was kept as
/// text somewhere may have LF.
fn next_line(rest: &[u8]) -> Option<(&'static [u8], &[u8])> {
    let blank = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    let rest = rest.get(blank..)?;
    if let Some(part) = rest.strip_prefix(b"\r\n") {
        return Some((b"\r\n", part));
    }
    rest.strip_prefix(b"\n").map(|part| (b"\n".as_slice(), part))
}

fn read_part<'b>(part: &'b [u8], line_end: &[u8], number: usize) -> Result<Part<'b>, Failure> {
    let blank = [line_end, line_end].concat();
    let end = find(part, &blank)
        .ok_or_else(|| invalid(&format!("part {number} has no empty line after its header fields")))?;
    let (head, content) = (part.get(..end).unwrap_or_default(), part.get(end + blank.len()..).unwrap_or_default());
    if head.len() > LARGEST_HEADER {
        return Err(invalid(&format!(
            "part {number} has {} bytes of header fields, at most {LARGEST_HEADER} are read",
            head.len()
        )));
    }
    let head = std::str::from_utf8(head).map_err(|_| not_utf_8(&format!("the header of part {number}")))?;
    let header = |wanted: &str| {
        head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            name.trim().eq_ignore_ascii_case(wanted).then(|| value.trim())
        })
    };
    let disposition = MediaType::read(header("content-disposition").unwrap_or_default());
    let name =
        disposition.parameter("name").filter(|_| disposition.name == "form-data").map(decoded).ok_or_else(|| {
            invalid(&format!("part {number} has no header field `content-disposition: form-data; name=\"..\"`"))
        })?;
    if let Some(coding) = header("content-transfer-encoding")
        && !["7bit", "8bit", "binary"].iter().any(|plain| coding.eq_ignore_ascii_case(plain))
    {
        return Err(invalid(&format!(
            "part {number} is encoded as {}: RFC 7578 allows no content-transfer-encoding",
            shorten(coding, 60)
        )));
    }
    let filename = disposition.parameter("filename").map(decoded);
    Ok(Part { name, filename, content_type: header("content-type").map(str::to_owned), content })
}

/// Refuses a form that is larger than anybody fills in.
///
/// # Errors
/// `form.too_large`: it has more than 1000 fields, or one with a name of more than 1024 bytes.
pub fn check_bounds(fields: usize, name: &str) -> Result<(), Failure> {
    if fields >= MOST_PARTS {
        return Err(Failure::permanent("form.too_large", format!("the form has more than {MOST_PARTS} fields")));
    }
    if name.len() > LONGEST_NAME {
        return Err(Failure::permanent(
            "form.too_large",
            format!("the name {} is {} bytes long, at most {LONGEST_NAME} are read", shorten(name, 60), name.len()),
        ));
    }
    Ok(())
}

/// A name as browsers write it: quotes and line ends are percent-encoded, and nothing else is.
fn decoded(name: &str) -> String {
    name.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n")
}

fn invalid(problem: &str) -> Failure {
    Failure::permanent("form.invalid", format!("the body is not multipart/form-data: {problem}"))
}

fn not_utf_8(what: &str) -> Failure {
    Failure::permanent("form.encoding", format!("{what} is not UTF-8: have the sender encode the form as UTF-8"))
}

/// The first position of `part` in `whole`.
#[must_use]
pub fn find(whole: &[u8], part: &[u8]) -> Option<usize> {
    let (first, _) = part.split_first()?;
    let mut from = 0;
    while let Some(rest) = whole.get(from..) {
        let at = from + rest.iter().position(|byte| byte == first)?;
        if whole.get(at..).is_some_and(|rest| rest.starts_with(part)) {
            return Some(at);
        }
        from = at + 1;
    }
    None
}
