//! The exports of the long log: how fast, and how much memory they take on top of what is in use.

use std::time::Instant;

use haldir::{
    error::{Error, Result},
    model::{Credential, TenantId},
    operations::{self, CallOptions, Haldir},
};
use tokio::runtime::Runtime;

use super::usage;

pub fn measure(runtime: &Runtime, haldir: &Haldir) -> Result<()> {
    for name in ["exportAudit", "exportBundle"] {
        let operation = operations::named(name).ok_or_else(|| Error::internal(format!("no operation {name}")))?;
        let who = Credential::LocalOperator(TenantId::local());
        usage::forget_peak_memory();
        let ((before, _), began, mut bytes) = (usage::memory(), Instant::now(), 0);
        runtime.block_on(async {
            let entered = haldir.admit_call(operation, &who).await?;
            let mut streamed = haldir.stream(operation, entered, "{}", &CallOptions::default()).await?;
            while let Some(piece) = streamed.pieces.next().await {
                bytes += piece?.len();
            }
            Ok::<_, Error>(())
        })?;
        let more = usage::memory().1.saturating_sub(before);
        println!("{name}: {} MB in {:.1?}, with {more} kB of memory more at most", bytes / 1_000_000, began.elapsed());
    }
    Ok(())
}
