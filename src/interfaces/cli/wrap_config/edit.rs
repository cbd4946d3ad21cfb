//! Which places of a client's file change, and how.

mod names;
mod rewrite;
#[cfg(test)]
mod tests;

use names::Names;

use crate::interfaces::cli::clients::{
    change::{Change, Edit, Skipped},
    document::Format,
    launch::{self, LaunchCommand},
    servers::{Servers, servers},
};

/// How servers are wrapped.
pub struct Wrapping<'a> {
    /// The program that wraps, and the arguments that make it haldir, as for `npx`.
    pub program: &'a [String],
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
        if launch::haldir(&words).is_some() {
            return Err("it is haldir");
        }
        let name = names.for_server(server, &words);
        let (program, rest) = wrapping.program.split_first().ok_or("there is no program to wrap it with")?;
        let mut before = rest.to_vec();
        before.extend(["wrap".to_owned(), "--name".to_owned(), name]);
        before.extend(wrapping.options.iter().cloned());
        before.extend(["--".to_owned(), words[0].to_owned()]);
        rewrite::insert(text, format, launch, program, &before, edits);
        Ok(())
    })
}

/// How to take haldir away from the servers of a client's file, each by what stands in its own entry.
pub fn unwrap(text: &str, format: Format, only: &[String]) -> Result<Change, String> {
    let document = format.parse(text)?;
    each(&servers(&document, format), only, |_, launch, edits| {
        let words = launch.words();
        let wrapped = launch::wrapped(&words).ok_or("haldir has not wrapped it")?;
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
