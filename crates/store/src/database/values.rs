//! Between columns and the model's types.

use std::{collections::BTreeMap, sync::Arc};

use serde::de::IntoDeserializer;

use crate::{
    WebhookState,
    error::{Error, Result},
    model::{
        AgentId, ApprovalId, ApprovalStatus, AuthorizationId, AuthorizationStatus, Cadence, Disclosure, EntryId, Money,
        Month, PolicyDefinition, PolicyId, PolicyUse, Role, RuleId, RuleType, Scope, Scopes, SecretName, SessionId,
        TenantId, Tier, ToolMarks, UnixMicros, UpstreamName, UpstreamSettings,
    },
};

/// A value of a column. Booleans are 0 and 1.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Value<'v> {
    Null,
    Integer(i64),
    Text(&'v str),
    Blob(&'v [u8]),
    /// What no column of ours holds, such as a fraction or text that is not UTF-8: a row was changed by hand.
    Foreign,
}

/// The type of a column or a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ColumnType {
    Integer,
    Text,
    Blob,
}

/// A type that can be bound to a parameter.
pub(crate) trait ToValue {
    /// The parameter's type, also where its value is null.
    const COLUMN_TYPE: ColumnType;

    /// Passes the value to `take`.
    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()>;
}

/// Any [`ToValue`].
pub(crate) trait Param {
    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()>;
    #[cfg_attr(not(feature = "postgres"), expect(dead_code, reason = "SQLite takes a type from each value"))]
    fn column_type(&self) -> ColumnType;
}

impl<T: ToValue + ?Sized> Param for T {
    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        ToValue::to_value(self, take)
    }

    fn column_type(&self) -> ColumnType {
        T::COLUMN_TYPE
    }
}

/// A type that is read from one column. The error says what was expected.
pub(crate) trait FromValue: Sized {
    fn from_value(value: Value<'_>) -> Result<Self, String>;
}

fn text(value: Value<'_>) -> Result<&str, String> {
    if let Value::Text(text) = value { Ok(text) } else { Err("is not text".to_owned()) }
}

fn blob(value: Value<'_>) -> Result<&[u8], String> {
    if let Value::Blob(bytes) = value { Ok(bytes) } else { Err("is not a blob".to_owned()) }
}

/// `Type => |value| integer, |integer| value`.
macro_rules! integers {
    ($($type:ty => $to:expr, $from:expr;)*) => {
        $(impl ToValue for $type {
            const COLUMN_TYPE: ColumnType = ColumnType::Integer;

            fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
                let to: fn(&Self) -> i64 = $to;
                take(Value::Integer(to(self)))
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                let Value::Integer(integer) = value else { return Err("is not an integer".to_owned()) };
                let from: fn(i64) -> Result<Self, String> = $from;
                from(integer)
            }
        })*
    };
}

integers! {
    i64 => |value| *value, Ok;
    bool => |value| i64::from(*value), |stored| Ok(stored != 0);
    u16 => |value| i64::from(*value), |stored| u16::try_from(stored).map_err(|error| error.to_string());
    u32 => |value| i64::from(*value), |stored| u32::try_from(stored).map_err(|error| error.to_string());
    UnixMicros => |at| at.0, |stored| Ok(UnixMicros(stored));
    Month => |month| month.0, |stored| Ok(Month(stored));
    Money => |money| money.nanos(), |stored| Ok(Money::from_nanos(stored));
}

impl ToValue for String {
    const COLUMN_TYPE: ColumnType = ColumnType::Text;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Text(self))
    }
}

impl FromValue for String {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

impl ToValue for Vec<u8> {
    const COLUMN_TYPE: ColumnType = ColumnType::Blob;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Blob(self))
    }
}

impl FromValue for Vec<u8> {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        blob(value).map(<[u8]>::to_vec)
    }
}

impl<const N: usize> ToValue for [u8; N] {
    const COLUMN_TYPE: ColumnType = ColumnType::Blob;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Blob(self))
    }
}

/// A hash of another length is tampering, which must be found, not stumbled over: read as something that no hash is, it is
/// never authentic.
impl FromValue for [u8; 32] {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        blob(value).map(|bytes| bytes.try_into().unwrap_or(NO_HASH))
    }
}

/// Ids are parsed again: a row that was changed by hand names nothing that they cannot name.
macro_rules! ids {
    ($($type:ty),*) => {
        $(impl ToValue for $type {
            const COLUMN_TYPE: ColumnType = ColumnType::Text;

            fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
                take(Value::Text(self.as_str()))
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                Self::parse(text(value)?)
            }
        })*
    };
}

ids!(AgentId, ApprovalId, AuthorizationId, EntryId, PolicyId, RuleId, SecretName, SessionId, TenantId, UpstreamName);

/// Columns that hold one word of an enum, as serde writes it.
macro_rules! words {
    ($($type:ty),*) => {
        $(impl ToValue for $type {
            const COLUMN_TYPE: ColumnType = ColumnType::Text;

            fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
                match serde_json::to_value(self).map_err(Error::internal)? {
                    serde_json::Value::String(word) => take(Value::Text(&word)),
                    other => Err(Error::internal(format!("{other} is no word"))),
                }
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                let deserialized = serde::Deserialize::deserialize(text(value)?.into_deserializer());
                deserialized.map_err(|error: serde::de::value::Error| error.to_string())
            }
        })*
    };
}

words!(ApprovalStatus, AuthorizationStatus, Cadence, Disclosure, Role, RuleType, Tier, WebhookState);

/// Columns that hold JSON.
macro_rules! jsons {
    ($($type:ty),*) => {
        $(impl ToValue for $type {
            const COLUMN_TYPE: ColumnType = ColumnType::Text;

            fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
                take(Value::Text(&serde_json::to_string(self).map_err(Error::internal)?))
            }
        }

        impl FromValue for $type {
            fn from_value(value: Value<'_>) -> Result<Self, String> {
                serde_json::from_str(text(value)?).map_err(|error| error.to_string())
            }
        })*
    };
}

jsons!(
    BTreeMap<String, String>,
    BTreeMap<String, i64>,
    PolicyDefinition,
    Scopes,
    ToolMarks,
    UpstreamSettings,
    Vec<PolicyUse>,
    Vec<String>,
    Vec<UpstreamName>
);

impl FromValue for Scope {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        Self::parse(text(value)?)
    }
}

impl ToValue for Scope {
    const COLUMN_TYPE: ColumnType = ColumnType::Text;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Text(self.as_str()))
    }
}

impl ToValue for str {
    const COLUMN_TYPE: ColumnType = ColumnType::Text;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Text(self))
    }
}

impl ToValue for [u8] {
    const COLUMN_TYPE: ColumnType = ColumnType::Blob;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Blob(self))
    }
}

/// A bound of a query: `LIMIT` takes a signed integer.
impl ToValue for usize {
    const COLUMN_TYPE: ColumnType = ColumnType::Integer;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        take(Value::Integer(i64::try_from(*self).unwrap_or(i64::MAX)))
    }
}

impl<T: ToValue + ?Sized> ToValue for &T {
    const COLUMN_TYPE: ColumnType = T::COLUMN_TYPE;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        T::to_value(self, take)
    }
}

impl<T: ToValue> ToValue for Option<T> {
    const COLUMN_TYPE: ColumnType = T::COLUMN_TYPE;

    fn to_value(&self, take: &mut dyn FnMut(Value<'_>) -> Result<()>) -> Result<()> {
        match self {
            Some(value) => value.to_value(take),
            None => take(Value::Null),
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        if value == Value::Null { Ok(None) } else { T::from_value(value).map(Some) }
    }
}

impl<T: FromValue> FromValue for Arc<T> {
    fn from_value(value: Value<'_>) -> Result<Self, String> {
        T::from_value(value).map(Self::new)
    }
}

/// Stands for a hash that could not be read.
const NO_HASH: [u8; 32] = [0xff; 32];
