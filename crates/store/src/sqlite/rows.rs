//! Between columns and the model's types. What cannot be read back is a fault of the store, named by column.

use rusqlite::{Row, types::FromSql};
use serde::{
    Serialize,
    de::{DeserializeOwned, IntoDeserializer},
};

use crate::{
    WebhookState,
    error::{Error, Result},
    model::{
        AgentId, ApprovalId, ApprovalStatus, AuthorizationId, AuthorizationStatus, Cadence, Disclosure, EntryId, Money,
        PolicyId, Role, RuleId, RuleType, Scope, Scopes, SecretName, SessionId, TenantId, Tier, UnixMicros,
        UpstreamName,
    },
};

/// Reads the columns of a row one after the other, in the order in which the statement names them: looking each up
/// by its name costs more than reading it.
pub(super) struct Columns<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Columns<'r, 's> {
    pub(super) fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    /// The next column, as a type of the model.
    pub(super) fn next<T: FromColumn>(&mut self) -> Result<T> {
        let stored: T::Stored = self.row.get(self.next)?;
        let read = T::from_column(stored);
        let index = self.next;
        self.next += 1;
        read.map_err(|problem| {
            let name = self.row.as_ref().column_name(index).unwrap_or("?");
            Error::internal(format!("column {name}: {problem}"))
        })
    }
}

/// A type that is kept in one column.
pub(super) trait FromColumn: Sized {
    type Stored: FromSql;

    fn from_column(stored: Self::Stored) -> Result<Self, String>;
}

macro_rules! columns {
    ($($type:ty: $stored:ty => $read:expr;)*) => {
        $(impl FromColumn for $type {
            type Stored = $stored;

            fn from_column(stored: $stored) -> Result<Self, String> {
                let read: fn($stored) -> Result<Self, String> = $read;
                read(stored)
            }
        })*
    };
}

columns! {
    i64: i64 => Ok;
    Option<i64>: Option<i64> => Ok;
    String: String => Ok;
    Option<String>: Option<String> => Ok;
    Vec<u8>: Vec<u8> => Ok;
    Option<Vec<u8>>: Option<Vec<u8>> => Ok;
    [u8; 32]: Vec<u8> => |bytes| bytes.try_into().map_err(|_| "is not 32 bytes".into());
    UnixMicros: i64 => |micros| Ok(UnixMicros(micros));
    Option<UnixMicros>: Option<i64> => |micros| Ok(micros.map(UnixMicros));
    Money: i64 => |nanos| Ok(Money::from_nanos(nanos));
    Option<Money>: Option<i64> => |nanos| Ok(nanos.map(Money::from_nanos));
    SessionId: String => SessionId::parse;
    Option<SessionId>: Option<String> => |id| id.map(SessionId::parse).transpose();
    AgentId: String => AgentId::parse;
    ApprovalId: String => ApprovalId::parse;
    RuleId: String => RuleId::parse;
    PolicyId: String => PolicyId::parse;
    UpstreamName: String => UpstreamName::parse;
    Vec<UpstreamName>: String => |json| from_json(&json);
    AuthorizationId: String => AuthorizationId::parse;
    EntryId: String => EntryId::parse;
    SecretName: String => SecretName::parse;
    TenantId: String => TenantId::parse;
    Scopes: String => |json| from_json(&json);
    Option<Scopes>: Option<String> => |json| json.map(|json| from_json(&json)).transpose();
    Vec<String>: String => |json| from_json(&json);
    Scope: String => Scope::parse;
    bool: bool => Ok;
    u16: u16 => Ok;
    WebhookState: String => |word| from_word(&word);
    Cadence: String => |word| from_word(&word);
    Role: String => |word| from_word(&word);
    Tier: String => |word| from_word(&word);
    Disclosure: String => |word| from_word(&word);
    AuthorizationStatus: String => |word| from_word(&word);
    ApprovalStatus: String => |word| from_word(&word);
    RuleType: String => |word| from_word(&word);
}

/// A column that holds JSON.
pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// A column that holds one word of an enum.
pub(super) fn from_word<T: DeserializeOwned>(word: &str) -> Result<T, String> {
    T::deserialize(word.into_deserializer()).map_err(|error: serde::de::value::Error| error.to_string())
}

/// The word of an enum, as serde writes it.
pub(super) fn word(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value).map_err(Error::internal)? {
        serde_json::Value::String(word) => Ok(word),
        other => Err(Error::internal(format!("{other} is no word"))),
    }
}

/// JSON for a column.
pub(super) fn json(value: &impl Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

/// A bound of a query: `LIMIT` takes a signed integer.
pub(super) fn rows(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}
