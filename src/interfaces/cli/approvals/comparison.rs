//! The difference between two requests, or between the arguments of a request and those that an operator changed: word by
//! word, with marks that are readable without colours.

use serde_json::value::RawValue;

use super::super::output::{
    amounts::dollars,
    indented,
    styled::{Line, Style, broken_parts},
};
use crate::{
    approvals::detail::{ApprovalDetail, LastApproved},
    interfaces::difference::{Piece, difference},
    model::visible::visible,
};

/// Columns that a difference is indented by.
const INDENT: usize = 2;
/// Marks around words that were removed, and around words that were added.
const REMOVED: (&str, &str) = ("[-", "-]");
const ADDED: (&str, &str) = ("{+", "+}");

/// A part of a line.
type Part = (Style, String);

/// The lines in which a request differs from the last approved one of the same agent, tool and action.
pub fn since_last(request: &ApprovalDetail, last: &LastApproved, columns: usize) -> Vec<Line> {
    let (details, amount) = (request.details.as_deref(), request.amount);
    let by = if last.decided_by.is_empty() { String::new() } else { format!(" by {}", visible(&last.decided_by)) };
    let at = last.decided_at.to_rfc3339();
    let heading = format!("the last one like it that was approved: {}{by} at {at}", visible(last.request_id.as_str()));
    let mut lines = broken_parts([(Style::Faint, heading.as_str())], columns);
    if last.amount != amount {
        let (before, after) = (dollars(last.amount), dollars(amount));
        let parts = [removed(&before), (Style::Plain, " ".to_owned()), added(&after)];
        lines.extend(shown(vec![parts.to_vec()], columns));
    }
    let logical = lines_of(&text(last.details.as_deref()), &text(details));
    let is_changed = |line: &Vec<Part>| line.iter().any(|(style, _)| *style != Style::Plain);
    let mut was_left_out = false;
    let mut kept = Vec::new();
    for line in logical {
        if is_changed(&line) {
            kept.push(line);
            was_left_out = false;
        } else if !was_left_out {
            was_left_out = true;
            kept.push(vec![(Style::Faint, "…".to_owned())]);
        }
    }
    if kept.iter().any(|line| is_difference(line)) {
        lines.extend(shown(kept, columns));
    } else if last.amount == amount {
        lines.push(Line::plain("  the same as that one"));
    }
    lines
}

fn is_difference(line: &[Part]) -> bool {
    line.iter().any(|(style, _)| matches!(style, Style::Good | Style::Bad))
}

/// All lines of the later text, with the differences from the earlier one.
pub fn whole(before: &RawValue, after: &RawValue, columns: usize) -> Vec<Line> {
    shown(lines_of(&text(Some(before)), &text(Some(after))), columns)
}

/// JSON as it is compared: indented, so that each member has a line of its own.
fn text(json: Option<&RawValue>) -> String {
    json.map(|json| indented(json.get()).to_string()).unwrap_or_default()
}

fn removed(text: &str) -> Part {
    (Style::Bad, format!("{}{text}{}", REMOVED.0, REMOVED.1))
}

fn added(text: &str) -> Part {
    (Style::Good, format!("{}{text}{}", ADDED.0, ADDED.1))
}

/// The difference in lines of text.
fn lines_of(before: &str, after: &str) -> Vec<Vec<Part>> {
    let (mut lines, mut line) = (Vec::new(), Vec::new());
    for piece in difference(before, after) {
        let (text, part): (_, fn(&str) -> Part) = match &piece {
            Piece::Same(text) => (text, |text| (Style::Plain, text.to_owned())),
            Piece::Removed(text) => (text, removed),
            Piece::Added(text) => (text, added),
        };
        for (place, text) in text.split('\n').enumerate() {
            if place > 0 {
                lines.push(std::mem::take(&mut line));
            }
            if !text.is_empty() {
                line.push(part(&visible(text)));
            }
        }
    }
    lines.push(line);
    lines
}

fn shown(lines: Vec<Vec<Part>>, columns: usize) -> Vec<Line> {
    let indent = " ".repeat(INDENT);
    let laid_out = |line: Vec<Part>| {
        let parts: Vec<_> = line.iter().map(|(style, text)| (*style, text.as_str())).collect();
        let broken = broken_parts(parts, columns.saturating_sub(INDENT));
        broken.into_iter().map(|line| Line::plain(&indent).with(line)).collect::<Vec<_>>()
    };
    lines.into_iter().flat_map(laid_out).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(text: &str) -> Box<RawValue> {
        RawValue::from_string(text.to_owned()).unwrap()
    }

    fn written(lines: &[Line]) -> String {
        lines.iter().map(|line| line.written(false)).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn only_what_differs_from_the_last_approved_request_is_shown() {
        let last: LastApproved = serde_json::from_str(
            r#"{"request_id": "apr_1", "decided_by": "ann", "decided_at": 0, "amount": 2,
                "details": {"to": "bob", "text": "hello", "copies": [1, 2]}}"#,
        )
        .unwrap();
        let now = json(r#"{"to": "ann\u202e", "text": "hello", "copies": [1, 2]}"#);
        let mut asked = super::super::tests::request(now.get());
        let lines = written(&since_last(&asked, &last, 60));
        let expected = "the last one like it that was approved: apr_1 by ann at 1970\n-01-01T00:00:00Z\n  \
                        [-$ 2.00-] {+$ 2.50+}\n  …\n    \"to\": [-\"bob\",-]{+\"ann\\u202e\",+}\n  …";
        assert_eq!(lines, expected);
        (asked.details, asked.amount) = (last.details.clone(), last.amount);
        let same = since_last(&asked, &last, 200);
        assert!(written(&same).ends_with("\n  the same as that one"), "{}", written(&same));
    }

    #[test]
    fn changed_arguments_are_shown_whole_and_harmless() {
        let (before, after) = (json(r#"{"path": "/a", "mode": 1}"#), json("{\"path\": \"/b\u{202e}\", \"mode\": 1}"));
        let lines = written(&whole(&before, &after, 60));
        assert_eq!(lines, "  {\n    \"path\": [-\"/a\",-]{+\"/b\\u{202e}\",+}\n    \"mode\": 1\n  }");
    }
}
