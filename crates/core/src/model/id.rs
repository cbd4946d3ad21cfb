//! Typed ids. A [`SessionId`] cannot be passed where a [`SecretName`] is meant, and none is ever spliced into a
//! path: interfaces percent-encode them.

use std::{fmt, sync::Arc};

use schemars::json_schema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error};

use super::text;

/// Declares a string newtype that is validated when it is parsed.
macro_rules! id {
    ($(#[$doc:meta])* $name:ident, max $max:literal, $pattern:expr, $example:literal, $valid:expr, $expected:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The longest id, in characters.
            pub const MAX_CHARS: usize = $max;

            /// Parses an id; the error says what was expected.
            pub fn parse(text: impl AsRef<str>) -> Result<Self, String> {
                let text = text.as_ref();
                if let Some(problem) = text::problem(text, 1, $max, false) {
                    return Err(problem);
                }
                let valid: fn(&str) -> bool = $valid;
                if valid(text) { Ok(Self(text.into())) } else { Err($expected.to_owned()) }
            }

            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::parse(String::deserialize(deserializer)?).map_err(D::Error::custom)
            }
        }

        inline_schema!($name, stringify!($name), |_| {
            let pattern: Option<&str> = $pattern;
            json_schema!({
                "type": "string", "minLength": 1, "maxLength": $max, "examples": [$example],
                "pattern": pattern.unwrap_or(text::LINE_PATTERN)
            })
        });
    };
}

id!(
    /// A session: `ses_`, the time in milliseconds modulo 2^32, and 160 random bits, base64url. A client that knows it may
    /// act within it, so it is as unguessable as a key. A text that is no such id names no session: it is unknown, not an error.
    SessionId, max 128, None, "ses_kdQWugkeF2Zy3Q1s8c68UvDQvytmSPGf", |_| true, "");
id!(
    /// An audit entry: `aud_`, then its sequence number and 96 random bits, base64url. Carrying the sequence
    /// number makes the look-up a primary-key read, with no index of random ids to maintain on every append.
    EntryId, max 64, None, "aud_AAAAAAABqK8mXDBhzVn2oPq1", |_| true, "");
id!(
    /// A payment authorization: `auth_`, the time in milliseconds modulo 2^32, and 128 random bits, base64url.
    AuthorizationId, max 64, None, "auth_ubboQEgLF2N9Bt9NF0UBGw", |_| true, "");
id!(
    /// An approval request: `apr_` and 128 random bits, base64url.
    ApprovalId, max 64, None, "apr_3kHhR1oEwJrN8qT0vYb6Zg", |_| true, "");
id!(
    /// An approval rule: `rule_` and 128 random bits, base64url.
    RuleId, max 64, None, "rule_Yw9sQ2mJx4uP7cLr1tAeVg", |_| true, "");
id!(
    /// A policy of the proxy: `pol_` and 128 random bits, base64url.
    PolicyId, max 64, None, "pol_Q7hYc0mXw2uT9kLr5tBfZg", |_| true, "");
id!(
    /// The name of an upstream server, the prefix of its tools' names: letters, digits, `_` and `-`.
    UpstreamName, max 64, Some("^[A-Za-z0-9][A-Za-z0-9_-]*$"), "github",
    |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b)) && text.as_bytes()[0].is_ascii_alphanumeric(),
    "must consist of letters, digits, _ and -, and begin with a letter or a digit");
id!(
    /// The name of an agent, chosen by the caller that creates the session.
    AgentId, max 128, None, "research-bot", |_| true, "");
id!(
    /// The name of a secret: letters, digits and `. _ - / @ :`, so that it can stand in a path and in a template.
    SecretName, max 128, Some("^[A-Za-z0-9._/@:-]+$"), "stripe_key",
    |text| text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-/@:".contains(&b)),
    "must consist of letters, digits and . _ - / @ :");
id!(
    /// One customer of this store. Nothing is shared between tenants.
    TenantId, max 64, None, "local", |_| true, "");

impl SessionId {
    /// What every session id starts with.
    pub const PREFIX: &str = "ses_";
    /// Characters behind it: 192 bits as base64url.
    const RANDOM_CHARS: usize = 32;

    /// Whether the text has the form of a session id, known or not.
    pub fn is_well_formed(&self) -> bool {
        let is_base64url = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        let random = self.0.strip_prefix(Self::PREFIX).map(str::as_bytes);
        random.is_some_and(|random| random.len() == Self::RANDOM_CHARS && random.iter().copied().all(is_base64url))
    }
}

impl TenantId {
    /// The tenant of this machine: the keyless stdio server's and the first key's.
    pub fn local() -> Self {
        Self("local".into())
    }
}

impl EntryId {
    /// Bytes in front of the random part: the sequence number, big-endian.
    pub const SEQ_BYTES: usize = 6;
    /// Random bytes behind the sequence number.
    pub const RANDOM_BYTES: usize = 12;
}
