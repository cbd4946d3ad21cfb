//! Text on pages: with escapes for invisible characters, cut to a bound, and encoded where it is part of an address.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::view::{Form, Inline, Tone};
use crate::{
    interfaces::indented::indented,
    model::{Money, UnixMicros, visible::visible},
};

/// Characters of a text beside others, such as a reason in a table.
const MAX_INLINE_CHARS: usize = 300;
/// Characters of an identifier, or of arguments in a table.
const MAX_CODE_CHARS: usize = 160;
/// Characters of a session's id in a table; a longer one is cut to [`SHORT_ID_CHARS`].
const MAX_ID_CHARS: usize = 16;
const SHORT_ID_CHARS: usize = 12;
/// Characters of a text with a place of its own, such as the arguments of a call.
const MAX_BLOCK_CHARS: usize = 20_000;

/// All characters with a meaning in a path or a query; the dot too, because of `..`.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// Text within a line.
pub fn text(text: impl AsRef<str>) -> Vec<Inline> {
    let text = text.as_ref();
    if text.is_empty() { Vec::new() } else { vec![Inline::Text(shown(text))] }
}

/// An identifier.
pub fn code(text: impl AsRef<str>) -> Vec<Inline> {
    vec![Inline::Code(cut(text.as_ref(), MAX_CODE_CHARS))]
}

/// A word with a colour.
pub fn pill(tone: Tone, word: impl AsRef<str>) -> Vec<Inline> {
    vec![Inline::Pill(tone, shown(word.as_ref()))]
}

/// A link within the dashboard; the parts of its path are encoded.
pub fn link(path: &[&str], label: impl AsRef<str>) -> Vec<Inline> {
    let (href, label) = (path_of(path), label.as_ref());
    if path.first() == Some(&"sessions") && label.chars().count() > MAX_ID_CHARS {
        let (start, whole) = (label.chars().take(SHORT_ID_CHARS).collect::<String>(), shown(label));
        return vec![Inline::Short { href, text: visible(&start) + "…", whole }];
    }
    vec![Inline::Link { href, text: shown(label) }]
}

/// A button.
pub fn button(form: Form) -> Vec<Inline> {
    vec![Inline::Form(form)]
}

/// A time; 0 is never.
pub fn time(at: UnixMicros) -> Vec<Inline> {
    if at.0 == 0 { text("never") } else { vec![Inline::Time(at.to_rfc3339(), spaced(at))] }
}

/// A time as people read it: RFC 3339 with a blank between date and time.
pub fn spaced(at: UnixMicros) -> String {
    at.to_rfc3339().replacen('T', " ", 1)
}

/// A time that is text in RFC 3339 already, as [`spaced`] writes it.
pub fn spaced_text(at: &str) -> String {
    at.replacen('T', " ", 1).replacen("+00:00", "Z", 1)
}

/// A time, if there is one.
pub fn time_or(at: Option<UnixMicros>, none: &str) -> Vec<Inline> {
    at.filter(|at| at.0 != 0).map_or_else(|| text(none), time)
}

/// An amount in USD.
pub fn money(amount: Money) -> Vec<Inline> {
    text(format!("{amount} USD"))
}

/// How much of a limit is used.
pub fn spent_of(spent: Money, limit: Option<Money>) -> Vec<Inline> {
    let Some(limit) = limit else {
        let used = if spent == Money::ZERO { String::new() } else { format!("{spent} USD, ") };
        return text(format!("{used}no limit"));
    };
    let (used, of) = (spent.nanos().max(0), limit.nanos().max(1));
    let percent = i128::from(used) * 100 / i128::from(of);
    vec![Inline::Bar(u8::try_from(percent.clamp(0, 100)).unwrap_or(100), format!("{spent} of {limit} USD"))]
}

/// A path within the dashboard, of these parts.
pub fn path_of(parts: &[&str]) -> String {
    let mut path = String::from("/dashboard");
    for part in parts {
        path.push('/');
        path.extend(utf8_percent_encode(part, ENCODED));
    }
    path
}

/// A query of these fields; empty ones are left out.
pub fn query_of(fields: &[(&str, &str)]) -> String {
    let mut query = String::new();
    for (name, value) in fields.iter().filter(|(_, value)| !value.is_empty()) {
        query.push(if query.is_empty() { '?' } else { '&' });
        query.push_str(name);
        query.push('=');
        query.extend(utf8_percent_encode(value, ENCODED));
    }
    query
}

/// A text beside others: on one line, cut to a bound.
pub fn shown(text: &str) -> String {
    cut(text, MAX_INLINE_CHARS)
}

/// JSON laid out for reading, cut to a bound.
pub fn json(value: &Value) -> String {
    let laid_out = serde_json::to_string_pretty(value).unwrap_or_default();
    lines(&laid_out)
}

/// Text of several lines, cut to a bound.
pub fn lines(text: &str) -> String {
    let cut = clip(text, MAX_BLOCK_CHARS);
    let shown: Vec<_> = cut.0.split('\n').map(visible).collect();
    shown.join("\n") + if cut.1 { "\n… (cut)" } else { "" }
}

/// Whether [`code`] shows all of a text.
pub fn fits_code(text: &str) -> bool {
    !clip(text, MAX_CODE_CHARS).1
}

/// JSON laid out for reading, all of it: what a person approves is never cut, and no number is rounded.
pub fn whole_json(json: Option<&RawValue>) -> String {
    let text = json.map_or_else(|| "null".to_owned(), |json| indented(json.get()).to_string());
    text.split('\n').map(visible).collect::<Vec<_>>().join("\n")
}

/// A value as its JSON text says it, such as the word for a role.
pub fn word(value: impl Serialize) -> String {
    serde_json::to_value(value).ok().and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default()
}

/// How many of something there are, such as `2 sessions`.
pub fn counted(count: i64, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

fn cut(text: &str, most: usize) -> String {
    let (text, was_cut) = clip(text, most);
    visible(text) + if was_cut { "…" } else { "" }
}

/// The first characters of a text, and whether there are more.
fn clip(text: &str, most: usize) -> (&str, bool) {
    match text.char_indices().nth(most) {
        Some((end, _)) => (&text[..end], true),
        None => (text, false),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_and_invisible_text_is_cut_and_shown() {
        assert_eq!(shown("a\u{202e}b\u{1b}[31m"), r"a\u{202e}b\u{1b}[31m");
        assert_eq!(shown(&"x".repeat(400)), "x".repeat(MAX_INLINE_CHARS) + "…");
        assert_eq!(lines("one\ntwo\u{7}"), "one\ntwo\\u{7}");
    }

    #[test]
    fn a_name_stays_one_part_of_a_path_and_of_a_query() {
        assert_eq!(path_of(&["agents", "a/../b?c#d"]), "/dashboard/agents/a%2F%2E%2E%2Fb%3Fc%23d");
        assert_eq!(query_of(&[("agent", "a&b=c"), ("tool", "")]), "?agent=a%26b%3Dc");
    }
}
