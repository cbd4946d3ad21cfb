//! `haldir overview`: what stands, at a glance; with `--watch` as it changes.

mod figures;
mod layout;
mod watch;

use std::process::ExitCode;

use clap::Args;
use figures::Overview;

use super::{
    GlobalOptions, Screen, Stop, live,
    output::{line, page_columns},
    target::Target,
};
use crate::error::Error;

pub const HELP: &str = "\
Examples:
  haldir overview
  haldir overview --watch
  haldir overview --json | jq .audit";

#[derive(Args)]
pub struct OverviewOptions {
    /// Fill the screen, and follow what happens; q leaves.
    #[arg(long)]
    watch: bool,
    /// How often to ask haldir what is new, from 1s to 1h. Each time counts as a call where calls are limited.
    #[arg(long, requires = "watch", value_name = "DURATION", default_value = live::EVERY, value_parser = live::every())]
    every: u64,
}

impl OverviewOptions {
    /// Whether it fills the screen.
    pub fn is_live(&self) -> bool {
        self.watch
    }
}

pub fn run(options: &OverviewOptions, global: &GlobalOptions, screen: Screen) -> Result<ExitCode, Stop> {
    if options.watch {
        return live::run(watch::OverviewView::default(), options.every, global, screen);
    }
    let reply = Target::open(global)?.call("getOverview", "{}")?;
    if screen.json {
        line(&reply.body)?;
        return Ok(ExitCode::SUCCESS);
    }
    let overview: Overview = serde_json::from_str(&reply.body).map_err(Error::internal)?;
    for line in layout::page(&overview, page_columns()) {
        screen.styled(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}
