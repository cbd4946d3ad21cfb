//! `exportBundle`.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{json, value::RawValue};

use super::{
    bundle::{EntryLine, ErasedLine, HeadLine, Opening, VERSION, VERSION_WITH_ERASED},
    canonical::{self, hex},
    chain,
    erasing::Marks,
    export, tree,
};
use crate::{
    call::{Finished, Head, Sink, Start, StreamContext, StreamOperation},
    crypto::Hash,
    error::{Error, Result},
    model::{Entry, TenantId},
    store::{
        AuditQuery, ReadTx, StoredEntryProblem,
        tree::{Heads, RecordedHead},
    },
};

/// Entries that are read on one snapshot.
const PAGE: usize = 256;

/// Export the whole audit log as a bundle that anybody can check without this server: every entry's canonical bytes
/// and details, the recorded heads, a checkpoint and the public keys. `haldir audit verify FILE` checks it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExportBundle {}

impl StreamOperation for ExportBundle {
    const MEDIA_TYPES: &'static [&'static str] = &["application/x-ndjson"];

    type Body = String;

    fn run(self, cx: &StreamContext<'_>, start: Start) -> Result<Finished> {
        let tenant = &cx.caller.tenant;
        let (opening, size, mut heads) = cx.snapshots.read(|tx| open(tx, cx))?;
        let head = Head::new("application/x-ndjson; charset=utf-8")
            .attachment(&export::file_name(cx, "bundle.jsonl"))
            .header("x-accel-buffering", "no");
        let mut out = start.begin(head)?;
        write_line(&mut out, &opening)?;
        let mut next = 1;
        while next <= size {
            let query =
                AuditQuery { first_seq: Some(next), before_seq: Some(size + 1), limit: PAGE, ..AuditQuery::default() };
            let (page, leaves) = cx.snapshots.read(|tx| {
                let page = tx.entries_forward(tenant, &query)?;
                let mut marks = Marks::new(tx, tenant, next);
                let leaf = |entry: &Entry| Ok(marks.of(entry.seq)?.and_then(|mark| mark.leaf));
                let leaves: Vec<Option<Hash>> = page.entries.iter().flatten().map(leaf).collect::<Result<_>>()?;
                Ok((page, leaves))
            })?;
            let mut leaves = leaves.into_iter();
            if page.entries.is_empty() {
                return Err(Error::internal(format!("entry {next} of {tenant} is missing and cannot be exported")));
            }
            for read in page.entries {
                let entry = read.map_err(|StoredEntryProblem { problem, .. }| {
                    Error::internal(format!("entry {next} of {tenant} was altered and cannot be exported: {problem}"))
                })?;
                match leaves.next().flatten().filter(|_| entry.is_erased()) {
                    Some(leaf) => write_line(&mut out, &json!({"erased": ErasedLine::of(&entry, &leaf)}))?,
                    None => write_entry(&mut out, tenant, &entry)?,
                }
                while heads.last().is_some_and(|head| head.tree_size <= entry.seq) {
                    if let Some(head) = heads.pop().filter(|head| head.tree_size == entry.seq) {
                        write_line(&mut out, &json!({"head": line_of(&head)}))?;
                    }
                }
                next = entry.seq + 1;
            }
            // Heads are read as far as the entries have come, so that however many there are, few are held.
            if heads.is_empty() {
                heads = cx.snapshots.read(|tx| heads_after(tx, cx, next - 1, size))?;
            }
        }
        write_line(&mut out, &json!({"end": size}))?;
        out.finish()
    }
}

fn write_entry(out: &mut Sink, tenant: &TenantId, entry: &Entry) -> Result<()> {
    let bytes = String::from_utf8(canonical::bytes(tenant, entry)).map_err(Error::internal)?;
    let line = EntryLine {
        entry: &RawValue::from_string(bytes).map_err(Error::internal)?,
        hash: hex(&entry.entry_hash).into(),
        details: entry.details.as_deref().map(Into::into),
        salt: entry.details_salt.map(|salt| hex_of(&salt).into()),
    };
    write_line(out, &line)
}

fn hex_of(bytes: &[u8]) -> String {
    canonical::hex(bytes)
}

fn open(tx: &ReadTx, cx: &StreamContext<'_>) -> Result<(Opening, i64, Vec<RecordedHead>)> {
    let tenant = &cx.caller.tenant;
    let keys = cx.services.keyring.tenant(tx, tenant)?;
    let head = chain::authentic_head(tx, &keys, tenant)?;
    let frontier = chain::frontier(&head)?;
    let signing = cx.services.keyring.signing_keys(tx)?;
    let origin = tree::origin(tenant, keys.log_name);
    let checkpoint = tree::checkpoint(&signing, &origin, frontier.size(), frontier.root(), cx.now).to_string();
    let keys = signing.published().iter().map(|published| tree::verifier(&origin, published).to_string()).collect();
    let has_erased = !tx.erased_entries(tenant, 1, 1)?.is_empty();
    let haldir_bundle = if has_erased { VERSION_WITH_ERASED } else { VERSION };
    let opening = Opening { haldir_bundle, tenant_id: tenant.to_string(), origin, checkpoint, keys };
    Ok((opening, head.seq, heads_after(tx, cx, 0, head.seq)?))
}

/// Recorded heads behind `after` and up to `last`, the largest first.
fn heads_after(tx: &ReadTx, cx: &StreamContext<'_>, after: i64, last: i64) -> Result<Vec<RecordedHead>> {
    let mut heads = tx.recorded_heads(&cx.caller.tenant, Heads::After(after), PAGE)?;
    heads.retain(|head| head.tree_size <= last);
    heads.reverse();
    Ok(heads)
}

fn line_of(head: &RecordedHead) -> HeadLine {
    HeadLine {
        tree_size: head.tree_size.cast_unsigned(),
        root_hash: hex(&head.root_hash),
        signed_at: head.signed_at,
        public_key: hex(&head.public_key),
        signature: canonical::hex(&head.signature),
    }
}

fn write_line(out: &mut Sink, value: &impl serde::Serialize) -> Result<()> {
    out.write(&serde_json::to_vec(value).map_err(Error::internal)?)?;
    out.write(b"\n")
}
