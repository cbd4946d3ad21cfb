//! `haldir overview`: the figures of a tenant at a glance; with `--watch` as they change.

mod layout;

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use super::{
    CommandError, GlobalOptions,
    live::{self, Action, Job, KeyCode, KeyEvent, Size, View},
    output::{
        page_columns,
        styled::{Line, Style},
    },
    target::Target,
};
use crate::{error::Result, interfaces::responses::Overview};

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

pub fn run(options: &OverviewOptions, global: &GlobalOptions) -> Result<ExitCode, CommandError> {
    if options.watch {
        return live::run(OverviewView::default(), options.every, global);
    }
    global.show("getOverview", json!({}), |overview: Overview| {
        layout::page(&overview, page_columns()).iter().try_for_each(|line| global.screen().styled(line))
    })?;
    Ok(ExitCode::SUCCESS)
}

/// The overview as it was answered last, and how far it is scrolled.
#[derive(Default)]
struct OverviewView {
    overview: Option<Overview>,
    from: usize,
}

impl View for OverviewView {
    type Update = Box<Overview>;

    fn poll(&self) -> Job<Box<Overview>> {
        Box::new(|target: &Target| target.read("getOverview", json!({})))
    }

    fn apply(&mut self, update: Box<Overview>) {
        self.overview = Some(*update);
    }

    fn lines(&mut self, size: Size) -> Vec<Line> {
        let Some(overview) = &self.overview else { return vec![Line::of(Style::Faint, "asking haldir …")] };
        let lines = layout::page(overview, size.columns);
        self.from = self.from.min(lines.len().saturating_sub(size.rows));
        lines.into_iter().skip(self.from).collect()
    }

    fn keys(&self) -> Vec<(&'static str, &'static str)> {
        vec![("↑↓", "scroll")]
    }

    fn press(&mut self, key: KeyEvent) -> Action<Box<Overview>> {
        match key.code {
            KeyCode::Up => self.from = self.from.saturating_sub(1),
            KeyCode::Down => self.from = self.from.saturating_add(1),
            _ => {}
        }
        Action::None
    }
}
