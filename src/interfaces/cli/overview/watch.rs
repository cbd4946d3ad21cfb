//! `haldir overview --watch`.

use super::{
    super::{
        live::{Job, KeyCode, KeyEvent, Next, Size, View},
        output::styled::{Line, Style},
        target::Target,
    },
    figures::Overview,
    layout,
};
use crate::error::{Error, Result};

/// The overview as it was answered last, and how far it is scrolled.
#[derive(Default)]
pub struct OverviewView {
    overview: Option<Overview>,
    from: usize,
}

impl View for OverviewView {
    type News = Box<Overview>;

    fn ask(&self) -> Job<Box<Overview>> {
        Box::new(|target: &Target| {
            let reply = target.call("getOverview", "{}")?;
            serde_json::from_str(&reply.body).map_err(Error::internal)
        })
    }

    fn hear(&mut self, news: Box<Overview>) -> Result<()> {
        self.overview = Some(*news);
        Ok(())
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

    fn press(&mut self, key: KeyEvent) -> Next<Box<Overview>> {
        match key.code {
            KeyCode::Up => self.from = self.from.saturating_sub(1),
            KeyCode::Down => self.from = self.from.saturating_add(1),
            _ => {}
        }
        Next::Stay
    }
}
