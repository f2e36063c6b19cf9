//! Which document becomes which JSON: the rows are the specification.

use hookwright_sdk::testing::{self, apply};
use hookwright_sdk::{Failure, Message, Transformed};
use serde_json::{Value, json};

use crate::XmlToJson;

fn transform(content_type: &str, body: &[u8], parameters: Value) -> Result<Message, Failure> {
    let message =
        Message { headers: vec![("x-a".into(), "1".into())], content_type: content_type.into(), body: body.into() };
    match apply::<XmlToJson>(&testing::event("x", json!({})), message, parameters)? {
        Transformed::Send(message) => Ok(message),
        Transformed::Drop(reason) => panic!("dropped: {reason}"),
    }
}

fn read(xml: &str, parameters: Value) -> Value {
    match transform("application/xml", xml.as_bytes(), parameters) {
        Ok(message) => message.json().unwrap(),
        Err(failure) => panic!("{xml}: {}", failure.message),
    }
}

#[test]
fn elements_attributes_and_text_are_converted() {
    for (xml, expected) in [
        ("<a/>", json!({"a": ""})),
        ("<a></a>", json!({"a": ""})),
        ("<a>text</a>", json!({"a": "text"})),
        ("<a> \n text\n </a>", json!({"a": "text"})),
        ("<a>1.10</a>", json!({"a": "1.10"})),
        (r#"<a b="1" c=''/>"#, json!({"a": {"@b": "1", "@c": ""}})),
        (r#"<a b="1">text</a>"#, json!({"a": {"@b": "1", "#text": "text"}})),
        ("<a><b>1</b><c/></a>", json!({"a": {"b": "1", "c": ""}})),
        ("<a>\n  <b>1</b>\n  <b>2</b>\n  <b n='3'/>\n</a>", json!({"a": {"b": ["1", "2", {"@n": "3"}]}})),
        ("<a>one <b>two</b> three</a>", json!({"a": {"b": "two", "#text": "one  three"}})),
        (
            r#"<s:Envelope xmlns:s="http://x.example/s" xmlns="http://x.example/d"><s:Body><m s:id="7"/></s:Body></s:Envelope>"#,
            json!({"s:Envelope": {
                "@xmlns:s": "http://x.example/s", "@xmlns": "http://x.example/d", "s:Body": {"m": {"@s:id": "7"}},
            }}),
        ),
        ("<a>&lt;&gt;&amp;&apos;&quot;&#65;&#x1F600;</a>", json!({"a": "<>&'\"A😀"})),
        ("<a b='&lt;&#10;&quot;\t'/>", json!({"a": {"@b": "<\n\" "}})),
        ("<a>x<![CDATA[<b>&amp;</b>]]>y</a>", json!({"a": "x<b>&amp;</b>y"})),
        ("<a>x<!-- nothing -->y<?php nothing ?>z</a>", json!({"a": "xyz"})),
        ("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- c -->\n<a/>\n", json!({"a": ""})),
        (
            "<a xml:space='preserve'> x <b> y </b></a>",
            json!({"a": {"@xml:space": "preserve", "#text": " x ", "b": " y "}}),
        ),
        ("<a>l1\r\nl2</a>", json!({"a": "l1\nl2"})),
        ("<größe ä='1'>ü</größe>", json!({"größe": {"@ä": "1", "#text": "ü"}})),
    ] {
        assert_eq!(read(xml, json!({})), expected, "{xml}");
    }
}

#[test]
fn elements_that_are_named_are_always_lists() {
    let xml = "<order><item>1</item><note>n</note></order>";
    for (arrays, expected) in [
        (json!([]), json!({"order": {"item": "1", "note": "n"}})),
        (json!(["item"]), json!({"order": {"item": ["1"], "note": "n"}})),
        (json!(["order", "item", "note"]), json!({"order": [{"item": ["1"], "note": ["n"]}]})),
    ] {
        assert_eq!(read(xml, json!({"arrays": arrays})), expected);
    }
    let twice = "<order><item>1</item><item>2</item></order>";
    assert_eq!(read(twice, json!({"arrays": ["item"]})), json!({"order": {"item": ["1", "2"]}}));
}

#[test]
fn whitespace_is_preserved_if_configured() {
    assert_eq!(read("<a> x <b> </b></a>", json!({"trim": false})), json!({"a": {"#text": " x ", "b": " "}}));
    assert_eq!(read("<a>\n<b/>\n</a>", json!({"trim": false})), json!({"a": {"b": ""}}));
}

#[test]
fn the_body_is_utf_8_for_any_charset() {
    for (content_type, body) in [
        ("application/xml", b"<a>\xC3\xBC</a>".as_slice()),
        ("text/xml; charset=\"UTF-8\"", b"<a>\xC3\xBC</a>"),
        ("text/xml", b"\xEF\xBB\xBF<a>\xC3\xBC</a>"),
        ("application/json", "\"<a>ü</a>\"".as_bytes()),
    ] {
        let message = transform(content_type, body, json!({})).unwrap();
        assert_eq!((message.text(), message.content_type.as_str()), (Some("{\"a\":\"ü\"}"), "application/json"));
        assert_eq!(message.headers.len(), 1);
    }
    for (content_type, body, said) in [
        ("text/xml; charset=ISO-8859-1", b"<a/>".as_slice(), "is declared as ISO-8859-1, and only UTF-8 is read"),
        (
            "text/xml",
            b"<?xml version='1.0' encoding='windows-1252'?><a/>",
            "line 1, column 1 of the XML: the document is declared as windows-1252",
        ),
        ("text/xml", b"\xFF\xFE<\0a\0/\0>\0", "is declared as UTF-16"),
        ("text/xml", b"<a>\xFC</a>", "is not UTF-8 at byte 3"),
    ] {
        let failure = transform(content_type, body, json!({})).unwrap_err();
        assert_eq!(failure.code, "xml.encoding", "{}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{}", failure.message);
    }
}

#[test]
fn no_entity_is_ever_expanded() {
    for (xml, code, said) in [
        ("<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "xml.doctype", "line 1, column 1 of the XML: a document type"),
        ("<?xml version='1.0'?>\n<!DOCTYPE a SYSTEM 'file:///etc/passwd'><a/>", "xml.doctype", "line 2, column 1"),
        ("<a>&x;</a>", "xml.invalid", "line 1, column 4 of the XML: the entity &x; is not known"),
        ("<a b='&x;'/>", "xml.invalid", "in the attribute b"),
        ("<a>&#0;</a>", "xml.invalid", "is not a character"),
        ("<a>&#x1;</a>", "xml.invalid", "is not a character"),
        ("<a>&#xD800;</a>", "xml.invalid", "is not a character"),
        ("<a b='&#1;'/>", "xml.invalid", "U+0001"),
    ] {
        let failure = transform("text/xml", xml.as_bytes(), json!({})).unwrap_err();
        assert_eq!(failure.code, code, "{xml}: {}", failure.message);
        assert!(failure.message.contains(said), "{xml}: {}", failure.message);
    }
}

#[test]
fn errors_are_reported_with_their_position() {
    for (xml, code, said) in [
        ("", "xml.empty", "has no XML in it"),
        (" \n", "xml.empty", "has no XML in it"),
        ("<!-- only -->", "xml.invalid", "there is no root element"),
        ("{\"a\": 1}", "xml.invalid", "there is text outside of the root element"),
        ("<a>\n  <b>\n</a>", "xml.invalid", "line 3, column 1"),
        ("<a>\n  <ü", "xml.invalid", "line 2, column"),
        ("<a><b></b>", "xml.invalid", "the element <a> is not closed"),
        ("</a>", "xml.invalid", "line 1, column 1"),
        ("<a/><b/>", "xml.invalid", "line 1, column 5 of the XML: a second root element"),
        ("<a/>text", "xml.invalid", "text outside of the root element: text"),
        ("<a/><![CDATA[x]]>", "xml.invalid", "CDATA section is outside"),
        ("<a/>&amp;", "xml.invalid", "reference is outside"),
        ("<a b='1' b='2'/>", "xml.invalid", "line 1, column 1"),
        ("<a b=1/>", "xml.invalid", "line 1"),
        ("<a b/>", "xml.invalid", "line 1"),
        ("<a b='<'/>", "xml.invalid", "has a <"),
        ("<1a/>", "xml.invalid", "`1a` is not a name"),
        ("<a &b='1'/>", "xml.invalid", "line 1"),
        ("<a>a & b</a>", "xml.invalid", "line 1, column"),
        ("<a>\u{1}</a>", "xml.invalid", "line 1, column 4 of the XML: the character U+0001"),
        ("<a/><?xml version='1.0'?>", "xml.invalid", "must be at the very beginning"),
        ("<a><!-- x -- y --></a>", "xml.invalid", "line 1"),
    ] {
        let failure = transform("application/xml", xml.as_bytes(), json!({})).unwrap_err();
        assert_eq!(failure.code, code, "{xml}: {}", failure.message);
        assert!(failure.message.contains(said) && !failure.can_retry(), "{xml}: {}", failure.message);
    }
}

#[test]
fn a_document_nested_without_end_is_refused() {
    let nested = |depth: usize| format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let arrays = json!({"arrays": ["a"]});
    assert!(transform("text/xml", nested(60).as_bytes(), arrays.clone()).unwrap().json().is_ok());
    for depth in [61, 100_000] {
        let failure = transform("text/xml", nested(depth).as_bytes(), arrays.clone()).unwrap_err();
        assert_eq!(failure.code, "xml.too_deep", "{}", failure.message);
    }
}

#[test]
fn a_large_document_is_read() {
    let xml = format!("<list>{}</list>", "<item id='1'>text</item>".repeat(40_000));
    assert_eq!(read(&xml, json!({}))["list"]["item"].as_array().unwrap().len(), 40_000);
}
