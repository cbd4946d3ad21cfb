//! Every example of the help texts of both programs, and every `console` block of the documents, is run by a shell as it stands there,
//! each in a folder of its own that has what the examples name. Names that mean a machine elsewhere, and ids, are replaced by those of the
//! test; programs that need not be installed have stand-ins.

mod place;

use std::{
    collections::BTreeSet,
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
};

use place::{Meanings, Place, prepared};
use rustix::process::{Pid, Signal, kill_process_group};

use super::Outcome;
use crate::support::{Pty, at_once, until};

/// An example, and the command whose help has it.
struct Example {
    of: String,
    text: String,
}

/// The examples of a help text: indented lines below "Example", each with those that continue it.
fn examples_of(of: &str, help: &str) -> Vec<Example> {
    let mut examples: Vec<Example> = Vec::new();
    let after = help.lines().skip_while(|line| !matches!(*line, "Example:" | "Examples:")).skip(1);
    for line in after.take_while(|line| !line.is_empty()) {
        match examples.last_mut() {
            Some(example) if line.starts_with("    ") => example.text.extend(["\n", line.trim_start()]),
            _ => examples.push(Example { of: of.to_owned(), text: line.trim().to_owned() }),
        }
    }
    examples
}

fn examples_below(name: &str, command: &clap::Command) -> Vec<Example> {
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let below =
        command.get_subcommands().flat_map(|below| examples_below(&format!("{name} {}", below.get_name()), below));
    examples_of(name, &help).into_iter().chain(below).collect()
}

/// A document about package managers and services: `packaging/try` goes its ways, in bare environments.
const INSTALLATION: &str = "install.md";

/// The documents that users read; that for contributors is about the sources.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let more = fs::read_dir(root.join("docs")).unwrap().map(|file| file.unwrap().path());
    let documents = ["README.md", "SECURITY.md", "ARCHITECTURE.md"].map(|name| root.join(name));
    let is_read =
        |path: &PathBuf| path.extension().is_some_and(|extension| extension == "md") && !path.ends_with(INSTALLATION);
    more.chain(documents).filter(is_read).collect()
}

/// The commands of `console` blocks. The `sh` blocks are run by `tests/readme`, which names the documents that it takes.
fn examples_of_documents() -> Vec<Example> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("tests/readme")).unwrap();
    let taken = script.lines().find_map(|line| line.strip_prefix("documents=(")?.strip_suffix(')')).unwrap();
    let taken: Vec<_> = taken.split(' ').collect();
    let mut examples: Vec<Example> = Vec::new();
    for path in documents() {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap().to_owned();
        let mut language = None;
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some(fence) = line.trim_start().strip_prefix("```") {
                language = if language.is_some() { None } else { Some(fence.trim().to_owned()) };
                let is_shell = matches!(language.as_deref(), Some("sh" | "bash" | "shell"));
                assert!(
                    !is_shell || taken.contains(&name.as_str()),
                    "{name} has a {language:?} block that nothing runs: use console"
                );
            } else if language.as_deref() == Some("console") {
                if let Some(command) = line.trim_start().strip_prefix("$ ") {
                    examples.push(Example { of: name.clone(), text: command.to_owned() });
                } else if let Some(example) = examples.last_mut().filter(|example| example.text.ends_with('\\')) {
                    example.text.extend(["\n", line.trim_start()]);
                }
            }
        }
    }
    examples
}

/// What is given to the standard input of examples that read it.
fn input<'a>(example: &str, key: &'a str) -> Option<&'a str> {
    match example {
        _ if example.starts_with("haldir login") && !example.contains('<') => Some(key),
        "haldir secrets set stripe_key" => Some("sk_live_4242"),
        _ if example.ends_with("--value -") && !example.contains('|') => Some("sk_live_4242"),
        _ => None,
    }
}

/// Examples that go on until they are ended, by what they begin with, and what they show.
const LASTING: [(&str, &str); 12] = [
    ("haldir approvals watch", "1 request waits"),
    ("haldir overview --watch", "Haldir tenant overview"),
    ("haldir top", "by calls"),
    ("haldir audit tail --follow", "research-bot"),
    ("haldir log --follow", "research-bot"),
    ("haldir audit mirror", " entries"),
    ("haldir audit witness", "witness listening on"),
    ("haldir dashboard", "/dashboard/open?token="),
    ("haldir migrate verify && haldir-mcp serve", "haldir listening on"),
    ("haldir-mcp serve", "haldir listening on"),
    ("haldir-mcp wrap", "in front of the server"),
    ("haldir approvals approve apr_3kHhR1oEwJrN8qT0vYb6Zg --edit", "approved apr_"),
];

/// Those that need something that no store here has: their exit code, and what they say.
const REFUSED: &[(&str, i32, &str)] = &[
    #[cfg(feature = "postgres")]
    ("haldir migrate copy --from haldir.db --to postgres", 1, "no encryption key of the source"),
    #[cfg(not(feature = "postgres"))]
    ("haldir migrate copy --from haldir.db --to postgres", 2, "no Postgres"),
    ("haldir migrate copy --from haldir.db --to \"$DATABASE_URL\"", 2, "--to: a store is sqlite:PATH"),
    ("haldir migrate copy --from \"$DATABASE_URL\"", 2, "--from: a store is sqlite:PATH"),
    ("haldir-mcp health --url", 1, "was not reached"),
    ("haldir-mcp health", 2, "has port 0"),
    ("haldir upstreams logs github", 1, "no server of that name was started"),
    ("haldir webhooks resend 1 --event", 1, "a dead letter of this event was not found"),
    #[cfg(not(feature = "cedar"))]
    ("haldir policy add cedar", 2, "was built without Cedar"),
];

/// What its user has done before an example, by what that begins with.
const BEFORE: [(&str, &str); 4] = [
    ("haldir erase", "haldir stop research-bot"),
    ("haldir call erase-", "haldir stop research-bot"),
    ("haldir audit export --bundle", "rm log.bundle"),
    (
        "haldir approvals show apr_3kHhR1oEwJrN8qT0vYb6Zg \\\n--wait",
        "haldir approvals approve apr_3kHhR1oEwJrN8qT0vYb6Zg",
    ),
];

/// Runs an example; answers what is wrong with it.
fn problem(place: &Place, meanings: &Meanings, folder: &Path, example: &Example) -> Option<String> {
    let line = meanings.of(&example.text);
    for (_, before) in BEFORE.iter().filter(|(start, _)| example.text.starts_with(start)) {
        let outcome = place.run(folder, &meanings.of(before));
        assert_eq!(outcome.code, 0, "{before}: {outcome:?}");
    }
    let lasting = LASTING.iter().find(|(start, _)| example.text.starts_with(start));
    if let Some((_, shows)) = lasting {
        return lasting_problem(place, folder, &line, shows);
    }
    let mut command = place.shell(folder, &line);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    if input(&example.text, &place.key).is_some() {
        command.stdin(Stdio::piped());
    }
    let mut child = command.spawn().unwrap();
    if let Some(text) = input(&example.text, &place.key) {
        let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    }
    let output = child.wait_with_output().unwrap();
    // A tile is bytes.
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let outcome =
        Outcome { code: output.status.code().unwrap(), stdout: text(&output.stdout), stderr: text(&output.stderr) };
    let (code, says) = REFUSED
        .iter()
        .find(|(start, ..)| example.text.starts_with(start))
        .map_or((0, ""), |(_, code, says)| (*code, *says));
    let is_expected = outcome.code == code && outcome.stderr.contains(says) && !outcome.stderr.contains("panicked");
    (!is_expected).then(|| format!("{line}\n  exit code {}, {}{}", outcome.code, outcome.stdout, outcome.stderr))
}

fn lasting_problem(place: &Place, folder: &Path, line: &str, shows: &str) -> Option<String> {
    let mut command = place.shell(folder, line);
    std::os::unix::process::CommandExt::process_group(&mut command, 0);
    let mut running = Pty::start(command, 80);
    let is_shown = |running: &mut Pty| running.seen().contains(shows) || running.screen().contents().contains(shows);
    until(&format!("{line} shows {shows}"), || is_shown(&mut running) || running.child().try_wait().unwrap().is_some());
    let is_well = is_shown(&mut running);
    let group = Pid::from_child(running.child());
    let _ = kill_process_group(group, Signal::INT);
    let (code, seen) = running.finish();
    let well = is_well && matches!(code, None | Some(0 | 130)) && !seen.contains("panicked");
    (!well).then(|| format!("{line}\n  exit code {code:?}, {seen}"))
}

#[test]
fn every_example_of_the_help_and_of_the_documents_works_as_it_is_written() {
    let mut seen = BTreeSet::new();
    let programs =
        [("haldir", haldir::interfaces::cli::command()), ("haldir-mcp", haldir::interfaces::server::command())];
    let mut examples: Vec<_> = programs.iter().flat_map(|(name, command)| examples_below(name, command)).collect();
    examples.extend(examples_of_documents());
    examples.retain(|example| seen.insert(example.text.clone()));
    assert!(examples.len() > 200, "{}", examples.len());
    let starts = LASTING.iter().map(|(start, _)| start).chain(REFUSED.iter().map(|(start, ..)| start));
    for start in starts.chain(BEFORE.iter().map(|(start, _)| start)) {
        assert!(examples.iter().any(|example| example.text.starts_with(start)), "no example begins with {start}");
    }
    let (place, meanings, _around) = prepared();
    let problems = at_once(4, |thread| {
        let mut problems = Vec::new();
        for (number, example) in examples.iter().enumerate().skip(thread).step_by(4) {
            let copy = place.terminal.copy();
            let found = problem(&place, &meanings, copy.folder.path(), example);
            problems.extend(found.map(|found| format!("{number}: {} says: {found}", example.of)));
        }
        problems
    });
    let problems = problems.concat();
    assert!(problems.is_empty(), "{} of {}:\n{}", problems.len(), examples.len(), problems.join("\n"));
}
