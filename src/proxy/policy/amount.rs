//! `spend_limit`: no call with a larger amount. Tools define freely what an amount is, so every number counts unless its name
//! says otherwise, and an argument that is named as an amount must be one. A string is an amount if it is a plain decimal; one
//! that only some readers would take for an amount, such as `1,000` or `EUR 100`, is refused.

mod names;
mod read;

use serde_json::{Value, json, value::RawValue};

pub use self::names::is_amount;
use self::{names::is_other, read::Read};
use super::PolicyResult;
use crate::{
    error::{Error, Result},
    model::{Money, PolicyDefinition},
};

/// A number or a string in the arguments, and its place.
struct Found {
    path: String,
    /// The last name on its path.
    name: String,
    /// The number as it is written, or the string.
    text: String,
    is_text: bool,
}

/// The form of an amount, for error messages.
pub const EXPECTED: &str = "send a JSON number, such as 29.99, or its digits as a text, such as \"29.99\", without currency, \
                            plus sign, exponent or separators";

impl Found {
    fn read(&self) -> Read {
        if self.is_text { read::text(&self.text) } else { read::number(&self.text) }
    }

    fn amount(&self) -> Option<Money> {
        match self.read() {
            Read::Amount(amount) => Some(amount),
            Read::Unclear | Read::Text => None,
        }
    }
}

pub(super) fn within(definition: &PolicyDefinition, arguments: &str) -> Result<PolicyResult> {
    let max = definition.max.unwrap_or(Money::ZERO);
    let forbidden = |why: String, path: &str| PolicyResult::Forbidden(why, json!({"argument": path, "max": max}));
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
        match value.read() {
            Read::Amount(amount) if amount > max => {
                return Ok(forbidden(
                    format!("{amount} USD is more than the {max} USD that one call may be about"),
                    &value.path,
                ));
            }
            Read::Amount(amount) => largest = largest.max(amount),
            // A string under a neutral name is just text.
            Read::Text if !is_amount => {}
            Read::Text | Read::Unclear => {
                return Ok(forbidden(
                    format!("{} is no amount that can be read exactly: {EXPECTED}", value.path),
                    &value.path,
                ));
            }
        }
    }
    if let Some(pointer) = &definition.argument
        && !found.iter().any(|value| value.path == *pointer)
    {
        return Ok(forbidden(format!("the call has no amount at {pointer}"), pointer));
    }
    Ok(PolicyResult::Pass(json!({"amount": largest, "max": max}), Vec::new()))
}

/// The largest amount in the arguments; or the place of one that cannot be read.
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
        match value.read() {
            Read::Amount(amount) => largest = largest.max(amount),
            Read::Text if !is_amount => {}
            Read::Text | Read::Unclear => return Ok(Err(value.path)),
        }
    }
    Ok(Ok(largest))
}

/// The largest argument that is named as an amount, for the approver. An unreadable one counts as [`Money::MOST`]: it needs an
/// approval whatever the rule's threshold.
pub fn named_amount(arguments: &str) -> Result<Money> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let amounts = found.iter().filter(|value| is_amount(&value.name)).filter_map(|value| match value.read() {
        Read::Amount(amount) => Some(amount),
        Read::Unclear => Some(Money::MOST),
        Read::Text => None,
    });
    Ok(amounts.max().unwrap_or(Money::ZERO))
}

/// The first non-zero argument that is named as an amount, and its JSON pointer.
pub fn first_named(arguments: &str) -> Result<Option<(String, Money)>> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    let mut amounts = found.iter().filter(|value| is_amount(&value.name));
    Ok(amounts.find_map(|value| Some((value.path.clone(), value.amount().filter(|amount| *amount > Money::ZERO)?))))
}

/// The amount at a JSON pointer.
pub fn amount_at(arguments: &str, pointer: &str) -> Result<Option<Money>> {
    let mut found = Vec::new();
    collect(arguments, String::new(), "", &mut found)?;
    Ok(found.iter().find(|value| value.path == pointer).and_then(Found::amount))
}

/// Every number and string, with a JSON pointer to it. Numbers keep their text.
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
                // An item has the name of its array.
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
        matches!(within(&limit(None), &arguments.to_string()).unwrap(), PolicyResult::Pass(..))
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
            json!({"gift": "EUR 100"}),
            json!({"gift": "500$"}),
            json!({"gift": "+500"}),
            json!({"gift": "1,000"}),
            json!({"gift": "1e3"}),
            json!({"amount": "$5"}),
            json!({"amount": "1e1"}),
            json!({"amount": "1,0"}),
            json!({"amount": "+5"}),
        ] {
            assert!(!passes(&arguments), "{arguments}");
        }
        for arguments in [
            json!({"amount": 100}),
            json!({"amount": "99.5", "id": 123_456}),
            json!({"amount": 1e1, "price": " 7 ", "cost": "-3.50"}),
            json!({"query": "buy 500 things"}),
            json!({"limit": 1000, "page": 200, "issueNumber": 4711, "timeout_ms": 60_000}),
            json!({}),
        ] {
            assert!(passes(&arguments), "{arguments}");
        }
        assert!(matches!(within(&limit(None), r#"{"amount":100.0000000001}"#).unwrap(), PolicyResult::Forbidden(..)));
    }

    #[test]
    fn a_named_argument_is_the_amount_and_must_be_there() {
        let asks = |arguments: Value| {
            matches!(within(&limit(Some("/a/b")), &arguments.to_string()).unwrap(), PolicyResult::Pass(..))
        };
        assert!(asks(json!({"a": {"b": 100}, "amount": 5000})));
        assert!(!asks(json!({"a": {"b": 101}})) && !asks(json!({"a": {}})) && !asks(json!({"a": {"b": "x"}})));
        for unclear in ["EUR 10", "10$", "$10", "+10", "1,0", "1e1", "1_0", "0x1", "\u{ff11}", "10 USD", ""] {
            let said = within(&limit(Some("/a/b")), &json!({"a": {"b": unclear}}).to_string()).unwrap();
            let PolicyResult::Forbidden(why, _) = said else { panic!("{unclear} passed") };
            assert!(why.contains("/a/b is no amount that can be read exactly: send a JSON number"), "{unclear}: {why}");
        }
    }

    #[test]
    fn an_amount_that_cannot_be_read_needs_an_approval_and_costs_no_less() {
        let named = |text: &str| named_amount(&json!({"amount": text}).to_string()).unwrap();
        assert_eq!((named("EUR 100"), named("1,000"), named("1e3")), (Money::MOST, Money::MOST, Money::MOST));
        assert_eq!((named("7.5"), named("as agreed")), ("7.5".parse().unwrap(), Money::ZERO));
        let cost = |text: &str| amount_at(&json!({"price": text}).to_string(), "/price").unwrap();
        assert_eq!((cost("EUR 100"), cost("1,000"), cost("1e3"), cost("+1")), (None, None, None, None));
        assert_eq!(cost("-2"), Some(Money::from_units(2)));
    }
}
