//! JSON text with members put in and taken out, all else as it was written.

use haldir_core::model::LogLevel;
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{
    json::{self, Object},
    message::response,
};

/// JSON text as a value.
pub fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A member of an object.
pub fn member<'a>(object: Option<&'a RawValue>, name: &str) -> Option<&'a RawValue> {
    json::object(object?).ok()?.get(name)
}

/// The `_meta` of parameters.
pub fn meta(params: Option<&RawValue>) -> Option<&RawValue> {
    member(params, "_meta")
}

/// The object without the members that `keep` rejects, and with these in front.
pub fn edited(object: Option<&RawValue>, keep: impl Fn(&str) -> bool, more: &[(&str, &str)]) -> String {
    let object = object.and_then(|object| serde_json::from_str::<Object<'_>>(object.get()).ok()).unwrap_or_default();
    let is_new = |name: &str| more.iter().all(|(known, _)| *known != name);
    let kept = object.0.iter().filter(|(name, _)| keep(name) && is_new(name));
    json::written(more.iter().copied().chain(kept.map(|(name, value)| (name.as_ref(), value.get()))))
}

/// A response, whose result is this object with members taken out and put in.
pub fn answer(id: &str, result: Option<&RawValue>, keep: impl Fn(&str) -> bool, more: &[(&str, &str)]) -> String {
    response(id, &edited(result, keep, more))
}

/// The object with these members in the place of those of the same name, or in front.
pub fn with(object: Option<&RawValue>, more: &[(&str, &str)]) -> String {
    edited(object, |_| true, more)
}

/// The error for a client that asks for an unknown log level.
pub const NO_LEVEL: &str = "the log level must be debug, info, notice, warning, error, critical, alert or emergency";

/// Whether this is a log level (specification, Logging).
pub fn is_level(value: &Value) -> bool {
    LogLevel::deserialize(value).is_ok()
}
