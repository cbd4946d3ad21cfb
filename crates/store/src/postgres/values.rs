//! Values on their way to the server, and rows on their way back.

use std::error::Error as StdError;

use bytes::BytesMut;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};

use super::escape;
use crate::{
    database::{ColumnType, Params, Row, Value},
    error::{Error, Result},
};

pub(super) fn type_of(column: ColumnType) -> Type {
    match column {
        ColumnType::Integer => Type::INT8,
        ColumnType::Text => Type::TEXT,
        ColumnType::Blob => Type::BYTEA,
    }
}

/// A value on its way to the server.
#[derive(Debug, PartialEq)]
pub(super) enum OwnedValue {
    Null,
    Integer(i64),
    Text(String),
    Blob(Vec<u8>),
}

pub(super) fn owned(params: Params<'_>) -> Result<Vec<OwnedValue>> {
    let mut owned = Vec::with_capacity(params.len());
    for param in params {
        param.to_value(&mut |value| {
            owned.push(match value {
                Value::Null => OwnedValue::Null,
                Value::Integer(integer) => OwnedValue::Integer(integer),
                Value::Text(text) => OwnedValue::Text(escape::escaped(text).into_owned()),
                Value::Blob(bytes) => OwnedValue::Blob(bytes.to_vec()),
                Value::Foreign => return Err(Error::internal("a value that no column holds")),
            });
            Ok(())
        })?;
    }
    Ok(owned)
}

impl ToSql for OwnedValue {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Integer(integer) => integer.to_sql(ty, out),
            Self::Text(text) => text.to_sql(ty, out),
            Self::Blob(bytes) => bytes.to_sql(ty, out),
        }
    }

    fn accepts(ty: &Type) -> bool {
        [Type::INT8, Type::TEXT, Type::BYTEA].contains(ty)
    }

    to_sql_checked!();
}

/// A row, with the texts that had to be unescaped.
pub(super) struct Columns<'r> {
    row: &'r tokio_postgres::Row,
    unescaped: Vec<Option<String>>,
}

impl<'r> Columns<'r> {
    pub(super) fn of(row: &'r tokio_postgres::Row) -> Self {
        let unescape = |index| match row.try_get(index) {
            Ok(Some(Borrowed(Value::Text(text)))) => escape::unescaped(text),
            _ => None,
        };
        Self { row, unescaped: (0..row.len()).map(unescape).collect() }
    }
}

impl Row for Columns<'_> {
    fn value(&self, index: usize) -> Value<'_> {
        if let Some(Some(text)) = self.unescaped.get(index) {
            return Value::Text(text);
        }
        match self.row.try_get(index) {
            Ok(Some(Borrowed(value))) => value,
            Ok(None) => Value::Null,
            Err(_) => Value::Foreign,
        }
    }

    fn column(&self, index: usize) -> String {
        self.row.columns().get(index).map_or("a column", |column| column.name()).to_owned()
    }
}

/// A value that lies in a row.
struct Borrowed<'v>(Value<'v>);

impl<'v> FromSql<'v> for Borrowed<'v> {
    fn from_sql(ty: &Type, raw: &'v [u8]) -> Result<Self, Box<dyn StdError + Sync + Send>> {
        Ok(Self(match *ty {
            Type::INT8 => Value::Integer(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Integer(i32::from_sql(ty, raw)?.into()),
            Type::BOOL => Value::Integer(bool::from_sql(ty, raw)?.into()),
            Type::TEXT => Value::Text(<&str>::from_sql(ty, raw)?),
            Type::BYTEA => Value::Blob(raw),
            _ => Value::Foreign,
        }))
    }

    fn accepts(_ty: &Type) -> bool {
        true
    }
}
