//! The log: on standard error, since standard output belongs to the protocol.

use tracing::{Level, Metadata};
use tracing_subscriber::{
    Layer,
    filter::{FilterExt, Targets, filter_fn},
    layer::SubscriberExt,
    util::SubscriberInitExt,
};

use super::bad_setting;
use crate::error::Result;

/// Libraries that write whole messages at verbose levels: arguments and answers hold secrets, so that those
/// levels stay closed however verbose the log is asked to be.
const WIRE_LIBRARIES: [&str; 6] = ["rmcp", "hyper", "hyper_util", "reqwest", "rustls", "h2"];

/// Starts the log with the filter in `HALDIR_LOG`, in the syntax of [`Targets`]: a level, or a module's path and its
/// level, such as `info,haldir::store=debug`.
pub fn start(default: &str) -> Result<()> {
    let filter = std::env::var("HALDIR_LOG").unwrap_or_else(|_| default.to_owned());
    let filter: Targets = filter.parse().map_err(|error| bad_setting("HALDIR_LOG", &format!("{error}")))?;
    let colours = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr).with_ansi(colours);
    let layer = lines.with_filter(filter.and(filter_fn(is_discreet)));
    // Fails only if a log was started before, which serves as well.
    let _ = tracing_subscriber::registry().with(layer).try_init();
    Ok(())
}

fn is_discreet(metadata: &Metadata<'_>) -> bool {
    let library = metadata.target().split("::").next().unwrap_or_default();
    !WIRE_LIBRARIES.contains(&library) || *metadata.level() <= Level::WARN
}
