//! The log: on standard error, since standard output belongs to the protocol.

use std::str::FromStr;

use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, LevelFilter, Targets, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::bad_setting;
use crate::error::Result;

/// Libraries that write whole messages at verbose levels: arguments and answers hold secrets, so that those
/// levels stay closed however verbose the log is asked to be.
const WIRE_LIBRARIES: [&str; 6] = ["rmcp", "hyper", "hyper_util", "reqwest", "rustls", "h2"];

/// Modules of haldir that are crates of their own.
const CRATES: [&str; 2] = ["core", "store"];

/// Starts the log with the filter in `HALDIR_LOG`, in the syntax of [`Targets`]: a level, or a module's path and its
/// level, such as `info,haldir::store=debug`.
pub fn start(default: &str) -> Result<()> {
    let filter = std::env::var("HALDIR_LOG").ok().filter(|filter| !filter.is_empty());
    let filter = parse(filter.as_deref().unwrap_or(default)).map_err(|problem| bad_setting("HALDIR_LOG", &problem))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr()) && may_colour();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let layer = lines.with_filter(filter.and(filter_fn(is_discreet)));
    // Fails only if a log was started before, which serves as well.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

/// Whether colours are not unwanted, by <https://no-color.org>: by `NO_COLOR`, set to whatever but nothing.
pub fn may_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// `Targets` takes a word that is no level for the name of a module, all of whose lines it then shows: a mistyped level
/// would switch the log off without a word.
fn parse(filter: &str) -> std::result::Result<Targets, String> {
    let expected =
        "expected off, error, warn, info, debug or trace, or a module and a level such as haldir::store=debug";
    for part in filter.split(',') {
        let level = part.rsplit('=').next().unwrap_or(part);
        if LevelFilter::from_str(level).is_err() {
            return Err(format!("`{}` is no level: {expected}", level.trim()));
        }
    }
    of_crates(filter).parse().map_err(|error| format!("{error}: {expected}"))
}

/// The filter with modules that are crates of their own under the names that these have: `haldir::store` is `haldir_store`.
fn of_crates(filter: &str) -> String {
    CRATES
        .iter()
        .fold(filter.to_owned(), |filter, name| filter.replace(&format!("haldir::{name}"), &format!("haldir_{name}")))
}

fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    !WIRE_LIBRARIES.contains(&library) || *metadata.level() <= Level::WARN
}

#[cfg(test)]
mod tests {
    use super::{Level, parse};

    #[test]
    fn a_module_that_is_a_crate_of_its_own_is_found_under_both_names() {
        for filter in ["info,haldir::store=debug", "info,haldir_store=debug", "info,haldir=debug"] {
            let targets = parse(filter).unwrap();
            assert!(targets.would_enable("haldir_store::sqlite::writer", &Level::DEBUG), "{filter}");
            assert!(!targets.would_enable("rmcp::service", &Level::DEBUG), "{filter}");
        }
    }

    #[test]
    fn a_word_that_is_no_level_is_refused() {
        for filter in ["debug", "INFO", "info,haldir::store=debug", "haldir=trace", "off"] {
            assert!(parse(filter).is_ok(), "{filter}");
        }
        for filter in ["verbose", "info,verbose", "haldir=loud", "haldir::store"] {
            let problem = parse(filter).unwrap_err();
            assert!(problem.contains("expected off, error"), "{filter}: {problem}");
        }
    }
}
