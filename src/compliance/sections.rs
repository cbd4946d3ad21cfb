//! From figures to the sections of a pack.

use std::collections::BTreeMap;

use super::{
    figures::{Figures, time},
    pack::{
        AccessControl, Alerting, Approvals, AuditTrail, Encryption, Identity, KeyLine, Pack, SpendGovernance,
        TamperEvidence,
    },
    period::Period,
    statements,
};
use crate::{
    call::ReadContext,
    crypto::{EMPTY_ROOT, Hash},
    error::{Error, Result},
    model::{ApiKey, Role},
    watch::{canonical::hex, tree::Tree},
};

/// Keys that are read, and keys that are listed.
const MAX_KEYS: usize = 10_000;
const MAX_LISTED_KEYS: usize = 500;

const HOW_TO_CHECK: &str = "Export the log up to this entry and hash it: each entry names the hash of the one before, and the \
                            last is chain_hash. An inclusion proof of that entry in the tree of tree_size leads to root_hash, and \
                            a consistency proof from tree_size on shows that later trees still begin with it.";

/// Makes and signs the pack of a period.
pub fn make(cx: &ReadContext<'_>, period: Period) -> Result<Pack> {
    let figures = Figures::read(cx, period)?;
    let tenant_id = cx.caller.tenant.clone();
    let has_entries = figures.totals.entries > 0;
    let mut pack = Pack {
        format_version: statements::FORMAT_VERSION,
        disclaimer: statements::DISCLAIMER,
        generated_at: time(cx.now),
        period_start: time(period.start),
        period_end: time(period.end),
        tenant_id: tenant_id.clone(),
        controls: statements::all()?.into_iter().map(|one| (one.name, one.control)).collect(),
        identity: Identity {
            tenant_id,
            period_seconds: period.end.seconds_since(period.start),
            first_seq: has_entries.then_some(figures.first_seq),
            last_seq: has_entries.then_some(figures.last_seq),
        },
        access_control: access_control(cx, period, &figures)?,
        encryption: Encryption {
            cipher: statements::CIPHER,
            key_bits: 256,
            nonce_bits: 192,
            bound_to: statements::BOUND_TO,
            secrets_stored: figures.count("secret.store"),
            secrets_read: figures.count("secret.read"),
            secrets_deleted: figures.count("secret.delete"),
            reads_refused: figures.count("getSecret.denied"),
        },
        audit_trail: audit_trail(&figures),
        tamper_evidence: TamperEvidence {
            chain_algorithm: "BLAKE3 over the RFC 8785 JSON of each entry, which names the hash of the one before",
            tree_algorithm: "RFC6962-SHA256",
            tree_size: figures.last_seq,
            root_hash: hex(&root_at(cx, figures.last_seq)?),
            chain_hash: figures.end.as_ref().map(|entry| hex(&entry.entry_hash)),
            preceding_hash: figures.first.as_ref().map(|entry| hex(&entry.prev_hash)),
            how_to_check: HOW_TO_CHECK,
        },
        spend_governance: spend_governance(&figures),
        approvals: approvals(&figures),
        webhooks: alerting(&figures),
        signatures: None,
    };
    let keys = cx.services.keyring.signing_keys(cx.tx)?;
    let text = serde_json::to_string(&pack).map_err(Error::internal)?;
    let (tenant, is_closed) = (pack.tenant_id.as_str(), period.is_closed(cx.now));
    pack.signatures = Some(haldir_verify::pack::sign(&text, tenant, &pack.generated_at, is_closed, keys.current())?);
    Ok(pack)
}

/// The root of the log's tree at a size, which never changes.
fn root_at(cx: &ReadContext<'_>, size: i64) -> Result<Hash> {
    if size == 0 {
        return Ok(EMPTY_ROOT);
    }
    Tree::open(cx.tx, &cx.services.keyring, &cx.caller.tenant)?.root_at(size.cast_unsigned())
}

/// Whether a key has restricted scopes.
pub fn is_scoped(key: &ApiKey) -> bool {
    key.scopes.iter().all(|scope| scope != "*")
}

fn access_control(cx: &ReadContext<'_>, period: Period, figures: &Figures) -> Result<AccessControl> {
    let refused = figures.refused();
    let mut keys = cx.tx.api_keys(&cx.caller.tenant, Some(&(period.end, String::new())), MAX_KEYS)?;
    // A rotation gives a key a new end, never before the rotation, so keys that were in force at an earlier time stay so.
    keys.retain(|key| {
        key.revoked_at.is_none_or(|at| at >= period.end) && key.expires_at.is_none_or(|at| at > period.end)
    });
    let mut agents = keys.iter().filter(|key| key.role == Role::Agent).peekable();
    Ok(AccessControl {
        key_count: keys.len(),
        has_scoped_keys: keys.iter().any(is_scoped),
        least_privilege_used: agents.peek().is_some() && agents.all(is_scoped),
        keys: keys.into_iter().take(MAX_LISTED_KEYS).map(key_line).collect(),
        keys_created: figures.count("key.create"),
        keys_rotated: figures.count("key.rotate"),
        keys_revoked: figures.count("key.revoke"),
        sessions_created: figures.count("session.create"),
        sessions_revoked: figures.count("session.revoke"),
        refusals: refused.values().sum(),
        refusals_by_operation: refused,
    })
}

/// A key's line. It holds nothing that may change after the period, such as its last use or its end.
fn key_line(key: ApiKey) -> KeyLine {
    let ApiKey { prefix, name, role, tier, scopes, created_at, .. } = key;
    KeyLine { prefix, name, role, tier, scopes, created_at: time(created_at) }
}

fn audit_trail(figures: &Figures) -> AuditTrail {
    let totals = figures.totals;
    AuditTrail {
        total_entries_in_period: totals.entries,
        actions_in_period: totals.actions,
        governance_in_period: totals.entries - totals.actions,
        flagged_in_period: totals.flagged,
        first_recorded: figures.first.as_ref().map(|entry| time(entry.at)),
        last_recorded: figures.last.as_ref().map(|entry| time(entry.at)),
        by_action: figures.governed.clone(),
        erasures_of_details: figures.count("audit.erase_details"),
        figures_add_up: figures.adds_up,
    }
}

fn spend_governance(figures: &Figures) -> SpendGovernance {
    let paid = |name: &str| {
        let found = figures.payments.get(name).copied().unwrap_or_default();
        (found.count, found.amount.to_string())
    };
    let ((payments_authorized, authorized_usd), (payments_captured, captured_usd), (payments_voided, voided_usd)) =
        (paid("authorized"), paid("captured"), paid("voided"));
    SpendGovernance {
        payments_authorized,
        authorized_usd,
        payments_captured,
        captured_usd,
        payments_voided,
        voided_usd,
        payments_refused: figures.count("authorizePayment.denied"),
        logged_cost_usd: figures.totals.cost.to_string(),
    }
}

fn approvals(figures: &Figures) -> Approvals {
    let (approved, denied) = (figures.count("approval.approve"), figures.count("approval.deny"));
    let expired = figures.count("approval.expire");
    Approvals {
        requests_in_period: figures.count("approval.request"),
        decisions_recorded: approved + denied,
        by_status: BTreeMap::from([
            ("approved", approved),
            ("denied", denied),
            ("expired", expired),
            ("used", figures.count("approval.use")),
        ]),
        rules_added: figures.count("approval_rule.add"),
        rules_deleted: figures.count("approval_rule.delete"),
    }
}

fn alerting(figures: &Figures) -> Alerting {
    let delivered = |name: &str| figures.deliveries.get(name).map_or(0, |found| found.count);
    let (succeeded, failed) = (delivered("succeeded"), delivered("failed"));
    Alerting {
        delivery_attempts: succeeded + failed,
        deliveries_succeeded: succeeded,
        deliveries_failed: failed,
        webhooks_registered: figures.count("webhook.register"),
        webhooks_deleted: figures.count("webhook.delete"),
        webhooks_disabled: figures.count("webhook.disable"),
        secrets_rotated: figures.count("webhook.rotate_secret"),
    }
}
