//! A request that waits, as a person reads it before deciding: its contents, and the consequences of each decision.

use super::super::output::{
    amounts::{dollars, dollars_or_none},
    indented,
    styled::{Line, Style, broken},
};
use crate::{
    approvals::detail::ApprovalDetail,
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

/// One line of the list: time, agent, tool and action, amount, and how long the request waits yet.
pub fn row(request: &ApprovalDetail, now: UnixMicros, columns: usize) -> Line {
    let time = request.created_at.to_rfc3339();
    let amount = dollars_or_none(request.amount);
    let is_wide = columns >= WIDE;
    let agent = if is_wide { 16 } else { 10 };
    let behind = if is_wide { 2 + 11 + 2 + 10 } else { 2 + 11 };
    let rest = columns.saturating_sub(2 + 8 + 2 + agent + 2 + behind);
    let row = Line::plain("  ")
        .cell(Style::Faint, time.get(11..19).unwrap_or(&time), 8)
        .and(Style::Plain, "  ")
        .cell(Style::Plain, &visible(&request.agent_id), agent)
        .and(Style::Plain, "  ")
        .cell(Style::Plain, &visible(&what(request)), rest)
        .and(Style::Plain, "  ")
        .number(Style::Plain, &amount, 11);
    if is_wide { row.and(Style::Plain, "  ").cell(Style::Faint, &left(request, now), 10) } else { row }
}

/// The tool and the action.
fn what(request: &ApprovalDetail) -> String {
    format!("{} {}", request.tool, request.action).trim().to_owned()
}

/// How long the request still waits for a decision.
fn left(request: &ApprovalDetail, now: UnixMicros) -> String {
    if request.expires_at.0 == 0 {
        return "no end".to_owned();
    }
    match u64::try_from(request.expires_at.seconds_since(now)) {
        Ok(seconds @ 1..MINUTE) => format!("{seconds}s left"),
        Ok(seconds @ MINUTE..) => format!("{} left", shown(rounded(seconds))),
        _ => "over".to_owned(),
    }
}

/// The whole request, in lines of this width. Nothing is cut, and invisible characters are shown as escapes.
pub fn whole(request: &ApprovalDetail, columns: usize) -> Vec<Line> {
    let amount = dollars_or_none(request.amount);
    let fields = [
        ("request", request.request_id.as_str()),
        ("agent", &request.agent_id),
        ("session", request.session_id.as_str()),
        ("tool", &request.tool),
        ("action", &request.action),
        ("amount", &amount),
        ("why asked", &request.reason),
    ];
    let mut lines = Vec::new();
    if request.operator_only {
        lines.push(Line::of(Style::Warn, "A rule wants an operator to decide this, not the person at the client."));
    }
    for (name, value) in fields.into_iter().filter(|(_, value)| !value.is_empty()) {
        for (place, part) in broken(&visible(value), columns.saturating_sub(NAMES)).iter().enumerate() {
            let name = if place == 0 { name } else { "" };
            lines.push(Line::plain("").cell(Style::Faint, name, NAMES).and(Style::Plain, part));
        }
    }
    lines.push(Line::of(Style::Faint, if is_call(request) { "arguments" } else { "details" }));
    match &request.details {
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
pub fn is_call(request: &ApprovalDetail) -> bool {
    request.tool.contains('.') && request.details.as_ref().is_some_and(|details| details.get().starts_with('{'))
}

/// The consequences of an approval, with changed arguments or as asked, and of a denial.
pub fn consequences(request: &ApprovalDetail, is_changed: bool, now: UnixMicros) -> (String, String) {
    let agent = visible(&request.agent_id);
    let may = if is_changed {
        let tool = visible(&request.tool);
        format!("{agent} may call {tool} once, with the arguments that you changed, and is told which those are")
    } else if is_call(request) {
        format!("{agent} may call {} once, with exactly these arguments", visible(&request.tool))
    } else {
        format!("{agent} may do this once, exactly as it is here")
    };
    let cost = if request.amount == Money::ZERO {
        String::new()
    } else {
        format!(", and {} count against its budgets", dollars(request.amount))
    };
    let usable = now.plus_seconds(MIN_USABLE_SECONDS);
    let until = if request.expires_at.0 == 0 {
        String::new()
    } else {
        format!(", until {}", request.expires_at.max(usable).to_rfc3339())
    };
    let yes = format!("{may}{until}{cost}. It repeats the call; policies and budgets hold as before.");
    let refused = if request.expires_at.0 == 0 {
        "The same stays refused for good.".to_owned()
    } else {
        format!("The same stays refused until {}.", request.expires_at.to_rfc3339())
    };
    (yes, format!("{agent} is refused, and reads your note. {refused}"))
}

/// Seconds rounded down to minutes, or to hours from two hours on.
fn rounded(seconds: u64) -> u64 {
    let unit = if seconds >= 120 * MINUTE { 60 * MINUTE } else { MINUTE };
    seconds / unit * unit
}

#[cfg(test)]
mod tests {
    use super::{super::tests::request, *};

    #[test]
    fn all_of_a_request_is_shown_and_nothing_in_it_commands_the_terminal() {
        let hidden = "\u{202e}\u{200b}\u{9b}31m";
        let long = "~".repeat(5_000);
        let asked = request(&format!(r#"{{"to": "ann{hidden}", "list": [1, 2], "text": "{long}"}}"#));
        let lines: Vec<_> = whole(&asked, 60).iter().map(|line| line.clone().within(60).written(false)).collect();
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
        let (yes, no) = consequences(&request("{}"), false, now);
        assert!(
            yes.starts_with("bot may call mail.send once, with exactly these arguments, until 1970-01-01T00:31:40Z"),
            "{yes}"
        );
        assert!(yes.contains("$ 2.50 count against its budgets"), "{yes}");
        assert!(no.contains("until 1970-01-01T00:31:40Z"), "{no}");
        let (changed, _) = consequences(&request("{}"), true, now);
        assert!(changed.starts_with("bot may call mail.send once, with the arguments that you changed"), "{changed}");
        // A yes at the last moment can be used for ten minutes.
        let late = UnixMicros(1_899_000_000);
        assert!(consequences(&request("{}"), false, late).0.contains("until 1970-01-01T00:41:39Z"));
        assert_eq!(left(&request("{}"), late), "1s left");
        assert_eq!(left(&request("{}"), now), "15m left");
    }
}
