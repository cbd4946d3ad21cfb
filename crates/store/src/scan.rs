//! What a transaction can do for a check of a whole log, which looks at everything itself.

use crate::{
    error::Result,
    model::{EntryBytes, TenantId},
};

#[allow(missing_docs)]
pub trait ReadRows {
    /// Hands over the row of every entry from `first` on, in order, until `each` answers `false`; `None` stands for a row
    /// that no append could have written: [`super::ReadAudit::each_entry`] says why.
    fn each_row(
        &self,
        tenant: &TenantId,
        first: i64,
        each: &mut dyn FnMut(Option<&EntryBytes<'_>>) -> bool,
    ) -> Result<()>;
}
