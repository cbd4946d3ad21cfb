//! A request that waits, as a person reads it before deciding: all that it is about, and what follows from each decision.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::super::super::output::{
    amounts::dollars,
    indented,
    styled::{Line, Style, broken},
};
use crate::{
    config::duration::shown,
    model::{Money, UnixMicros, visible::visible},
};

/// Columns of a field's name.
const NAMES: usize = 10;
/// How long an approval can be used at least, in seconds.
const MIN_USABLE_SECONDS: i64 = 600;
const MINUTE: u64 = 60;
/// Columns from which a row of the list says how long a request waits yet.
const WIDE: usize = 70;

/// A request, as `listPendingApprovals` answers it.
#[derive(Clone, Deserialize)]
pub struct Request {
    #[serde(rename = "request_id")]
    pub id: String,
    pub session_id: String,
    pub agent_id: String,
    pub tool: String,
    pub action: String,
    pub amount: Money,
    pub reason: String,
    pub details: Option<Box<RawValue>>,
    pub created_at: UnixMicros,
    pub expires_at: UnixMicros,
    #[serde(default)]
    pub operator_only: bool,
}

impl Request {
    /// One line of the list: when, who, what, how much, and how long it waits yet.
    pub fn row(&self, now: UnixMicros, columns: usize) -> Line {
        let time = self.created_at.to_rfc3339();
        let amount = if self.amount == Money::ZERO { String::new() } else { dollars(self.amount) };
        let is_wide = columns >= WIDE;
        let agent = if is_wide { 16 } else { 10 };
        let behind = if is_wide { 2 + 11 + 2 + 10 } else { 2 + 11 };
        let rest = columns.saturating_sub(2 + 8 + 2 + agent + 2 + behind);
        let row = Line::plain("  ")
            .cell(Style::Faint, time.get(11..19).unwrap_or(&time), 8)
            .and(Style::Plain, "  ")
            .cell(Style::Plain, &visible(&self.agent_id), agent)
            .and(Style::Plain, "  ")
            .cell(Style::Plain, &visible(&self.what()), rest)
            .and(Style::Plain, "  ")
            .number(Style::Plain, &amount, 11);
        if is_wide { row.and(Style::Plain, "  ").cell(Style::Faint, &self.left(now), 10) } else { row }
    }

    /// The tool and what would be done with it.
    fn what(&self) -> String {
        [self.tool.as_str(), self.action.as_str()]
            .into_iter()
            .filter(|text| !text.is_empty())
            .collect::<Vec<_>>()
            .join(" ")
    }

    /// How long it waits for a decision yet.
    fn left(&self, now: UnixMicros) -> String {
        if self.expires_at.0 == 0 {
            return "no end".to_owned();
        }
        match u64::try_from(self.expires_at.seconds_since(now)) {
            Ok(seconds @ 1..MINUTE) => format!("{seconds}s left"),
            Ok(seconds @ MINUTE..) => format!("{} left", shown(rounded(seconds))),
            _ => "over".to_owned(),
        }
    }

    /// All of it, in lines of this width: nothing is left out, and every character is seen for what it is.
    pub fn whole(&self, columns: usize) -> Vec<Line> {
        let amount = if self.amount == Money::ZERO { String::new() } else { dollars(self.amount) };
        let fields = [
            ("request", self.id.as_str()),
            ("agent", &self.agent_id),
            ("session", &self.session_id),
            ("tool", &self.tool),
            ("action", &self.action),
            ("amount", &amount),
            ("why asked", &self.reason),
        ];
        let mut lines = Vec::new();
        if self.operator_only {
            lines.push(Line::of(Style::Warn, "A rule wants an operator to decide this, not the person at the client."));
        }
        for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
            for (place, part) in broken(&visible(value), columns.saturating_sub(NAMES)).iter().enumerate() {
                let name = if place == 0 { name } else { "" };
                lines.push(Line::plain("").cell(Style::Faint, name, NAMES).and(Style::Plain, part));
            }
        }
        lines.push(Line::of(Style::Faint, if self.is_call() { "arguments" } else { "details" }));
        match &self.details {
            None => lines.push(Line::plain("  none")),
            Some(details) => {
                for line in indented(details.get()).lines() {
                    let indent = 2 + (line.len() - line.trim_start_matches(' ').len());
                    let indent = indent.min(columns / 2);
                    for part in broken(&visible(line.trim_start_matches(' ')), columns.saturating_sub(indent)) {
                        lines.push(Line::plain(&" ".repeat(indent)).and(Style::Strong, &part));
                    }
                }
            }
        }
        lines
    }

    /// Whether a tool of an upstream server would be called.
    pub fn is_call(&self) -> bool {
        self.tool.contains('.') && self.details.as_ref().is_some_and(|details| details.get().starts_with('{'))
    }

    /// What follows from a yes, with arguments that the operator has changed or as it is, and from a no.
    pub fn consequences(&self, is_changed: bool, now: UnixMicros) -> (String, String) {
        let agent = visible(&self.agent_id);
        let may = if is_changed {
            let tool = visible(&self.tool);
            format!("{agent} may call {tool} once, with the arguments that you changed, and is told which those are")
        } else if self.is_call() {
            format!("{agent} may call {} once, with exactly these arguments", visible(&self.tool))
        } else {
            format!("{agent} may do this once, exactly as it is here")
        };
        let cost = if self.amount == Money::ZERO {
            String::new()
        } else {
            format!(", and {} count against its budgets", dollars(self.amount))
        };
        let usable = now.plus_seconds(MIN_USABLE_SECONDS);
        let until = if self.expires_at.0 == 0 {
            String::new()
        } else {
            format!(", until {}", self.expires_at.max(usable).to_rfc3339())
        };
        let yes = format!("{may}{until}{cost}. It repeats the call; policies and budgets hold as before.");
        let refused = if self.expires_at.0 == 0 {
            "The same stays refused for good.".to_owned()
        } else {
            format!("The same stays refused until {}.", self.expires_at.to_rfc3339())
        };
        (yes, format!("{agent} is refused, and reads your note. {refused}"))
    }
}

/// Seconds in whole minutes, and in whole hours where there are many.
fn rounded(seconds: u64) -> u64 {
    let unit = if seconds >= 120 * MINUTE { 60 * MINUTE } else { MINUTE };
    seconds / unit * unit
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(details: &str) -> Request {
        let text = format!(
            r#"{{"request_id": "apr_1", "session_id": "ses_1", "agent_id": "bot", "tool": "mail.send", "action": "call",
            "amount": 2.5, "reason": "rule", "details": {details}, "created_at": 1000, "expires_at": 1900}}"#
        );
        serde_json::from_str(&text).unwrap()
    }

    #[test]
    fn all_of_a_request_is_shown_and_nothing_in_it_commands_the_terminal() {
        let hidden = "\u{202e}\u{200b}\u{9b}31m";
        let long = "~".repeat(5_000);
        let request = request(&format!(r#"{{"to": "ann{hidden}", "list": [1, 2], "text": "{long}"}}"#));
        let lines: Vec<_> = request.whole(60).iter().map(|line| line.clone().within(60).written(false)).collect();
        let page = lines.join("\n");
        for text in ["mail.send", "$ 2.50", r#""list": ["#, "    1,", r"ann\u{202e}\u{200b}\u{9b}31m"] {
            assert!(page.contains(text), "{text} is not in\n{page}");
        }
        assert_eq!(page.matches('~').count(), 5_000);
        assert!(!page.contains(['\u{202e}', '\u{200b}', '\u{9b}']));
    }

    #[test]
    fn what_follows_is_said_with_the_times_that_hold() {
        let now = UnixMicros(1_000_000_000);
        let (yes, no) = request("{}").consequences(false, now);
        assert!(
            yes.starts_with("bot may call mail.send once, with exactly these arguments, until 1970-01-01T00:31:40Z"),
            "{yes}"
        );
        assert!(yes.contains("$ 2.50 count against its budgets"), "{yes}");
        assert!(no.contains("until 1970-01-01T00:31:40Z"), "{no}");
        let (changed, _) = request("{}").consequences(true, now);
        assert!(changed.starts_with("bot may call mail.send once, with the arguments that you changed"), "{changed}");
        // A yes at the last moment can be used for ten minutes.
        let late = UnixMicros(1_899_000_000);
        assert!(request("{}").consequences(false, late).0.contains("until 1970-01-01T00:41:39Z"));
        assert_eq!(request("{}").left(late), "1s left");
        assert_eq!(request("{}").left(now), "15m left");
    }
}
