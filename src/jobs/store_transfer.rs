//! A whole store that is copied into another database: its key is checked first, and its logs are verified there. The rows are copied by
//! [`crate::store::copying`].

use super::PAGE;
use crate::{
    call::Keyring,
    error::{Code, Error, Result},
    model::TenantId,
    store::{Store, copying},
    watch::{tree, verify_log, verify_tree_heads::HeadsVerification},
};

/// What was verified.
#[derive(Clone, Copy, Debug, Default)]
pub struct Verified {
    /// Logs: one of each tenant.
    pub logs: u64,
    /// Their entries.
    pub entries: u64,
}

/// Refuses a key that is not the source's, and completes what the source itself would complete when it is opened.
pub async fn prepare_source(source: &Store, keyring: &Keyring) -> Result<()> {
    source.read(|tx| {
        copying::check_of(tx)?;
        keyring.check_existing(tx)
    })?;
    tree::build(source).await
}

/// Verifies every entry, the tree, the signed heads and the authenticated head of every log in the target; `progress` is told how many
/// entries are verified, of how many.
pub fn verify_logs(
    target: &Store,
    keyring: &Keyring,
    threads: usize,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Verified> {
    let mut total = 0;
    each_tenant(target, &mut |tenant| {
        total += target.read(|tx| Ok(tx.head(tenant)?))?.map_or(0, |head| head.seq.unsigned_abs());
        Ok(())
    })?;
    let mut verified = Verified::default();
    each_tenant(target, &mut |tenant| {
        let altered = |message: &str| {
            let message = format!(
                "the log of {tenant} was copied as it is and does not verify: {message}. See `haldir audit verify` on the source"
            );
            Error::new(Code::Conflict, message)
        };
        let before = verified.entries;
        let mut at = |done: i64, _| progress(before + done.unsigned_abs(), total);
        let log = verify_log::verify(target, keyring, tenant, threads, &mut at)?;
        if !log.is_verified() {
            return Err(altered(log.message()));
        }
        let heads = target.read(|tx| HeadsVerification::of(tx, keyring, tenant))?;
        if !heads.is_verified() {
            return Err(altered(heads.message()));
        }
        verified.logs += 1;
        verified.entries += log.entries_checked().unsigned_abs();
        Ok(())
    })?;
    Ok(verified)
}

fn each_tenant(store: &Store, each: &mut dyn FnMut(&TenantId) -> Result<()>) -> Result<()> {
    let mut after = String::new();
    loop {
        let tenants = store.read(|tx| Ok(tx.tenants(&after, PAGE)?))?;
        let Some(last) = tenants.last() else { return Ok(()) };
        after = last.id.to_string();
        tenants.iter().try_for_each(|tenant| each(&tenant.id))?;
    }
}
