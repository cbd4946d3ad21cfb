//! What a client says of itself: in `initialize`, or in the `_meta` of each request (2026-07-28).

use serde_json::Value;

use crate::{meta, request::ServerRequest};

/// A client, as far as a person there can be asked something.
#[derive(Clone, Debug, Default)]
pub struct Client {
    /// Its own name and version.
    pub name: String,
    /// Whether it shows forms to a person.
    pub can_ask: bool,
}

impl Client {
    /// From the parameters of `initialize`, or from the `_meta` of a request.
    pub fn read(said: &Value) -> Self {
        let [info, capabilities] = match said.get("capabilities") {
            Some(capabilities) => [&said["clientInfo"], capabilities],
            None => [&said[meta::CLIENT_INFO], &said[meta::CLIENT_CAPABILITIES]],
        };
        let text = |name: &str| info[name].as_str().unwrap_or_default();
        Self::new(text("name"), text("version"), capabilities)
    }

    /// From its parts; `capabilities` is the object that it declared.
    pub fn new(name: &str, version: &str, capabilities: &Value) -> Self {
        let name = format!("{name} {version}").trim().to_owned();
        Self { name, can_ask: ServerRequest::Elicitation.is_declared(capabilities, &Value::Null) }
    }
}
