//! `spend_limit`: no call with a larger amount. What an amount is, tools decide as they like; so every number counts,
//! unless its name says that it is something else, and what is named as an amount must be one.

use serde_json::{Value, json, value::RawValue};

use super::Said;
use crate::{
    error::{Error, Result},
    model::{Money, PolicyDefinition},
};

/// Words in the name of an amount.
const AMOUNT: &[&str] = &[
    "amount",
    "amounts",
    "price",
    "prices",
    "cost",
    "costs",
    "total",
    "sum",
    "usd",
    "eur",
    "gbp",
    "dollars",
    "dollar",
    "cents",
    "euros",
    "payment",
    "pay",
    "spend",
    "budget",
    "fee",
    "fees",
    "charge",
    "money",
    "deposit",
    "withdrawal",
    "transfer",
    "bid",
    "tip",
    "value",
    "subtotal",
    "balance",
    "salary",
    "invoice",
    "refund",
    "max_price",
];
/// Words in the name of a number that is no amount.
const OTHER: &[&str] = &[
    "id",
    "ids",
    "uid",
    "uuid",
    "limit",
    "count",
    "page",
    "pages",
    "offset",
    "cursor",
    "size",
    "width",
    "height",
    "depth",
    "length",
    "port",
    "year",
    "month",
    "day",
    "days",
    "hour",
    "hours",
    "minute",
    "minutes",
    "second",
    "seconds",
    "ms",
    "time",
    "timestamp",
    "date",
    "since",
    "until",
    "timeout",
    "ttl",
    "index",
    "line",
    "lines",
    "column",
    "row",
    "rows",
    "version",
    "latitude",
    "longitude",
    "lat",
    "lon",
    "lng",
    "zoom",
    "seed",
    "temperature",
    "tokens",
    "top",
    "retries",
    "attempts",
    "number",
    "issue",
    "zip",
    "phone",
    "start",
    "end",
    "from",
    "position",
    "bytes",
    "level",
    "quality",
    "radius",
    "angle",
    "per",
];

/// A number or a text in the arguments, and where.
struct Found {
    path: String,
    /// The last name on the way to it.
    name: String,
    /// The number as it is written, or the text.
    text: String,
    is_text: bool,
}

pub(super) fn within(definition: &PolicyDefinition, arguments: &str) -> Result<Said> {
    let max = definition.max.unwrap_or(Money::ZERO);
    let forbidden = |why: String, path: &str| Said::Forbidden(why, json!({"argument": path, "max": max}));
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let mut largest = Money::ZERO;
    for value in &found {
        let named = definition.argument.as_ref().is_some_and(|pointer| *pointer == value.path);
        let is_amount = named || (definition.argument.is_none() && is_amount(&value.name));
        let may_be = definition.argument.is_none() && !is_other(&value.name);
        if !is_amount && !may_be {
            continue;
        }
        match read(value) {
            Some(amount) if amount > max => {
                return Ok(forbidden(
                    format!("{amount} USD is more than the {max} USD that one call may be about"),
                    &value.path,
                ));
            }
            Some(amount) => largest = largest.max(amount),
            // A text under a name that says nothing is just a text.
            None if is_amount || !value.is_text => {
                return Ok(forbidden(format!("{} is no amount that can be read", value.path), &value.path));
            }
            None => {}
        }
    }
    if let Some(pointer) = &definition.argument
        && !found.iter().any(|value| value.path == *pointer)
    {
        return Ok(forbidden(format!("the call has no amount at {pointer}"), pointer));
    }
    Ok(Said::Pass(json!({"amount": largest, "max": max}), Vec::new()))
}

/// The largest amount, wherever it may stand; or where one stands that cannot be read.
#[cfg_attr(not(feature = "cedar"), allow(dead_code, reason = "only Cedar policies need it"))]
pub(super) fn largest(arguments: &str) -> Result<std::result::Result<Money, String>> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let mut largest = Money::ZERO;
    for value in found {
        let is_amount = is_amount(&value.name);
        if !is_amount && is_other(&value.name) {
            continue;
        }
        match read(&value) {
            Some(amount) => largest = largest.max(amount),
            None if is_amount || !value.is_text => return Ok(Err(value.path)),
            None => {}
        }
    }
    Ok(Ok(largest))
}

/// The largest amount that the arguments name as one, for whoever approves.
pub fn named_amount(arguments: &str) -> Result<Money> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let amounts = found.iter().filter(|value| is_amount(&value.name)).filter_map(read);
    Ok(amounts.max().unwrap_or(Money::ZERO))
}

/// The first amount that the arguments name as one and that is not nothing, and where it stands as a JSON pointer.
pub fn first_named(arguments: &str) -> Result<Option<(String, Money)>> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let mut amounts = found.iter().filter(|value| is_amount(&value.name));
    Ok(amounts.find_map(|value| Some((value.path.clone(), read(value).filter(|amount| *amount > Money::ZERO)?))))
}

/// The amount at a JSON pointer.
pub fn amount_at(arguments: &str, pointer: &str) -> Result<Option<Money>> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    Ok(found.iter().find(|value| value.path == pointer).and_then(read).filter(|amount| !amount.is_negative()))
}

/// The amount without its sign: a negative one moves money as well.
fn read(value: &Found) -> Option<Money> {
    let text = value.text.trim().trim_start_matches('$').trim_end_matches("USD").trim();
    let text = text.strip_prefix('-').unwrap_or(text);
    // What is written with an exponent is a number all the same; an amount that cannot be held is too large anyway.
    without_groups(text)?.parse().ok().or_else(|| {
        let is_number = !value.is_text && serde_json::from_str::<f64>(&value.text).is_ok();
        is_number.then(|| beyond(text))
    })
}

/// Digits without the commas between thousands; a comma anywhere else makes it unclear what is meant.
fn without_groups(text: &str) -> Option<String> {
    let (whole, rest) = text.split_once('.').map_or((text, ""), |(whole, rest)| (whole, rest));
    let mut groups = whole.split(',');
    let first = groups.next().unwrap_or_default();
    let is_grouped = groups.clone().next().is_some();
    let well = !is_grouped || ((1..=3).contains(&first.len()) && groups.all(|group| group.len() == 3));
    (well && !rest.contains(',')).then(|| text.replace(',', ""))
}

/// A number that is no exact amount: too many decimals, or too large. It counts as the next amount above.
fn beyond(text: &str) -> Money {
    let number: f64 = text.parse().unwrap_or(f64::INFINITY);
    if number < 9.0e9 {
        format!("{number:.9}").parse::<Money>().map_or(MOST, |rounded| rounded.saturating_add(Money::from_nanos(1)))
    } else {
        MOST
    }
}

const MOST: Money = Money::from_nanos(i64::MAX);

/// The words of a name, in any of the ways in which names are put together.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Whether a name is that of an amount.
pub fn is_amount(name: &str) -> bool {
    words(name).iter().any(|word| AMOUNT.contains(&word.as_str()))
}

fn is_other(name: &str) -> bool {
    !is_amount(name) && words(name).iter().any(|word| OTHER.contains(&word.as_str()))
}

/// Every number and text, with a JSON pointer to it. Numbers stay as they were written.
fn collect(json: &str, path: String, name: &str, found: &mut Vec<Found>) -> Result<()> {
    match json.as_bytes().first() {
        Some(b'{') => {
            let members: std::collections::BTreeMap<String, &RawValue> =
                serde_json::from_str(json).map_err(Error::internal)?;
            for (name, value) in members {
                let step = name.replace('~', "~0").replace('/', "~1");
                collect(value.get(), format!("{path}/{step}"), &name, found)?;
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(json).map_err(Error::internal)?;
            for (index, value) in items.iter().enumerate() {
                // An item is what its list is.
                collect(value.get(), format!("{path}/{index}"), name, found)?;
            }
        }
        Some(b'"') => {
            let Value::String(text) = serde_json::from_str(json).map_err(Error::internal)? else { return Ok(()) };
            found.push(Found { path, name: name.to_owned(), text, is_text: true });
        }
        Some(b'-' | b'0'..=b'9') => {
            found.push(Found { path, name: name.to_owned(), text: json.to_owned(), is_text: false });
        }
        _ => {}
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::PolicyType;

    fn limit(argument: Option<&str>) -> PolicyDefinition {
        PolicyDefinition {
            policy_type: PolicyType::SpendLimit,
            tool: None,
            tools: None,
            max: Some(Money::from_units(100)),
            argument: argument.map(str::to_owned),
            cedar: None,
            max_per_minute: None,
            start_hour: None,
            end_hour: None,
            dry_run: false,
        }
    }

    fn passes(arguments: &Value) -> bool {
        matches!(within(&limit(None), &arguments.to_string()).unwrap(), Said::Pass(..))
    }

    #[test]
    fn an_amount_is_found_under_any_name_and_in_any_form() {
        for arguments in [
            json!({"amount": 100.01}),
            json!({"Amount": 500}),
            json!({"totalPrice": 101}),
            json!({"x_amount": "101"}),
            json!({"sum": "$101"}),
            json!({"value": "1,000"}),
            json!({"qty_in_gold": 101}),
            json!({"args": {"pay": [1, 200]}}),
            json!({"amount": "nan"}),
            json!({"amount": "inf"}),
            json!({"amount": "1e9"}),
            json!({"amount": -500}),
            json!({"amount": "a lot"}),
            json!({"amount": "1.000,50"}),
            json!({"lump": 1e300}),
            json!({"price_limit": 5000}),
            json!({"gift": "500"}),
        ] {
            assert!(!passes(&arguments), "{arguments}");
        }
        for arguments in [
            json!({"amount": 100}),
            json!({"amount": "99.5", "id": 123_456}),
            json!({"query": "buy 500 things"}),
            json!({"limit": 1000, "page": 200, "issueNumber": 4711, "timeout_ms": 60_000}),
            json!({}),
        ] {
            assert!(passes(&arguments), "{arguments}");
        }
        assert!(matches!(within(&limit(None), r#"{"amount":100.0000000001}"#).unwrap(), Said::Forbidden(..)));
    }

    #[test]
    fn a_named_argument_is_the_amount_and_must_be_there() {
        let asks =
            |arguments: Value| matches!(within(&limit(Some("/a/b")), &arguments.to_string()).unwrap(), Said::Pass(..));
        assert!(asks(json!({"a": {"b": 100}, "amount": 5000})));
        assert!(!asks(json!({"a": {"b": 101}})) && !asks(json!({"a": {}})) && !asks(json!({"a": {"b": "x"}})));
    }
}
