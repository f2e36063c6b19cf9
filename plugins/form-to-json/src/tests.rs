//! Which form becomes which JSON: the rows are the specification.

use hookwright_sdk::testing::{self, apply};
use hookwright_sdk::{Failure, Message, Transformed};
use serde_json::{Value, json};

use crate::FormToJson;

const URLENCODED: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=XX";

fn transform(content_type: &str, body: &[u8], parameters: Value) -> Result<Value, Failure> {
    let message =
        Message { headers: vec![("x-a".into(), "1".into())], content_type: content_type.into(), body: body.into() };
    match apply::<FormToJson>(&testing::event("x", json!({})), message, parameters)? {
        Transformed::Send(message) => {
            assert_eq!((message.content_type.as_str(), message.headers.len()), ("application/json", 1));
            message.json()
        }
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

/// A multipart body of parts, each its header fields and its content.
fn parts(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut body = Vec::new();
    for (head, content) in parts {
        body.extend_from_slice(format!("--XX\r\n{head}\r\n\r\n").as_bytes());
        body.extend_from_slice(content);
        body.extend_from_slice(b"\r\n");
    }
    body.extend_from_slice(b"--XX--\r\n");
    body
}

#[test]
fn an_encoded_form_is_names_with_strings() {
    for (form, expected) in [
        ("", json!({})),
        ("a=1&b=two", json!({"a": "1", "b": "two"})),
        ("a=1&a=2&a=3", json!({"a": ["1", "2", "3"]})),
        ("a", json!({"a": ""})),
        ("a=", json!({"a": ""})),
        ("=x", json!({"": "x"})),
        ("a=b=c", json!({"a": "b=c"})),
        ("&&a=1&&", json!({"a": "1"})),
        ("a+b=c+d%20e%2B", json!({"a b": "c d e+"})),
        ("a=%C3%BC%F0%9F%98%80", json!({"a": "ü😀"})),
        ("a=ü", json!({"a": "ü"})),
        ("a=100%&b=%zz&c=%4", json!({"a": "100%", "b": "%zz", "c": "%4"})),
        ("a=%26%3D", json!({"a": "&="})),
        ("a[b]=1&a[]=2", json!({"a[b]": "1", "a[]": "2"})),
    ] {
        assert_eq!(transform(URLENCODED, form.as_bytes(), json!({})).unwrap(), expected, "{form}");
    }
    let charset = "Application/X-WWW-Form-URLencoded; charset=UTF-8";
    assert_eq!(transform(charset, b"a=1", json!({})).unwrap(), json!({"a": "1"}));
    assert_eq!(transform(URLENCODED, b"a=1&b=2", json!({"arrays": ["a"]})).unwrap(), json!({"a": ["1"], "b": "2"}));
}

#[test]
fn brackets_say_where_a_value_belongs() {
    for (form, expected) in [
        ("a=1", json!({"a": "1"})),
        ("a[b]=1&a[c]=2", json!({"a": {"b": "1", "c": "2"}})),
        ("a[b][c]=1", json!({"a": {"b": {"c": "1"}}})),
        ("a[]=1", json!({"a": ["1"]})),
        ("a[]=1&a[]=2&a=3", json!({"a": ["1", "2", "3"]})),
        ("a[b][]=1&a[b][]=2", json!({"a": {"b": ["1", "2"]}})),
        ("a[b]=1&a[b]=2", json!({"a": {"b": ["1", "2"]}})),
        ("a[1]=y&a[0]=x", json!({"a": ["x", "y"]})),
        ("a[0][b]=1&a[1][b]=2", json!({"a": [{"b": "1"}, {"b": "2"}]})),
        (
            "a[10]=k&a[9]=j&a[8]=i&a[7]=h&a[6]=g&a[5]=f&a[4]=e&a[3]=d&a[2]=c&a[1]=b&a[0]=a",
            json!({"a": ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"]}),
        ),
        ("a[5]=x", json!({"a": {"5": "x"}})),
        ("a[00]=x&a[x]=y", json!({"a": {"00": "x", "x": "y"}})),
        (
            "a[b=1&a]b=2&[c]=3&a[b]c=4&a[[b]]=5",
            json!({"a[b": "1", "a]b": "2", "[c]": "3", "a[b]c": "4", "a[[b]]": "5"}),
        ),
        ("a%5Bb%5D=1", json!({"a": {"b": "1"}})),
    ] {
        assert_eq!(transform(URLENCODED, form.as_bytes(), json!({"brackets": true})).unwrap(), expected, "{form}");
    }
    for (form, said) in [
        ("a=1&a[b]=2", "the name a[b] conflicts with a name"),
        ("a[b]=1&a=2", "the name a conflicts with"),
        ("a[]=1&a[b]=2", "conflicts with"),
        ("a[][b]=1", "has [] before its end"),
        (&format!("a{}=1", "[b]".repeat(17)), "more than 16 brackets"),
    ] {
        let failure = transform(URLENCODED, form.as_bytes(), json!({"brackets": true})).unwrap_err();
        assert_eq!(failure.code, "form.invalid", "{form}: {}", failure.message);
        assert!(failure.message.contains(said), "{form}: {}", failure.message);
    }
}

#[test]
fn a_multipart_form_is_fields_and_files() {
    let body = parts(&[
        ("Content-Disposition: form-data; name=\"title\"", "Grüße\r\n--X".as_bytes()),
        ("content-disposition: form-data; name=tag", b"a"),
        ("Content-Disposition: form-data; name=\"tag\"\r\nContent-Type: text/plain; charset=utf-8", b""),
        (
            "Content-Disposition: form-data; name=\"file\"; filename=\"a \\\"b\\\" %22.png\"\r\nContent-Type: image/png",
            b"\x89PNG\r\n\r\n--XY\xFF",
        ),
        ("Content-Disposition: form-data; name=\"empty\"; filename=\"\"", b""),
    ]);
    let expected = json!({
        "title": "Grüße\r\n--X",
        "tag": ["a", ""],
        "file": {
            "name": "file", "filename": "a \"b\" \".png", "content_type": "image/png", "base64": "iVBORw0KDQotLVhZ/w==",
        },
        "empty": {"name": "empty", "filename": "", "content_type": "application/octet-stream", "base64": ""},
    });
    // The content has the beginning of the first boundary in it, so the sender chooses another.
    let long: Vec<u8> = replace(&body, b"--XX", b"--longer-boundary");
    let kind = "multipart/form-data; boundary=\"longer-boundary\"; x=y";
    assert_eq!(transform(kind, &long, json!({})).unwrap(), expected);
    // A preamble, an epilogue, blanks after the boundary, and lines that end with LF alone.
    let around =
        [b"preamble\r\n".as_slice(), &replace(&long, b"boundary\r\n", b"boundary \t\r\n"), b"epilogue"].concat();
    assert_eq!(transform(kind, &around, json!({})).unwrap(), expected);
    let lines = b"--XX\nContent-Disposition: form-data; name=\"a\"\n\n1\n2\n--XX--";
    assert_eq!(transform(MULTIPART, lines, json!({})).unwrap(), json!({"a": "1\n2"}));
    assert_eq!(transform(MULTIPART, b"--XX--", json!({})).unwrap(), json!({}));
    let bracketed = parts(&[("Content-Disposition: form-data; name=\"a[b][]\"", b"1")]);
    assert_eq!(transform(MULTIPART, &bracketed, json!({"brackets": true})).unwrap(), json!({"a": {"b": ["1"]}}));
}

fn replace(whole: &[u8], part: &[u8], by: &[u8]) -> Vec<u8> {
    let mut replaced = Vec::new();
    let mut rest = whole;
    while let Some(at) = hookwright_formats::multipart::find(rest, part) {
        replaced.extend_from_slice(&rest[..at]);
        replaced.extend_from_slice(by);
        rest = &rest[at + part.len()..];
    }
    replaced.extend_from_slice(rest);
    replaced
}

#[test]
fn the_payload_of_an_event_is_a_form_too() {
    let mut event = testing::event("x", json!({}));
    let message = |body: Value| Message {
        headers: vec![],
        content_type: "application/json".into(),
        body: body.to_string().into(),
    };
    event.attributes = vec![("content-type".into(), URLENCODED.into())];
    let sent = apply::<FormToJson>(&event, message(json!("a=1&b=2")), json!({})).unwrap();
    let Transformed::Send(sent) = sent else { panic!("dropped") };
    assert_eq!(sent.json().unwrap(), json!({"a": "1", "b": "2"}));

    // A payload that is not text is base64.
    event.attributes = vec![("content-type".into(), MULTIPART.into())];
    let body = parts(&[("Content-Disposition: form-data; name=\"f\"; filename=\"x\"", b"\xFF")]);
    let packed = hookwright_sdk::encoding::base64_encode(&body);
    let sent = apply::<FormToJson>(&event, message(json!(packed)), json!({})).unwrap();
    let Transformed::Send(sent) = sent else { panic!("dropped") };
    assert_eq!(sent.json().unwrap()["f"]["base64"], "/w==");

    let given = json!({"content_type": URLENCODED});
    assert_eq!(transform("text/plain", b"a=1", given).unwrap(), json!({"a": "1"}));
}

#[test]
fn a_form_is_read_in_the_charset_that_it_names() {
    let disposition = "Content-Disposition: form-data; name=\"a\"\r\nContent-Type: text/plain; charset=latin1";
    for (content_type, body) in [
        ("application/x-www-form-urlencoded; charset=ISO-8859-1", b"a=caf%E9".to_vec()),
        (MULTIPART, parts(&[(disposition, b"caf\xe9")])),
    ] {
        let message = transform(content_type, &body, json!({})).unwrap();
        assert_eq!(message, json!({"a": "caf\u{e9}"}), "{content_type}");
    }
}

#[test]
fn errors_are_reported() {
    let disposition = "Content-Disposition: form-data; name=\"a\"";
    let many = vec!["a=1"; 1001].join("&");
    for (content_type, body, code, said) in [
        ("application/json", b"{}".to_vec(), "form.content_type", "the media type is \"application/json\""),
        ("", b"a=1".to_vec(), "form.content_type", "the media type is \"\""),
        (URLENCODED, b"a=%FC".to_vec(), "form.encoding", "the value of a is not UTF-8"),
        (URLENCODED, b"%FC=1".to_vec(), "form.encoding", "a name is not UTF-8"),
        (URLENCODED, many.into_bytes(), "form.too_large", "more than 1000 fields"),
        (URLENCODED, format!("{}=1", "a".repeat(1025)).into_bytes(), "form.too_large", "1025 bytes long"),
        ("multipart/form-data", parts(&[]), "form.invalid", "has no boundary"),
        ("multipart/form-data; boundary=\"\"", parts(&[]), "form.invalid", "the boundary has 0 bytes"),
        (
            "multipart/form-data; boundary=YY",
            parts(&[(disposition, b"1")]),
            "form.invalid",
            "--YY does not stand in the body",
        ),
        (MULTIPART, Vec::new(), "form.invalid", "does not stand in the body"),
        (MULTIPART, b"--XX".to_vec(), "form.invalid", "not the closing one"),
        (
            MULTIPART,
            format!("--XX\r\n{disposition}\r\n\r\n1").into_bytes(),
            "form.invalid",
            "part 1 is not ended by the boundary",
        ),
        (MULTIPART, format!("--XX\r\n{disposition}\r\n--XX--").into_bytes(), "form.invalid", "no empty line"),
        (MULTIPART, parts(&[("Content-Type: text/plain", b"1")]), "form.invalid", "part 1 has no header field"),
        (
            MULTIPART,
            parts(&[("Content-Disposition: attachment; name=\"a\"", b"1")]),
            "form.invalid",
            "part 1 has no header field",
        ),
        (MULTIPART, parts(&[("Content-Disposition: form-data", b"1")]), "form.invalid", "part 1 has no header field"),
        (MULTIPART, parts(&[(disposition, b"1"), (disposition, b"\xFF")]), "form.encoding", "the field a is not UTF-8"),
        (
            MULTIPART,
            parts(&[(&format!("{disposition}\r\nContent-Type: text/plain; charset=klingon"), b"\xFF")]),
            "form.encoding",
            "the field a cannot be read as klingon",
        ),
        (
            MULTIPART,
            parts(&[(&format!("{disposition}\r\nContent-Transfer-Encoding: base64"), b"1")]),
            "form.invalid",
            "is encoded as base64",
        ),
        (
            MULTIPART,
            parts(&[(&format!("{disposition}\r\nX: {}", "x".repeat(9000)), b"1")]),
            "form.invalid",
            "bytes of header fields",
        ),
        (MULTIPART, parts(&vec![(disposition, b"1".as_slice()); 1001]), "form.too_large", "more than 1000 fields"),
    ] {
        let failure = transform(content_type, &body, json!({})).unwrap_err();
        assert_eq!(failure.code, code, "{}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{}", failure.message);
    }
}
