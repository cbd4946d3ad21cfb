//! Between columns and the model's types. What cannot be read back is a fault of the store, named by column.

use rusqlite::{Row, types::FromSql};
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    error::{Error, Result},
    model::{AgentId, AuthorizationId, EntryId, Money, Scopes, SecretName, SessionId, TenantId, UnixMicros},
};

/// Reads a column as a type of the model.
pub(super) trait Column {
    fn column<T: FromColumn>(&self, name: &'static str) -> Result<T>;
}

impl Column for Row<'_> {
    fn column<T: FromColumn>(&self, name: &'static str) -> Result<T> {
        let stored: T::Stored = self.get(name)?;
        T::from_column(stored).map_err(|problem| Error::internal(format!("column {name}: {problem}")))
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
    [u8; 32]: Vec<u8> => |bytes| bytes.try_into().map_err(|_| "is not 32 bytes".into());
    UnixMicros: i64 => |micros| Ok(UnixMicros(micros));
    Option<UnixMicros>: Option<i64> => |micros| Ok(micros.map(UnixMicros));
    Money: i64 => |nanos| Ok(Money::from_nanos(nanos));
    Option<Money>: Option<i64> => |nanos| Ok(nanos.map(Money::from_nanos));
    SessionId: String => SessionId::parse;
    Option<SessionId>: Option<String> => |id| id.map(SessionId::parse).transpose();
    AgentId: String => AgentId::parse;
    AuthorizationId: String => AuthorizationId::parse;
    EntryId: String => EntryId::parse;
    SecretName: String => SecretName::parse;
    TenantId: String => TenantId::parse;
    Scopes: String => |json| from_json(&json);
}

/// A column that holds JSON.
pub(super) fn from_json<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| error.to_string())
}

/// A column that holds one word of an enum.
pub(super) fn from_word<T: DeserializeOwned>(word: &str) -> Result<T> {
    serde_json::from_value(word.into()).map_err(Error::internal)
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
