//! Settings that can be changed while haldir runs, and what this server is.

use axum::response::Response;
use serde::Deserialize;
use serde_json::json;

use super::{
    trail,
    view::{Field, Form, Input, Page, Part, Section, Table, code, text, time_or},
    viewer::Viewer,
};
use crate::{error::Result, model::UnixMicros};

const HERE: &str = "/dashboard/settings";

#[derive(Deserialize)]
struct Retention {
    retain_days: i64,
    updated_at: Option<UnixMicros>,
    updated_by: String,
    preview: Preview,
}

#[derive(Deserialize)]
struct Preview {
    enabled: bool,
    would_delete: i64,
}

#[derive(Deserialize)]
struct LogKeys {
    origin: String,
    keys: Vec<LogKey>,
}

#[derive(Deserialize)]
struct LogKey {
    key_id: String,
    verifier_key: String,
}

/// The page.
pub async fn page(viewer: Viewer) -> Response {
    let page = sections(&viewer).await.map(|sections| Page::new("Settings", sections));
    viewer.answer("/settings", page)
}

async fn sections(viewer: &Viewer) -> Result<Vec<Section>> {
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
    if let Some(found) = viewer.read_if_open::<Retention>("getAuditRetention", json!({})).await? {
        sections.push(retention(viewer, &found));
    }
    if viewer.may("verifyAuditTrail") {
        sections.push(Section::new("verify", "Is the log whole?", trail::verification(HERE)));
    }
    if let Some(found) = viewer.read_if_open::<LogKeys>("listLogKeys", json!({})).await? {
        let row = |key: &LogKey| vec![code(&key.key_id), code(&key.verifier_key)];
        let rows = found.keys.iter().map(row).collect();
        let keys = Table::part(&["Key id", "Verifier key"], rows, "No key has signed yet.");
        let about = "Give these to auditors: with them, a checkpoint is verified without this server.";
        sections.push(Section::new(
            "log",
            "Keys of the log",
            vec![Part::Text(text(about)), Part::Facts(vec![("Origin", code(&found.origin))]), keys],
        ));
    }
    Ok(sections)
}

fn retention(viewer: &Viewer, found: &Retention) -> Section {
    let says = if found.preview.enabled {
        format!("Details of entries are erased after {} days.", found.retain_days)
    } else {
        "Details of entries are kept for good.".to_owned()
    };
    let mut parts = vec![
        Part::Text(text(says)),
        Part::Facts(vec![
            ("Due for erasure now", text(format!("{} entries", found.preview.would_delete))),
            ("Changed", time_or(found.updated_at, "never")),
            ("Changed by", text(&found.updated_by)),
        ]),
    ];
    if viewer.may("setAuditRetention") {
        let days = Field::new("retain_days", "Keep details for (days)", Input::Number, "0 is for good").required();
        let form = Form::button("setAuditRetention", "Change", &[], HERE).with(vec![days]).after(
            "Details that are older are erased for good. Entries, hashes and proofs stay, and the log still verifies.",
        );
        parts.push(Part::Form(form));
    }
    Section::new("retention", "Retention", parts)
}
