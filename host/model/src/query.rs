//! Queries of records of a kind: filters and an order.

use std::cmp::Ordering;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::json::Decimal;
use crate::kind::{index_text, is_date, plain_number};
use crate::{FieldType, Instant, Mistake, RecordKind, Timestamp};

/// Maximum number of filters of a list.
const MOST_FILTERS: usize = 20;
/// Maximum number of values of `in`.
const MOST_VALUES: usize = 100;
/// Maximum length of a filter's value, in bytes.
const LONGEST: usize = 1024;
/// Maximum number of fields by which a list is sorted.
const MOST_SORTED: usize = 5;
/// Maximum number of words of a path.
const DEEPEST: usize = 5;
/// How many bytes of a string are compared in an order.
const SORTED_TEXT: usize = 256;

/// Filters and an order, as in a URL's query: `status=open`, `value.amount[gte]=500`, `sort=-updated_at`.
#[derive(Clone, Debug, Default)]
pub struct Query {
    filters: Vec<Filter>,
    sort: Vec<Sorting>,
    ascending: bool,
}

/// One filter: `FIELD=VALUE` or `FIELD[OPERATOR]=VALUE`, where the field is a dotted path.
#[derive(Clone, Debug)]
struct Filter {
    path: Vec<String>,
    operator: Operator,
    values: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Operator {
    Eq,
    Ne,
    Gt,
    Gte,
    Lt,
    Lte,
    Contains,
    In,
    Exists(bool),
}

const OPERATORS: &str = "eq, ne, gt, gte, lt, lte, contains, in, exists";

#[derive(Clone, Debug)]
struct Sorting {
    path: Vec<String>,
    descending: bool,
}

/// The position of a record in a sorted list, at which the next page begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SortKey {
    /// The order that it belongs to.
    #[serde(rename = "s")]
    sort: String,
    #[serde(rename = "v")]
    values: Vec<SortValue>,
    #[serde(rename = "i")]
    id: u64,
}

/// Absent values come first, then booleans, numbers and instants, strings.
#[derive(Clone, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(untagged, from = "Value")]
enum SortValue {
    Absent,
    Truth(bool),
    Number(f64),
    Text(String),
}

impl From<Value> for SortValue {
    fn from(value: Value) -> Self {
        match value {
            Value::Bool(value) => Self::Truth(value),
            Value::Number(number) => number.as_f64().map_or(Self::Absent, Self::Number),
            Value::String(text) => Self::Text(text),
            Value::Null | Value::Array(_) | Value::Object(_) => Self::Absent,
        }
    }
}

impl Query {
    /// Parses the parameters of a list, without `limit` and `cursor`.
    pub fn parse<'p>(kind: &RecordKind, parameters: impl Iterator<Item = (&'p str, &'p str)>) -> Result<Self, Mistake> {
        let mut query = Self::default();
        for (name, value) in parameters {
            if value.len() > LONGEST || name.len() > LONGEST {
                return Err(Mistake::new(shown(name), format!("has more than {LONGEST} bytes: shorten it")));
            }
            if name == "sort" {
                query.sort_by(kind, value)?;
                continue;
            }
            query.filters.push(Filter::parse(kind, name, value)?);
            if query.filters.len() > MOST_FILTERS {
                return Err(Mistake::new("", format!("more than {MOST_FILTERS} filters: use fewer")));
            }
        }
        Ok(query)
    }

    fn sort_by(&mut self, kind: &RecordKind, text: &str) -> Result<(), Mistake> {
        if !self.sort.is_empty() || self.ascending {
            return Err(Mistake::new("sort", "is given twice: name all fields in one, sort=A,-B"));
        }
        match text {
            "-id" => return Ok(()),
            "id" => {
                self.ascending = true;
                return Ok(());
            }
            _ => {}
        }
        for part in text.split(',') {
            let (name, descending) = part.strip_prefix('-').map_or((part, false), |name| (name, true));
            let path = path(kind, "sort", name)?;
            self.sort.push(Sorting { path, descending });
        }
        if self.sort.len() > MOST_SORTED {
            return Err(Mistake::new("sort", format!("{} fields: at most {MOST_SORTED}", self.sort.len())));
        }
        Ok(())
    }

    /// Whether a record passes every filter.
    pub fn fits(&self, record: &Value) -> bool {
        self.filters.iter().all(|filter| filter.fits(record))
    }

    /// Whether an order other than that of the ids is requested.
    pub fn is_sorted(&self) -> bool {
        !self.sort.is_empty()
    }

    /// Whether the oldest come first.
    pub fn is_ascending(&self) -> bool {
        self.ascending
    }

    /// Candidate index lookups: a field, and the values to look up. Each of them finds all matching records, perhaps
    /// with others.
    pub fn ways(&self, kind: &RecordKind) -> Vec<(String, Vec<String>)> {
        let through = |filter: &Filter| {
            let [name] = filter.path.as_slice() else { return None };
            let field = kind.declaration().fields.get(name).filter(|field| field.indexed)?;
            if !matches!(filter.operator, Operator::Eq | Operator::In) {
                return None;
            }
            // An instant can be written in many ways, but a day, in a field that holds only days, in one.
            let is_spelled_in_one_way = |value: &String| match instant(value) {
                None => true,
                Some(_) => matches!(field.types.all(), [FieldType::Date]) && is_date(value),
            };
            let is_one_place = filter.values.iter().all(is_spelled_in_one_way);
            is_one_place.then(|| (name.clone(), filter.values.iter().flat_map(|value| places(value)).collect()))
        };
        self.filters.iter().filter_map(through).collect()
    }

    /// The position of a record in the order.
    pub fn key(&self, id: u64, record: &Value) -> SortKey {
        let values = self.sort.iter().map(|sorting| sort_value(find(record, &sorting.path)));
        SortKey { sort: self.order(), values: values.collect(), id }
    }

    /// Which of two comes first.
    pub fn compare(&self, one: &SortKey, other: &SortKey) -> Ordering {
        let pairs = one.values.iter().zip(&other.values).zip(&self.sort);
        let by_fields = pairs.map(|((one, other), sorting)| {
            let order = one.partial_cmp(other).unwrap_or(Ordering::Equal);
            if sorting.descending { order.reverse() } else { order }
        });
        let first = by_fields.into_iter().find(|order| order.is_ne());
        first.unwrap_or_else(|| other.id.cmp(&one.id))
    }

    /// Parses the position at which the next page begins. `None` if it belongs to another order.
    pub fn parse_key(&self, text: &str) -> Option<SortKey> {
        let key: SortKey = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(text).ok()?).ok()?;
        (key.sort == self.order() && key.values.len() == self.sort.len()).then_some(key)
    }

    fn order(&self) -> String {
        let parts = self.sort.iter().map(|sorting| {
            let sign = if sorting.descending { "-" } else { "" };
            format!("{sign}{}", sorting.path.join("."))
        });
        parts.collect::<Vec<_>>().join(",")
    }
}

impl std::fmt::Display for SortKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let json = serde_json::to_vec(self).map_err(|_| std::fmt::Error)?;
        f.write_str(&URL_SAFE_NO_PAD.encode(json))
    }
}

impl Filter {
    fn parse(kind: &RecordKind, name: &str, value: &str) -> Result<Self, Mistake> {
        let (field, operator) = match name.split_once('[') {
            None => (name, "eq"),
            Some((field, rest)) => (field, rest.strip_suffix(']').unwrap_or(rest)),
        };
        let path = path(kind, name, field)?;
        let operator = match operator {
            "eq" => Operator::Eq,
            "ne" => Operator::Ne,
            "gt" => Operator::Gt,
            "gte" => Operator::Gte,
            "lt" => Operator::Lt,
            "lte" => Operator::Lte,
            "contains" => Operator::Contains,
            "in" => Operator::In,
            "exists" => match value {
                "true" => Operator::Exists(true),
                "false" => Operator::Exists(false),
                _ => return Err(Mistake::new(shown(name), format!("`{}`: give true or false", shown(value)))),
            },
            other => {
                let message = format!("`{}` is not an operator: the operators are {OPERATORS}", shown(other));
                return Err(Mistake::new(shown(name), message));
            }
        };
        let values: Vec<String> = match operator {
            Operator::In => value.split(',').map(str::to_owned).collect(),
            Operator::Exists(_) => Vec::new(),
            _ => vec![value.to_owned()],
        };
        if values.len() > MOST_VALUES {
            return Err(Mistake::new(shown(name), format!("{} values: at most {MOST_VALUES}", values.len())));
        }
        if let ([only], false) = (path.as_slice(), operator == Operator::Contains)
            && let Some(field) = kind.declaration().fields.get(only)
        {
            for value in &values {
                if !field.types.all().iter().any(|one| can_be(*one, value)) {
                    let types: Vec<&str> = field.types.all().iter().map(|one| one.name()).collect();
                    let message =
                        format!("`{}` is not a valid value: the field is {}", shown(value), types.join(" or "));
                    return Err(Mistake::new(shown(name), message));
                }
            }
        }
        Ok(Self { path, operator, values })
    }

    fn fits(&self, record: &Value) -> bool {
        let found = find(record, &self.path).filter(|value| !value.is_null());
        let any = |test: &dyn Fn(Ordering) -> bool| {
            let of = |actual: &Value| self.values.iter().any(|value| compare(actual, value).is_some_and(test));
            found.is_some_and(|actual| match actual {
                Value::Array(entries) => entries.iter().any(of),
                one => of(one),
            })
        };
        match self.operator {
            Operator::Eq | Operator::In => any(&Ordering::is_eq),
            Operator::Ne => !any(&Ordering::is_eq),
            Operator::Gt => any(&Ordering::is_gt),
            Operator::Gte => any(&Ordering::is_ge),
            Operator::Lt => any(&Ordering::is_lt),
            Operator::Lte => any(&Ordering::is_le),
            Operator::Contains => {
                let wanted = self.values.first().map(|value| value.to_lowercase()).unwrap_or_default();
                let has = |actual: &Value| actual.as_str().is_some_and(|text| text.to_lowercase().contains(&wanted));
                found.is_some_and(|actual| match actual {
                    Value::Array(entries) => entries.iter().any(has),
                    one => has(one),
                })
            }
            Operator::Exists(wanted) => found.is_some() == wanted,
        }
    }
}

/// The words of a dotted path, if the kind can have such a field.
fn path(kind: &RecordKind, parameter: &str, text: &str) -> Result<Vec<String>, Mistake> {
    let words: Vec<String> = text.split('.').map(str::to_owned).collect();
    if words.len() > DEEPEST || words.iter().any(String::is_empty) {
        let message =
            format!("`{}` is not a valid field: give 1 to {DEEPEST} words with dots between them", shown(text));
        return Err(Mistake::new(shown(parameter), message));
    }
    let fields = &kind.declaration().fields;
    let known = words.first().is_some_and(|first| fields.get(first).is_some());
    if !known && !kind.declaration().more_fields {
        let names: Vec<&str> = fields.iter().map(|(name, _)| name).collect();
        let message = format!("`{}` is not a field of {}: it has {}", shown(text), kind.noun(), names.join(", "));
        return Err(Mistake::new(shown(parameter), message));
    }
    Ok(words)
}

fn find<'r>(record: &'r Value, path: &[String]) -> Option<&'r Value> {
    path.iter().try_fold(record, |value, word| value.get(word))
}

fn can_be(one: FieldType, text: &str) -> bool {
    match one {
        FieldType::Boolean => text == "true" || text == "false",
        FieldType::Date | FieldType::Timestamp => instant(text).is_some(),
        one if one.is_numeric() => Decimal::read(text).is_some(),
        _ => true,
    }
}

/// Compares a value with a string by the value's type. `None` if they cannot be compared.
fn compare(actual: &Value, wanted: &str) -> Option<Ordering> {
    match actual {
        Value::Bool(value) => wanted.parse::<bool>().ok().map(|wanted| value.cmp(&wanted)),
        Value::Number(value) => Some(Decimal::read(&value.to_string())?.order(Decimal::read(wanted)?)),
        Value::String(value) => match (instant(value), instant(wanted)) {
            (Some(value), Some(wanted)) => Some(value.cmp(&wanted)),
            _ => Some(value.as_str().cmp(wanted)),
        },
        Value::Object(object) => object.get("id").filter(|id| !id.is_object()).and_then(|id| compare(id, wanted)),
        Value::Null | Value::Array(_) => None,
    }
}

/// A time in any form that [`Instant`] reads from a string.
fn instant(text: &str) -> Option<Timestamp> {
    Instant::of_text(text).map(|at| Timestamp::from_millis(at.millis()))
}

/// The index forms of values that equal a string.
fn places(text: &str) -> Vec<String> {
    let number = plain_number(text).map(|number| format!("n{number}"));
    let truth = text.parse::<bool>().ok().map(|value| format!("b{value}"));
    std::iter::once(index_text(text)).chain(number).chain(truth).collect()
}

fn sort_value(value: Option<&Value>) -> SortValue {
    match value {
        None | Some(Value::Null | Value::Array(_)) => SortValue::Absent,
        Some(Value::Bool(value)) => SortValue::Truth(*value),
        Some(Value::Number(number)) => number.as_f64().map_or(SortValue::Absent, SortValue::Number),
        #[allow(clippy::cast_precision_loss, reason = "milliseconds of the next 200,000 years are exact")]
        Some(Value::String(text)) => match instant(text) {
            Some(at) => SortValue::Number(at.millis() as f64),
            None => SortValue::Text(beginning(text)),
        },
        Some(Value::Object(object)) => sort_value(object.get("id").filter(|id| !id.is_object())),
    }
}

fn beginning(text: &str) -> String {
    let mut end = text.len().min(SORTED_TEXT);
    while !text.is_char_boundary(end) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn shown(text: &str) -> String {
    crate::abridged(text)
}

#[cfg(test)]
mod properties;

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::builtin_kind;

    fn query(kind: &str, parameters: &[(&str, &str)]) -> Result<Query, String> {
        let kind = builtin_kind(kind).unwrap();
        Query::parse(kind, parameters.iter().copied()).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn each_operator_compares_by_the_type_of_the_value() {
        let record = json!({
            "id": 7, "owner": 390, "title": "Büro, new", "converted": false, "kanban_stage_id": 10, "big": 9_007_199_254_740_993_i64,
            "value": {"amount": 500.5}, "person": {"id": 12, "name": "x"}, "tags": ["a", "b"], "none": null,
            "at": "2026-11-21T12:00:00+01:00", "day": "2026-11-21",
        });
        for (name, value, fits) in [
            ("owner", "390", true),
            ("owner", "390.0", true),
            ("owner", "39", false),
            ("owner[ne]", "39", true),
            ("kanban_stage_id[gt]", "9", true),
            ("kanban_stage_id[gt]", "10", false),
            ("kanban_stage_id[gte]", "10", true),
            ("kanban_stage_id[lt]", "9", false),
            ("kanban_stage_id[lte]", "10", true),
            ("big", "9007199254740993", true),
            ("big", "9007199254740992", false),
            ("value.amount[gt]", "500", true),
            ("value.amount[gt]", "501", false),
            ("value.missing[gt]", "0", false),
            ("value.missing[ne]", "0", true),
            ("person", "12", true),
            ("person.name", "x", true),
            ("title[contains]", "BÜRO", true),
            ("title[contains]", "old", false),
            ("tags", "b", true),
            ("tags[contains]", "B", true),
            ("tags[ne]", "b", false),
            ("owner[in]", "1,390", true),
            ("owner[in]", "1,2", false),
            ("none[exists]", "true", false),
            ("none[exists]", "false", true),
            ("owner[exists]", "true", true),
            ("converted", "false", true),
            ("converted", "true", false),
            ("at", "2026-11-21T11:00:00Z", true),
            ("at[gte]", "2026-11-21", true),
            ("at[gt]", "2026-11-22", false),
            ("day[lt]", "2026-11-22", true),
        ] {
            assert_eq!(query("lead", &[(name, value)]).unwrap().fits(&record), fits, "{name}={value}");
        }
    }

    #[test]
    fn an_invalid_query_is_reported_with_the_remedy() {
        let many = vec!["x"; 101].join(",");
        for (kind, name, value, said) in [
            ("ticket", "statsu", "open", "`statsu` is not a field of a ticket: it has id, subject, status"),
            ("ticket", "status[like]", "o", "`like` is not an operator: the operators are eq, ne"),
            ("ticket", "status[exists]", "yes", "true or false"),
            ("ticket", "sla_solution_time[gt]", "soon", "`soon` is not a valid value: the field is integer"),
            ("ticket", "created_at[gt]", "yesterday", "the field is timestamp"),
            ("ticket", "sort", "statsu", "`statsu` is not a field"),
            ("lead", "sort", "a,b,c,d,e,f", "6 fields: at most 5"),
            ("lead", "a..b", "1", "1 to 5 words"),
            ("lead", "a[in]", many.as_str(), "101 values"),
        ] {
            let mistake = query(kind, &[(name, value)]).unwrap_err();
            assert!(mistake.contains(said), "{name}={value}: {mistake}");
        }
    }

    #[test]
    fn a_filter_of_an_indexed_field_is_a_way_to_its_records() {
        let kind = builtin_kind("ticket").unwrap();
        let ways = |parameters: &[(&str, &str)]| query("ticket", parameters).unwrap().ways(kind);
        assert_eq!(ways(&[("status", "open")]), [("status".to_owned(), vec!["sopen".to_owned()])]);
        assert_eq!(ways(&[("team", "7")])[0].1, ["s7", "n7"]);
        assert_eq!(ways(&[("subject", "x"), ("status[ne]", "x"), ("created_at", "2026-01-01")]), []);
        for value in [json!("open"), json!(5), json!(5.0), json!(true), json!({"id": 5}), json!(1.5), json!("5")] {
            let stands = crate::index_value(&value).unwrap();
            let text = value.get("id").unwrap_or(&value).to_string();
            assert!(places(text.trim_matches('"')).contains(&stands), "{value}");
        }
    }

    #[test]
    fn an_instant_in_an_indexed_string_is_found_in_any_notation() {
        let kind = builtin_kind("ticket").unwrap();
        let query = query("ticket", &[("status", "2026-01-01T01:00:00+01:00")]).unwrap();
        // The index contains one of its notations only, so the records themselves are read.
        assert!(query.fits(&json!({"status": "2026-01-01T00:00:00Z"})) && query.ways(kind).is_empty());
    }

    #[test]
    fn an_order_is_kept_from_page_to_page() {
        let query = query("lead", &[("sort", "owner,-title")]).unwrap();
        let records = [
            (1, json!({"owner": 2, "title": "a"})),
            (2, json!({"title": "z"})),
            (3, json!({"owner": 2, "title": "b"})),
            (4, json!({"owner": 2, "title": "b"})),
        ];
        let mut keys: Vec<SortKey> = records.iter().map(|(id, record)| query.key(*id, record)).collect();
        keys.sort_by(|one, other| query.compare(one, other));
        assert_eq!(keys.iter().map(|key| key.id).collect::<Vec<_>>(), [2, 4, 3, 1]);
        for key in &keys {
            assert_eq!(query.parse_key(&key.to_string()).as_ref(), Some(key));
        }
        assert_eq!(super::tests::query("lead", &[("sort", "owner")]).unwrap().parse_key(&keys[0].to_string()), None);
        assert_eq!(query.parse_key("nonsense"), None);
    }
}
