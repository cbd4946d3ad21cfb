//! A pack as a document for people: sections of lines and tables, in order.

use std::collections::BTreeMap;

use super::{pack::Pack, statements::CONTROLS};
use haldir_verify::pack::Signatures;

/// A section as it is shown.
pub struct Section {
    pub number: usize,
    pub title: &'static str,
    /// Empty for none.
    pub criterion: &'static str,
    pub evidence: &'static str,
    pub does_not_show: &'static str,
    pub lines: Vec<(&'static str, String)>,
    pub tables: Vec<Table>,
}

/// A table as it is shown; it has at least one row.
pub struct Table {
    pub title: &'static str,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// The eight sections of a signed pack.
pub fn sections(pack: &Pack, signatures: &Signatures) -> Vec<Section> {
    let numbered = CONTROLS.iter().enumerate();
    numbered
        .map(|(index, (name, control))| {
            let (lines, tables) = content(name, pack, signatures);
            Section {
                number: index + 1,
                title: control.title,
                criterion: control.criterion.unwrap_or_default(),
                evidence: control.evidence,
                does_not_show: control.does_not_show,
                lines,
                tables,
            }
        })
        .collect()
}

type Content = (Vec<(&'static str, String)>, Vec<Table>);

fn content(name: &str, pack: &Pack, signatures: &Signatures) -> Content {
    match name {
        "identity" => (identity(pack), Vec::new()),
        "access_control" => access_control(pack),
        "encryption" => (encryption(pack), Vec::new()),
        "audit_trail" => audit_trail(pack),
        "spend_governance" => (spend_governance(pack), Vec::new()),
        "approvals" => (approvals(pack), Vec::new()),
        "webhooks" => (alerting(pack), Vec::new()),
        _ => (signature(signatures), Vec::new()),
    }
}

fn or_none(text: Option<&impl ToString>) -> String {
    text.map_or_else(|| "none".to_owned(), ToString::to_string)
}

fn yes(is: bool) -> String {
    if is { "yes" } else { "no" }.to_owned()
}

fn counts(title: &'static str, of: &'static str, counted: &BTreeMap<String, i64>) -> Vec<Table> {
    if counted.is_empty() {
        return Vec::new();
    }
    let rows = counted.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
    vec![Table { title, header: vec![of, "Times"], rows }]
}

fn identity(pack: &Pack) -> Vec<(&'static str, String)> {
    let identity = &pack.identity;
    vec![
        ("Tenant", identity.tenant_id.to_string()),
        ("Length of the period in seconds", identity.period_seconds.to_string()),
        ("First entry", or_none(identity.first_seq.as_ref())),
        ("Last entry", or_none(identity.last_seq.as_ref())),
    ]
}

fn access_control(pack: &Pack) -> Content {
    let access = &pack.access_control;
    let lines = vec![
        ("Keys in force at the end of the period", access.key_count.to_string()),
        ("Some key reaches less than everything", yes(access.has_scoped_keys)),
        ("Every agent's key reaches less than everything", yes(access.least_privilege_used)),
        ("Keys created", access.keys_created.to_string()),
        ("Keys rotated", access.keys_rotated.to_string()),
        ("Keys revoked", access.keys_revoked.to_string()),
        ("Sessions created", access.sessions_created.to_string()),
        ("Sessions revoked", access.sessions_revoked.to_string()),
        ("Calls refused", access.refusals.to_string()),
    ];
    let mut tables = Vec::new();
    if !access.keys.is_empty() {
        let row = |key: &super::pack::KeyLine| {
            let role = if key.role == crate::model::Role::Operator { "operator" } else { "agent" };
            vec![key.prefix.clone(), key.name.clone(), role.to_owned(), key.scopes.join(", "), key.created_at.clone()]
        };
        let header = vec!["Prefix", "Name", "Role", "Scopes", "Created"];
        tables.push(Table { title: "Keys in force", header, rows: access.keys.iter().map(row).collect() });
    }
    tables.extend(counts("Refusals", "Operation", &access.refusals_by_operation));
    (lines, tables)
}

fn encryption(pack: &Pack) -> Vec<(&'static str, String)> {
    let encryption = &pack.encryption;
    vec![
        ("Cipher", encryption.cipher.to_owned()),
        ("Key bits", encryption.key_bits.to_string()),
        ("Nonce bits, drawn at random", encryption.nonce_bits.to_string()),
        ("Bound to", encryption.bound_to.to_owned()),
        ("Secrets stored", encryption.secrets_stored.to_string()),
        ("Secrets read", encryption.secrets_read.to_string()),
        ("Secrets deleted", encryption.secrets_deleted.to_string()),
        ("Reads refused", encryption.reads_refused.to_string()),
    ]
}

fn audit_trail(pack: &Pack) -> Content {
    let (trail, bound) = (&pack.audit_trail, &pack.tamper_evidence);
    let lines = vec![
        ("Entries", trail.total_entries_in_period.to_string()),
        ("Of these, logged by agents", trail.actions_in_period.to_string()),
        ("Of these, recorded by haldir", trail.governance_in_period.to_string()),
        ("Flagged", trail.flagged_in_period.to_string()),
        ("First recorded", or_none(trail.first_recorded.as_ref())),
        ("Last recorded", or_none(trail.last_recorded.as_ref())),
        ("Erasures of details by retention", trail.erasures_of_details.to_string()),
        ("The figures add up", yes(trail.figures_add_up)),
        ("Chain", bound.chain_algorithm.to_owned()),
        ("Tree", bound.tree_algorithm.to_owned()),
        ("Size of the tree at the end of the period", bound.tree_size.to_string()),
        ("Root of that tree", bound.root_hash.clone()),
        ("Hash of the last entry", or_none(bound.chain_hash.as_ref())),
        ("Hash before the first entry", or_none(bound.preceding_hash.as_ref())),
        ("How to check", bound.how_to_check.to_owned()),
    ];
    (lines, counts("What haldir recorded", "Action", &trail.by_action))
}

fn spend_governance(pack: &Pack) -> Vec<(&'static str, String)> {
    let spend = &pack.spend_governance;
    vec![
        ("Payments authorized", spend.payments_authorized.to_string()),
        ("Authorized, USD", spend.authorized_usd.clone()),
        ("Payments captured", spend.payments_captured.to_string()),
        ("Captured, USD", spend.captured_usd.clone()),
        ("Payments voided", spend.payments_voided.to_string()),
        ("Voided, USD", spend.voided_usd.clone()),
        ("Payments refused", spend.payments_refused.to_string()),
        ("Cost that agents reported, USD", spend.logged_cost_usd.clone()),
    ]
}

fn approvals(pack: &Pack) -> Vec<(&'static str, String)> {
    let approvals = &pack.approvals;
    let by = |status: &str| approvals.by_status.get(status).copied().unwrap_or_default().to_string();
    vec![
        ("Requests", approvals.requests_in_period.to_string()),
        ("Decisions", approvals.decisions_recorded.to_string()),
        ("Approved", by("approved")),
        ("Denied", by("denied")),
        ("Expired", by("expired")),
        ("Approvals used", by("used")),
        ("Rules added", approvals.rules_added.to_string()),
        ("Rules deleted", approvals.rules_deleted.to_string()),
    ]
}

fn alerting(pack: &Pack) -> Vec<(&'static str, String)> {
    let alerts = &pack.webhooks;
    vec![
        ("Delivery attempts", alerts.delivery_attempts.to_string()),
        ("Accepted", alerts.deliveries_succeeded.to_string()),
        ("Not accepted", alerts.deliveries_failed.to_string()),
        ("Webhooks registered", alerts.webhooks_registered.to_string()),
        ("Webhooks deleted", alerts.webhooks_deleted.to_string()),
        ("Webhooks disabled", alerts.webhooks_disabled.to_string()),
        ("Webhook secrets rotated", alerts.secrets_rotated.to_string()),
    ]
}

fn signature(signatures: &Signatures) -> Vec<(&'static str, String)> {
    vec![
        ("Digest", format!("{} {}", signatures.algorithm, signatures.digest)),
        ("Digest of", signatures.input.clone()),
        ("Signature", format!("{} {}", signatures.signature_algorithm, signatures.signature)),
        ("Signed text", signatures.signed_text.clone()),
        ("Public key", signatures.public_key.clone()),
        ("Key id", signatures.key_id.clone()),
        ("Signed at", signatures.signed_at.clone()),
        ("Period closed", yes(signatures.period_closed)),
    ]
}
