//! Columns of a row that an intruder may have changed.

use rusqlite::{Row, types::ValueRef};

use crate::model::EntryKind;

/// Reads a row strictly, column by column: what no append could have written is a problem, not a value to make
/// sense of.
pub(super) struct Strict<'r, 's> {
    row: &'r Row<'s>,
    next: usize,
}

impl<'r, 's> Strict<'r, 's> {
    /// From its first column on.
    pub(super) fn of(row: &'r Row<'s>) -> Self {
        Self { row, next: 0 }
    }

    fn value(&mut self) -> Result<ValueRef<'r>, String> {
        let value = self.row.get_ref(self.next).map_err(|error| error.to_string());
        self.next += 1;
        value
    }

    /// That the column just read is not what it should be.
    pub(super) fn not(&self, expected: &str) -> String {
        format!("{} is not {expected}", self.row.as_ref().column_name(self.next - 1).unwrap_or("a column"))
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<&'r str>, String> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Text(text) => std::str::from_utf8(text).map(Some).map_err(|_| self.not("UTF-8")),
            _ => Err(self.not("text")),
        }
    }

    pub(super) fn text(&mut self) -> Result<&'r str, String> {
        match self.optional_text()? {
            Some(text) => Ok(text),
            None => Err(self.not("text")),
        }
    }

    pub(super) fn integer(&mut self) -> Result<i64, String> {
        match self.value()? {
            ValueRef::Integer(integer) => Ok(integer),
            _ => Err(self.not("an integer")),
        }
    }

    pub(super) fn kind(&mut self) -> Result<EntryKind, String> {
        match self.text()? {
            "action" => Ok(EntryKind::Action),
            "governance" => Ok(EntryKind::Governance),
            _ => Err(self.not("action or governance")),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool, String> {
        match self.value()? {
            ValueRef::Integer(0) => Ok(false),
            ValueRef::Integer(1) => Ok(true),
            _ => Err(self.not("0 or 1")),
        }
    }

    pub(super) fn optional_bytes<const N: usize>(&mut self) -> Result<Option<&'r [u8; N]>, String> {
        match self.value()? {
            ValueRef::Null => Ok(None),
            ValueRef::Blob(blob) => blob.try_into().map(Some).map_err(|_| self.not(&format!("{N} bytes"))),
            _ => Err(self.not("a blob")),
        }
    }

    pub(super) fn hash(&mut self) -> Result<&'r [u8; 32], String> {
        match self.optional_bytes()? {
            Some(hash) => Ok(hash),
            None => Err(self.not("a hash")),
        }
    }
}
