//! Which places of a client's file change, and how.

mod change;
mod names;
mod rewrite;
mod servers;
#[cfg(test)]
mod tests;

pub use change::{Change, Edit, Skipped};
use names::Names;
use servers::{Servers, servers};

use super::{
    document::Format,
    entry::{self, LaunchCommand},
};

/// How servers are wrapped.
pub struct Wrapping<'a> {
    /// The program that wraps.
    pub program: &'a str,
    /// Its options, besides the server's name.
    pub options: &'a [String],
    /// The servers that are meant; none are all.
    pub only: &'a [String],
}

/// How to wrap the servers of a client's file.
pub fn wrap(text: &str, format: Format, wrapping: &Wrapping<'_>) -> Result<Change, String> {
    let document = format.parse(text)?;
    let servers = servers(&document, format);
    let mut names = Names::of(&servers);
    each(&servers, wrapping.only, |server, launch, edits| {
        let words = launch.words();
        if entry::is_ours(words[0]) {
            return Err("it is haldir");
        }
        let name = names.for_server(server, &words);
        let mut before = vec!["wrap".to_owned(), "--name".to_owned(), name];
        before.extend(wrapping.options.iter().cloned());
        before.extend(["--".to_owned(), words[0].to_owned()]);
        rewrite::insert(text, format, launch, wrapping.program, &before, edits);
        Ok(())
    })
}

/// How to take haldir away from the servers of a client's file, each by what stands in its own entry.
pub fn unwrap(text: &str, format: Format, only: &[String]) -> Result<Change, String> {
    let document = format.parse(text)?;
    each(&servers(&document, format), only, |_, launch, edits| {
        let words = launch.words();
        let wrapped = entry::wrapped(&words).ok_or("haldir has not wrapped it")?;
        rewrite::remove(text, launch, words[wrapped.program], wrapped.program, edits);
        Ok(())
    })
}

fn each(
    servers: &Servers<'_>,
    only: &[String],
    mut edit: impl FnMut(&str, &LaunchCommand<'_>, &mut Vec<Edit>) -> Result<(), &'static str>,
) -> Result<Change, String> {
    if let Some(name) = only.iter().find(|name| !servers.iter().any(|(server, _)| server == *name)) {
        return Err(format!("there is no server `{name}`"));
    }
    let mut change = Change::default();
    for (server, entry) in servers.iter().filter(|(server, _)| only.is_empty() || only.contains(server)) {
        match LaunchCommand::of(entry).and_then(|launch| edit(server, &launch, &mut change.edits)) {
            Ok(()) => change.wrapped.push(server.clone()),
            Err(why) => change.skipped.push(Skipped { name: server.clone(), why }),
        }
    }
    change.edits.sort_by_key(|edit| edit.span.start);
    Ok(change)
}
