//! `getCheckpoint`.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{chain, tree};
use crate::{
    call::{Finished, Head, Start, StreamContext, StreamOperation},
    error::Result,
};

/// Read the head of the audit log as a checkpoint of the transparency-log world: a signed note with the log's name, its
/// size and its root (C2SP tlog-checkpoint). While a signing key is being replaced, both keys sign it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GetCheckpoint {}

impl StreamOperation for GetCheckpoint {
    const MEDIA_TYPES: &'static [&'static str] = &["text/plain"];

    type Body = String;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let tenant = &cx.caller.tenant;
        let note = cx.snapshots.read(|tx| {
            let keys = cx.services.keyring.tenant(tx, tenant)?;
            let frontier = chain::frontier(&chain::authentic_head(tx, &keys, tenant)?)?;
            let signing = cx.services.keyring.signing_keys(tx)?;
            let origin = tree::origin(tenant, keys.log_name);
            Ok(tree::checkpoint(&signing, &origin, frontier.size(), frontier.root(), cx.now))
        })?;
        let mut out = start.begin(Head::new("text/plain; charset=utf-8"))?;
        out.write(note.to_string().as_bytes())?;
        out.finish()
    }
}
