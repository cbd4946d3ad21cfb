//! `getEvidenceManifest`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{period::Period, sections};
use crate::{
    call::{ReadContext, ReadOperation},
    error::{Error, Result},
    model::{TenantId, TimePoint},
};
use haldir_verify::pack::Signatures;

/// Read the digest and the signature of a period's evidence pack without the pack, to compare with an archived pack of a closed
/// period.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetEvidenceManifest {
    /// Where the period begins, cut to whole seconds. Default: 90 days before its end.
    since: Option<TimePoint>,
    /// Where it ends, cut to whole seconds; not included. Default: now.
    until: Option<TimePoint>,
}

/// A pack's digest and signature.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EvidenceManifest {
    /// The tenant.
    tenant_id: TenantId,
    /// Where the period begins, ISO 8601.
    period_start: String,
    /// Where it ends; not included.
    period_end: String,
    /// The digest and the signature.
    signatures: Signatures,
}

impl ReadOperation for GetEvidenceManifest {
    type Output = EvidenceManifest;

    fn run(self, cx: &ReadContext<'_>) -> Result<EvidenceManifest> {
        let pack = sections::make(cx, Period::asked(self.since, self.until, cx.now)?)?;
        Ok(EvidenceManifest {
            tenant_id: pack.tenant_id,
            period_start: pack.period_start,
            period_end: pack.period_end,
            signatures: pack.signatures.ok_or_else(|| Error::internal("the pack is not signed"))?,
        })
    }
}
