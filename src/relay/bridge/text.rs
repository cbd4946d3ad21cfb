//! JSON text with members put in and taken out, all else as it was written.

use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use super::super::{
    json::{self, Object},
    message::{quoted, response},
};
use crate::model::LogLevel;

/// Under this, requests of 2026-07-28 say who sends them.
pub(in crate::relay) const PREFIX: &str = "io.modelcontextprotocol/";

/// Text that was read as JSON before, as JSON.
pub(in crate::relay) fn value(raw: &RawValue) -> Value {
    serde_json::from_str(raw.get()).unwrap_or_default()
}

/// A member of an object.
pub(in crate::relay) fn member<'a>(object: Option<&'a RawValue>, name: &str) -> Option<&'a RawValue> {
    json::object(object?).ok()?.get(name)
}

/// The `_meta` of parameters.
pub(in crate::relay) fn meta(params: Option<&RawValue>) -> Option<&RawValue> {
    member(params, "_meta")
}

/// A request.
pub(in crate::relay) fn request(id: &str, method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"method":{},"params":{params}}}"#, quoted(method))
}

/// A notification.
pub(in crate::relay) fn notification(method: &str, params: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":{},"params":{params}}}"#, quoted(method))
}

/// The object without the members that `keep` does not want, and with these in front.
pub(in crate::relay) fn edited(
    object: Option<&RawValue>,
    keep: impl Fn(&str) -> bool,
    more: &[(&str, &str)],
) -> String {
    let object = object.and_then(|object| serde_json::from_str::<Object<'_>>(object.get()).ok()).unwrap_or_default();
    let put = more.iter().map(|(name, value)| format!("{}:{value}", quoted(name)));
    let is_new = |name: &str| more.iter().all(|(known, _)| *known != name);
    let kept = object.0.iter().filter(|(name, _)| keep(name) && is_new(name));
    let kept = kept.map(|(name, value)| format!("{}:{}", quoted(name), value.get()));
    format!("{{{}}}", put.chain(kept).collect::<Vec<_>>().join(","))
}

/// A response, whose result is this object with members taken out and put in.
pub(in crate::relay) fn answer(
    id: &str,
    result: Option<&RawValue>,
    keep: impl Fn(&str) -> bool,
    more: &[(&str, &str)],
) -> String {
    response(id, &edited(result, keep, more))
}

/// What a client is told that asks for a log level that there is not.
pub(super) const NO_LEVEL: &str =
    "the log level must be debug, info, notice, warning, error, critical, alert or emergency";

/// Whether this is a log level.
pub(super) fn is_level(value: &Value) -> bool {
    LogLevel::deserialize(value).is_ok()
}
