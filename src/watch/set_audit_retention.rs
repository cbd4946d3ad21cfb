//! `setAuditRetention`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    get_audit_retention::{AuditRetention, GetAuditRetention},
    retention::{self, MAX_DAYS},
};
use crate::{
    call::{ReadContext, ReadOperation, WriteContext, WriteOperation},
    error::{Error, Result},
};

/// Set how long the details of audit entries are kept. Older ones are erased within a day, for good; the entries
/// themselves stay, and every proof about them holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetAuditRetention {
    /// Days after which the details of an entry are erased; 0 keeps them for ever.
    #[schemars(range(min = 0, max = 36_500))]
    retain_days: i64,
}

impl WriteOperation for SetAuditRetention {
    type Output = AuditRetention;

    fn run(self, cx: &mut WriteContext<'_>) -> Result<AuditRetention> {
        if !(0..=MAX_DAYS).contains(&self.retain_days) {
            let message = format!("retain_days must be from 0 (for ever) to {MAX_DAYS}");
            return Err(Error::invalid("retain_days", message));
        }
        retention::set(cx, self.retain_days)?;
        let cx = ReadContext { tx: cx.tx, caller: cx.caller, now: cx.now, services: cx.services };
        GetAuditRetention {}.run(&cx)
    }
}
