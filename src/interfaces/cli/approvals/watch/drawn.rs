//! The screen of requests: the list, as much of the selected request as fits, and the consequences of the keys.

use super::{
    super::{
        super::{
            live::Size,
            output::{
                paragraph_lines,
                styled::{Line, Style},
            },
        },
        comparison,
        request::{consequences, row, whole},
    },
    Last, MAX_LISTED, Mode, Requests,
};
use crate::model::UnixMicros;

impl Requests {
    /// The consequences of the keys, in lines of this width.
    pub(super) fn consequences(&self, now: UnixMicros, columns: usize) -> Vec<Line> {
        let Some(request) = &self.selected else { return Vec::new() };
        if let Some(became) = &self.became {
            return vec![Line::of(Style::Warn, &format!("This request {became}."))];
        }
        let (yes, no) = consequences(request, self.change.arguments().is_some(), now);
        let mut lines = Vec::new();
        for (key, style, text) in [("a approve: ", Style::Good, yes), ("d deny:    ", Style::Bad, no)] {
            for (place, part) in paragraph_lines(&text, columns.saturating_sub(key.len())).iter().enumerate() {
                let key = if place == 0 { key } else { "           " };
                lines.push(Line::of(style, key).and(Style::Plain, part));
            }
        }
        lines
    }

    pub(super) fn list(&self, now: UnixMicros, size: Size) -> Vec<Line> {
        let count = self.waiting.len();
        let more = if self.more { "more than " } else { "" };
        let waits = if count == 1 { "request waits" } else { "requests wait" };
        let mut lines = vec![
            Line::of(Style::Strong, "Approvals").and(Style::Plain, &format!("  {more}{count} {waits}")),
            Line::default(),
        ];
        if count == 0 {
            lines.push(Line::of(Style::Faint, "Requests appear here as agents ask."));
        }
        let place = self.place();
        let first = place.unwrap_or_default().saturating_sub(MAX_LISTED - 1);
        for (at, request) in self.waiting.iter().enumerate().skip(first).take(MAX_LISTED) {
            let row = row(request, now, size.columns);
            lines.push(if place == Some(at) {
                let row = row.written(false);
                Line::of(Style::Selected, &format!("> {}", row.trim_start())).marked(Style::Selected, size.columns)
            } else {
                row
            });
        }
        let below = count.saturating_sub(first + MAX_LISTED);
        if below > 0 {
            lines.push(Line::of(Style::Faint, &format!("  and {below} more below")));
        }
        lines.push(Line::default());
        lines
    }

    /// As much of the selected request as fits.
    pub(super) fn body(&mut self, rows: usize, columns: usize) -> Vec<Line> {
        let Some(request) = &self.selected else { return Vec::new() };
        let mut all = whole(request, columns);
        if let (Some(asked), Some(instead)) = (&request.details, self.change.arguments()) {
            all.push(Line::of(Style::Warn, "the arguments that you made of them"));
            all.extend(comparison::whole(asked, instead, columns));
        }
        if let Last::Known(Some(last)) = &self.last {
            all.extend(comparison::since_last(request, last, columns));
        }
        let is_whole = self.mode == Mode::Whole;
        // One is for the line that says how much is left.
        self.page = rows.saturating_sub(1).max(1);
        self.from = if is_whole { self.from.min(all.len().saturating_sub(rows)) } else { 0 };
        self.drawn = self.from;
        let end = self.from + rows;
        if end >= all.len() {
            // Scrolled line by line or shown at once: every line has been on the screen.
            self.is_seen = true;
            return all.into_iter().skip(self.from).collect();
        }
        let left = all.len() - end + 1;
        let mut shown: Vec<_> = all.into_iter().skip(self.from).take(rows.saturating_sub(1)).collect();
        let key = if is_whole { "space" } else { "enter" };
        shown.push(Line::of(Style::Warn, &format!("… {left} more lines: {key}")));
        shown
    }
}
