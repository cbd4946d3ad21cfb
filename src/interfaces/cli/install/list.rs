//! `haldir install` without a client: what there is.

use serde::Serialize;

use super::{Target, entry};
use crate::{
    error::Result,
    interfaces::cli::{
        CommandError, GlobalOptions,
        clients::{launch, place},
        output::{line, sentence, table},
    },
};

/// What is known of a client.
#[derive(Serialize)]
struct Row {
    client: &'static str,
    title: &'static str,
    file: String,
    exists: bool,
    installed: bool,
    /// The servers that haldir stands in front of.
    wrapped: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    problem: Option<String>,
}

pub fn run(global: &GlobalOptions) -> Result<(), CommandError> {
    let rows = place::CLIENTS.iter().map(row).collect::<Result<Vec<_>>>()?;
    if global.json {
        return line(&serde_json::json!({"clients": rows}).to_string());
    }
    let cells = rows.iter().map(|row| vec![row.client.to_owned(), row.state(), row.file.clone()]);
    table(&["client", "haldir", "file"], &cells.collect::<Vec<_>>())?;
    sentence("Add haldir to one of them: haldir install CLIENT")
}

impl Row {
    fn state(&self) -> String {
        let wrapped = match self.wrapped.len() {
            0 => String::new(),
            count => format!(", before {count} servers"),
        };
        match (&self.problem, self.exists, self.installed) {
            (Some(_), ..) => "cannot be read".to_owned(),
            (None, false, _) => "no file".to_owned(),
            (None, true, true) => format!("yes{wrapped}"),
            (None, true, false) => format!("no{wrapped}"),
        }
    }
}

fn row(client: &'static place::Client) -> Result<Row> {
    let file = client.file()?;
    let mut row = Row {
        client: client.name,
        title: client.title,
        exists: file.is_file(),
        file: file.display().to_string(),
        installed: false,
        wrapped: Vec::new(),
        problem: None,
    };
    match Target::open(client).and_then(|target| inspect(&target, &mut row)) {
        Ok(()) => {}
        Err(error) => row.problem = Some(error.message),
    }
    Ok(row)
}

fn inspect(target: &Target, row: &mut Row) -> Result<()> {
    let Some(text) = &target.text else { return Ok(()) };
    let Some(document) = target.parse(text)? else { return Ok(()) };
    let list = entry::list_path(&document, target.client.list);
    row.installed = entry::all(&document, list).any(|entry| {
        let words = entry::words(entry);
        launch::haldir(&words).is_some() && launch::wrapped(&words).is_none()
    });
    row.wrapped = target.wrapped(text);
    Ok(())
}
