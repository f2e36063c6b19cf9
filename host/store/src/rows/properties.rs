//! Properties that hold for all rows, intact or damaged.

use hookwright_model::{Data, EventDraft, Timestamp};
use proptest::prelude::*;
use serde_json::Value;

use super::*;

fn event() -> impl Strategy<Value = Event> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..64),
        any::<String>().prop_map(String::into_bytes),
        "\\{\"a\":-?[1-9][0-9]{0,30}\\.[0-9]{1,20}\\}".prop_map(String::into_bytes),
    ];
    let words = ("[a-zé.]{1,8}", "[a-z/é ]{0,8}x", prop::option::of("[ -~é]{1,8}"));
    let content_type = prop::option::of(prop_oneof![
        Just("application/octet-stream".to_owned()),
        Just("text/plain".to_owned()),
        any::<String>(),
    ]);
    let attributes = prop::collection::vec(("[a-z]{1,8}", any::<String>()), 0..4);
    let accepted = (words, content_type, attributes, payload, any::<u32>()).prop_map(
        |((event_type, source, subject), content_type, attributes, payload, at)| {
            let draft = EventDraft { event_type, source, subject, content_type, attributes, ..EventDraft::default() };
            let draft = EventDraft { payload: payload.into(), ..draft };
            draft.accept(&SpaceId::main(), Timestamp::from_millis(at.into())).ok()
        },
    );
    accepted.prop_filter_map("an event that is accepted", |event| event)
}

fn json_value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,20})?".prop_map(|text| text.parse::<Value>().unwrap()),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 16, 4, |inner| {
        prop::collection::vec((any::<String>(), inner), 0..4)
            .prop_map(|members| Value::Object(members.into_iter().collect()))
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_event_reads_back_byte_by_byte(event in event()) {
        let row = event_row(&event).unwrap();
        let again = read_event(&event.space, &row).unwrap();
        prop_assert_eq!(&again.payload, &event.payload);
        prop_assert_eq!(event_payload(&row).unwrap(), &event.payload[..]);
        prop_assert_eq!(again.data_json(), event.data_json());
        prop_assert_eq!(again.to_value().to_string(), event.to_value().to_string());
        prop_assert_eq!(event_row(&again).unwrap(), row);
    }

    #[test]
    fn a_record_and_a_note_read_back_with_all_digits(version in any::<Version>(), value in json_value()) {
        let row = record_row(version, value.to_string().as_bytes());
        prop_assert_eq!(record_version(&row).unwrap(), version);
        let record = read_record(&row).unwrap();
        prop_assert_eq!(record.version, version);
        prop_assert_eq!(record.value.to_string(), value.to_string());
        let note = read_note(value.to_string().as_bytes()).unwrap();
        prop_assert_eq!(note.value().unwrap().to_string(), value.to_string());
    }

    #[test]
    fn a_damaged_row_is_an_error_and_no_panic(
        event in event(),
        value in json_value(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        at in any::<prop::sample::Index>(),
    ) {
        let whole = [event_row(&event).unwrap(), record_row(1, value.to_string().as_bytes())];
        let damaged = whole.iter().flat_map(|row| {
            let at = at.index(row.len());
            let (before, after) = row.split_at(at);
            let changed = [before, &bytes[..bytes.len().min(1)], after.get(1..).unwrap_or_default()].concat();
            [before.to_vec(), changed, [before, &bytes, after].concat()]
        });
        for row in damaged.chain([bytes.clone()]) {
            if let Ok(event) = read_event(&SpaceId::main(), &row) {
                // The length field may be damaged too.
                let _ = (event.data_json(), event.data_value(), event.to_value());
                prop_assert!(event_payload(&row).is_ok());
            }
            let _ = (record_version(&row), read_note(&row), read::<Data>(&row));
            prop_assert!(read_record(&row).is_err() || record_version(&row).is_ok());
        }
    }
}
