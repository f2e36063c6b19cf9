//! A condition of your own: does it happen during business hours?
//!
//! `{"condition": "business-hours", "with": {"from": 9, "until": 17, "utc_offset_minutes": 60}}`

use hookwright_sdk::{Condition, Event, Failure, Manifest, Plugin, Verdict, clock};

struct BusinessHours;

#[derive(serde::Deserialize)]
struct Parameters {
    from: u8,
    until: u8,
    #[serde(default)]
    utc_offset_minutes: i16,
}

impl Plugin for BusinessHours {
    const MANIFEST: Manifest = Manifest {
        name: "business-hours",
        version: env!("CARGO_PKG_VERSION"),
        summary: "Holds from Monday to Friday between two hours of the day",
        parameters: r#"{
            "type": "object",
            "required": ["from", "until"],
            "properties": {
                "from": {"type": "integer", "minimum": 0, "maximum": 23, "description": "First hour that counts."},
                "until": {"type": "integer", "minimum": 1, "maximum": 24, "description": "First hour that does not."},
                "utc_offset_minutes": {"type": "integer", "minimum": -840, "maximum": 840, "default": 0}
            },
            "additionalProperties": false
        }"#,
        hints: &[],
    };
    type Parameters = Parameters;
}

impl Condition for BusinessHours {
    fn evaluate(_event: &Event, parameters: Parameters) -> Result<Verdict, Failure> {
        let Parameters { from, until, utc_offset_minutes } = parameters;
        if from >= until {
            return Err(Failure::permanent(
                "parameters.invalid",
                format!("`from` is {from} and `until` {until}: `until` must be later"),
            ));
        }
        let (day, hour) = day_and_hour(clock::now_ms(), utc_offset_minutes);
        let is_open = day != "Saturday" && day != "Sunday" && (from..until).contains(&hour);
        let reason = format!("it is {day}, hour {hour}; open from Monday to Friday, hours {from} until {until}");
        Ok(if is_open { Verdict::yes(reason) } else { Verdict::no(reason) })
    }
}

/// The day of the week and the hour of the day (0 to 23) at an offset from UTC.
fn day_and_hour(now_ms: f64, utc_offset_minutes: i16) -> (&'static str, u8) {
    const DAYS: [&str; 7] = ["Thursday", "Friday", "Saturday", "Sunday", "Monday", "Tuesday", "Wednesday"];
    let hours = (now_ms / 60_000.0 + f64::from(utc_offset_minutes)).div_euclid(60.0);
    // 1970-01-01 was a Thursday. Both remainders are small and not negative, so the conversions lose nothing.
    let day = hours.div_euclid(24.0).rem_euclid(7.0) as usize;
    (DAYS.get(day).copied().unwrap_or("Thursday"), hours.rem_euclid(24.0) as u8)
}

hookwright_sdk::export_condition!(BusinessHours);

#[cfg(test)]
mod tests {
    use super::*;
    use hookwright_sdk::testing::{self, Host, evaluate};
    use serde_json::json;

    #[test]
    fn it_holds_in_the_hours_between_and_not_at_the_weekend() {
        let event = testing::event("ticket.created", json!(null));
        for (ms, text, offset, holds) in [
            (1_767_323_045_006.0, "2026-01-02T03:04:05.006Z", 0, false),
            (1_767_344_645_006.0, "2026-01-02T09:04:05.006Z", 0, true),
            (1_767_341_045_006.0, "2026-01-02T08:04:05.006Z", 60, true),
            (1_767_373_200_000.0, "2026-01-02T17:00:00.000Z", 0, false),
            (1_767_431_045_006.0, "2026-01-03T09:04:05.006Z", 0, false),
        ] {
            Host::default().with_now(ms, text).install();
            let with = json!({"from": 9, "until": 17, "utc_offset_minutes": offset});
            let verdict = evaluate::<BusinessHours>(&event, with).unwrap();
            assert_eq!(verdict.holds, holds, "{text}: {}", verdict.reason);
        }
    }

    #[test]
    fn hours_that_make_no_sense_are_refused() {
        let event = testing::event("ticket.created", json!(null));
        let failure = evaluate::<BusinessHours>(&event, json!({"from": 17, "until": 9})).unwrap_err();
        assert_eq!(failure.code, "parameters.invalid");
    }
}
