//! Columns of a row that an intruder may have changed.

use crate::{
    database::{Row, Value},
    model::EntryKind,
};

/// Reads a row strictly, column by column: what no append could have written is a problem, not a value to make
/// sense of.
pub(crate) struct Strict<'r> {
    row: &'r dyn Row,
    next: usize,
}

impl<'r> Strict<'r> {
    /// From its first column on.
    pub(crate) fn of(row: &'r dyn Row) -> Self {
        Self { row, next: 0 }
    }

    fn value(&mut self) -> Value<'r> {
        self.next += 1;
        self.row.value(self.next - 1)
    }

    /// That the column just read is not what it should be.
    pub(crate) fn not(&self, expected: &str) -> String {
        format!("{} is not {expected}", self.row.column(self.next - 1))
    }

    pub(crate) fn optional_text(&mut self) -> Result<Option<&'r str>, String> {
        match self.value() {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            _ => Err(self.not("UTF-8 text")),
        }
    }

    pub(crate) fn text(&mut self) -> Result<&'r str, String> {
        match self.optional_text()? {
            Some(text) => Ok(text),
            None => Err(self.not("text")),
        }
    }

    pub(crate) fn integer(&mut self) -> Result<i64, String> {
        match self.value() {
            Value::Integer(integer) => Ok(integer),
            _ => Err(self.not("an integer")),
        }
    }

    pub(crate) fn kind(&mut self) -> Result<EntryKind, String> {
        match self.text()? {
            "action" => Ok(EntryKind::Action),
            "governance" => Ok(EntryKind::Governance),
            _ => Err(self.not("action or governance")),
        }
    }

    pub(crate) fn boolean(&mut self) -> Result<bool, String> {
        match self.value() {
            Value::Integer(0) => Ok(false),
            Value::Integer(1) => Ok(true),
            _ => Err(self.not("0 or 1")),
        }
    }

    pub(crate) fn optional_bytes<const N: usize>(&mut self) -> Result<Option<&'r [u8; N]>, String> {
        match self.value() {
            Value::Null => Ok(None),
            Value::Blob(blob) => blob.try_into().map(Some).map_err(|_| self.not(&format!("{N} bytes"))),
            _ => Err(self.not("a blob")),
        }
    }

    pub(crate) fn hash(&mut self) -> Result<&'r [u8; 32], String> {
        match self.optional_bytes()? {
            Some(hash) => Ok(hash),
            None => Err(self.not("a hash")),
        }
    }
}
