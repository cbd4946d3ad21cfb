//! Settings that can be changed while haldir runs, and what this server is.

use serde_json::json;

use super::{
    trail,
    view::{Field, Form, Input, Page, Part, Section, Table, code, text, time_or},
    viewer::Viewer,
};
use crate::{
    error::Result,
    watch::{
        get_audit_retention::AuditRetention,
        list_log_keys::{LogKey, LogKeys},
    },
};

const HERE: &str = "/dashboard/settings";

/// The page.
pub async fn page(viewer: &Viewer) -> Result<Page> {
    let mut sections = vec![Section::new(
        "server",
        "This server",
        vec![Part::Facts(vec![
            ("Version", text(env!("CARGO_PKG_VERSION"))),
            ("Address", code(&viewer.app.shared.public_url)),
            ("Tenant", code(viewer.caller.tenant.to_string())),
            ("Signed in as", text(&viewer.caller.principal)),
        ])],
    )];
    if let Some(found) = viewer.read_if_open::<AuditRetention>("getAuditRetention", json!({})).await? {
        sections.push(retention(&found));
    }
    if viewer.may("verifyAuditTrail") {
        sections.push(Section::new("verify", "Is the log whole?", trail::verification(HERE)));
    }
    if let Some(found) = viewer.read_if_open::<LogKeys>("listLogKeys", json!({})).await? {
        let row = |key: &LogKey| vec![code(&key.key_id), code(&key.verifier_key)];
        let keys = Table::part(&["Key id", "Verifier key"], found.keys.iter().map(row), "No key has signed yet.");
        let about = "Give these to auditors: with them, a checkpoint is verified without this server.";
        sections.push(Section::new(
            "log",
            "Keys of the log",
            vec![Part::says(about), Part::Facts(vec![("Origin", code(&found.origin))]), keys],
        ));
    }
    Ok(Page::new("Settings", sections))
}

fn retention(found: &AuditRetention) -> Section {
    let says = if found.preview.enabled {
        format!("Details of entries are erased after {} days.", found.retain_days)
    } else {
        "Details of entries are kept for good.".to_owned()
    };
    let mut parts = vec![
        Part::says(says),
        Part::Facts(vec![
            ("Due for erasure now", text(format!("{} entries", found.preview.would_delete))),
            ("Changed", time_or(found.updated_at, "never")),
            ("Changed by", text(&found.updated_by)),
        ]),
    ];
    let days = Field::new("retain_days", "Keep details for (days)", Input::Number, "0 is for good").required();
    parts.push(Part::Form(Form::button("setAuditRetention", "Change", &[], HERE).with(vec![days]).after(
        "Details that are older are erased for good. Entries, hashes and proofs stay, and the log still verifies.",
    )));
    Section::new("retention", "Retention", parts)
}
