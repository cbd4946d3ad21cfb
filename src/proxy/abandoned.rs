//! Calls whose process has ended: their outcome is unknown, and the log says so.

use std::time::Duration;

use super::settle::{self, Settlement};
use crate::{
    call::WriteContext,
    error::Result,
    model::{TenantId, UnixMicros},
    store::ReadTx,
};

/// Calls that are closed in one transaction.
pub const AT_ONCE: usize = 100;

/// The tenants with such calls.
pub fn tenants(tx: &ReadTx, now: UnixMicros) -> Result<Vec<TenantId>> {
    let mut tenants: Vec<_> = tx.abandoned_calls(now, AT_ONCE)?.into_iter().map(|(tenant, _)| tenant).collect();
    tenants.dedup();
    Ok(tenants)
}

/// Closes those of the caller's tenant. The budget keeps their cost: they may have been executed.
pub fn close(cx: &mut WriteContext<'_>) -> Result<usize> {
    let found = cx.tx.abandoned_calls(cx.now, AT_ONCE)?;
    let mut closed = 0;
    for (tenant, call) in found {
        // A lease can expire because it could not be renewed, for example on a full disk.
        if tenant != cx.caller.tenant || cx.services.knows_call(&call.id) {
            continue;
        }
        let micros = u64::try_from(cx.now.0.saturating_sub(call.started_at.0)).unwrap_or(0);
        let why = "haldir ended before the call was answered".to_owned();
        settle::settle(cx, &call, &Settlement::Unknown { why }, Duration::from_micros(micros))?;
        closed += 1;
    }
    Ok(closed)
}
