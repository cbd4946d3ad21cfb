//! A pack as a document for people: sections of lines and tables, in order.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{
    pack::{KeyLine, Pack},
    statements::{self, Statement},
};
use crate::{
    error::{Error, Result},
    model::Role,
};

/// A section as it is shown.
pub struct Section {
    pub number: usize,
    pub title: String,
    /// Empty for none.
    pub criterion: String,
    pub evidence: String,
    pub does_not_show: String,
    pub lines: Vec<(String, String)>,
    pub tables: Vec<Table>,
}

/// A table as it is shown; it has at least one row.
pub struct Table {
    pub title: &'static str,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
}

/// The eight sections of a signed pack.
pub fn sections(pack: &Pack) -> Result<Vec<Section>> {
    let members = serde_json::to_value(pack).map_err(Error::internal)?;
    let section = |(Statement { name, control, lines }, number)| {
        let lines =
            lines.into_iter().map(|(label, places)| Ok((label, shown(&members, places.as_str().unwrap_or_default())?)));
        Ok(Section {
            number,
            title: control.title,
            criterion: control.criterion.unwrap_or_default(),
            evidence: control.evidence,
            does_not_show: control.does_not_show,
            lines: lines.collect::<Result<_>>()?,
            tables: tables(&name, pack),
        })
    };
    statements::all()?.into_iter().zip(1..).map(section).collect()
}

/// The values at these places.
fn shown(members: &Value, places: &str) -> Result<String> {
    let value = |place| match members.pointer(place) {
        None => Err(Error::internal(format!("a pack has nothing at {place}"))),
        Some(Value::Null) => Ok("none".to_owned()),
        Some(Value::Bool(is)) => Ok(if *is { "yes" } else { "no" }.to_owned()),
        Some(Value::String(text)) => Ok(text.clone()),
        Some(number) => Ok(number.to_string()),
    };
    Ok(places.split(' ').map(value).collect::<Result<Vec<_>>>()?.join(" "))
}

fn tables(name: &str, pack: &Pack) -> Vec<Table> {
    match name {
        "access_control" => access_control(pack),
        "audit_trail" => counts("What haldir recorded", "Action", &pack.audit_trail.by_action),
        _ => Vec::new(),
    }
}

fn counts(title: &'static str, of: &'static str, counted: &BTreeMap<String, i64>) -> Vec<Table> {
    if counted.is_empty() {
        return Vec::new();
    }
    let rows = counted.iter().map(|(name, count)| vec![name.clone(), count.to_string()]).collect();
    vec![Table { title, header: vec![of, "Times"], rows }]
}

fn access_control(pack: &Pack) -> Vec<Table> {
    let access = &pack.access_control;
    let mut tables = Vec::new();
    if !access.keys.is_empty() {
        let row = |key: &KeyLine| {
            let role = if key.role == Role::Operator { "operator" } else { "agent" };
            vec![key.prefix.clone(), key.name.clone(), role.to_owned(), key.scopes.join(", "), key.created_at.clone()]
        };
        let header = vec!["Prefix", "Name", "Role", "Scopes", "Created"];
        tables.push(Table { title: "Keys in force", header, rows: access.keys.iter().map(row).collect() });
    }
    tables.extend(counts("Refusals", "Operation", &access.refusals_by_operation));
    tables
}
