//! What pages are made of. Handlers fill these types with data, and one template renders them, so that text of agents and
//! upstreams reaches a page in one place only: escaped, with every invisible character shown, and cut to a bound.

use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::{
    faces::difference::Piece,
    model::{Money, UnixMicros, visible::visible},
};

/// Characters of a text beside others, such as a reason in a table.
const MAX_INLINE_CHARS: usize = 300;
/// Characters of an identifier, or of arguments in a table.
const MAX_CODE_CHARS: usize = 160;
/// Characters of a text with a place of its own, such as the arguments of a call.
const MAX_BLOCK_CHARS: usize = 20_000;

/// Everything that could mean something in a path or a query; a dot too, since `..` does.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'~');

/// A page.
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its sections, in the order in which they are read.
    pub sections: Vec<Section>,
}

/// A part of a page with a heading.
pub struct Section {
    /// Its anchor, and where a live page finds it again.
    pub id: &'static str,
    /// Its heading.
    pub title: String,
    /// Its contents.
    pub parts: Vec<Part>,
    /// Whether it is replaced when the log grows.
    pub live: bool,
}

/// A part of a section.
pub enum Part {
    /// A sentence or two.
    Text(Vec<Inline>),
    /// What is wrong, in a box.
    Alert(String),
    /// Rows under headings.
    Table(Table),
    /// Names and values.
    Facts(Vec<(&'static str, Vec<Inline>)>),
    /// A form with a button.
    Form(Form),
    /// Text as it was written, such as JSON.
    Code(String),
    /// Two texts as a difference, word by word.
    Difference(Vec<Piece>),
    /// Bars by name.
    Chart(Chart),
    /// A proof that the browser verifies.
    Proof(Proof),
    /// A filter, sent as a query to the same page.
    Filter(Vec<Field>),
}

/// Rows under headings.
pub struct Table {
    /// Names of the columns.
    pub header: Vec<&'static str>,
    /// The rows, each as long as the header.
    pub rows: Vec<Vec<Vec<Inline>>>,
    /// What stands there if there are none.
    pub empty: &'static str,
    /// The page with further rows, as a path.
    pub next: Option<String>,
}

/// What stands within a line.
#[derive(Clone)]
pub enum Inline {
    /// Text.
    Text(String),
    /// An identifier.
    Code(String),
    /// A link within the dashboard.
    Link { href: String, text: String },
    /// A word with a colour.
    Pill(Tone, String),
    /// How much of a limit is used, in percent, and in words.
    Bar(u8, String),
    /// A time, for programs and for people.
    Time(String, String),
    /// A form with a button, folded up where it says what follows.
    Form(Form),
}

/// The colour of a word.
#[derive(Clone, Copy)]
pub enum Tone {
    /// Nothing to do.
    Good,
    /// Worth a look.
    Warn,
    /// Something is wrong.
    Bad,
    /// No judgement.
    Plain,
}

/// A form.
#[derive(Clone)]
pub struct Form {
    /// The path that it is sent to.
    pub action: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The word on the button.
    pub button: &'static str,
    /// What follows, for what cannot be undone; the button is shown under it, once it is opened.
    pub consequence: Option<String>,
    /// The page to go to afterwards.
    pub next: String,
}

/// A field of a form.
#[derive(Clone)]
pub struct Field {
    /// The operation's name for it.
    pub name: &'static str,
    /// Its name for people; hidden fields have none.
    pub label: &'static str,
    /// What it takes.
    pub input: Input,
    /// What it holds.
    pub value: String,
    /// An example, or what it is for.
    pub hint: &'static str,
    /// Whether it has to be filled in.
    pub required: bool,
}

/// What a field takes.
#[derive(Clone)]
pub enum Input {
    /// A line.
    Line,
    /// Several lines.
    Lines,
    /// A secret, not shown.
    Secret,
    /// A number.
    Number,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Nothing: it is sent as it is.
    Hidden,
}

/// Bars by name, drawn as SVG.
pub struct Chart {
    /// What the bars count.
    pub unit: &'static str,
    /// Names and amounts, each with its share of the largest, from 0 to 1000.
    pub bars: Vec<(String, String, u32)>,
}

/// What a browser needs to verify that an entry is in the log.
pub struct Proof {
    /// The entry's members that are hashed, as JSON; absent for an entry that cannot be read.
    pub entry: String,
    /// The answer of `getInclusionProof`.
    pub proof: String,
}

impl Page {
    /// A page with these sections.
    pub fn new(title: impl Into<String>, sections: Vec<Section>) -> Self {
        Self { title: title.into(), sections }
    }
}

impl Section {
    /// A section that stays as it is.
    pub fn new(id: &'static str, title: impl Into<String>, parts: Vec<Part>) -> Self {
        Self { id, title: title.into(), parts, live: false }
    }

    /// A section that is replaced when the log grows.
    pub fn live(id: &'static str, title: impl Into<String>, parts: Vec<Part>) -> Self {
        Self { live: true, ..Self::new(id, title, parts) }
    }
}

impl Table {
    /// A table without further pages.
    pub fn part(header: &[&'static str], rows: Vec<Vec<Vec<Inline>>>, empty: &'static str) -> Part {
        Part::Table(Self { header: header.to_vec(), rows, empty, next: None })
    }
}

impl Form {
    /// A button that calls `operation` with these values and comes back to `next`.
    pub fn button(
        operation: &'static str,
        button: &'static str,
        values: &[(&'static str, &str)],
        next: impl Into<String>,
    ) -> Self {
        let fields = values.iter().map(|(name, value)| Field::hidden(name, *value)).collect();
        Self { action: path_of(&["do", operation]), fields, button, consequence: None, next: next.into() }
    }

    /// The same form, which says first what follows.
    #[must_use]
    pub fn after(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    /// The same form with further fields.
    #[must_use]
    pub fn with(mut self, fields: Vec<Field>) -> Self {
        self.fields.extend(fields);
        self
    }
}

impl Field {
    /// A value that is sent as it is.
    pub fn hidden(name: &'static str, value: impl Into<String>) -> Self {
        Self { name, label: "", input: Input::Hidden, value: value.into(), hint: "", required: false }
    }

    /// An empty field.
    pub fn new(name: &'static str, label: &'static str, input: Input, hint: &'static str) -> Self {
        Self { name, label, input, value: String::new(), hint, required: false }
    }

    /// The same field, which has to be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same field, filled in.
    #[must_use]
    pub fn holding(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }
}

impl Tone {
    /// The class of the style sheet.
    pub fn class(self) -> &'static str {
        match self {
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Plain => "plain",
        }
    }
}

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
    vec![Inline::Link { href: path_of(path), text: shown(label.as_ref()) }]
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
    let Some(limit) = limit else { return text(format!("{spent} USD, no limit")) };
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

/// JSON laid out for reading, all of it: what a person approves is never cut.
pub fn whole_json(value: &Value) -> String {
    let laid_out = serde_json::to_string_pretty(value).unwrap_or_default();
    laid_out.split('\n').map(visible).collect::<Vec<_>>().join("\n")
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

/// A whole page, as HTML.
#[derive(Template)]
#[template(path = "dashboard/page.html")]
pub struct Rendered<'a> {
    /// What stands around it.
    pub frame: &'a super::Frame,
    /// The page.
    pub page: &'a Page,
    /// The path of the style sheet.
    pub style: &'a str,
    /// The path of the script.
    pub script: &'a str,
    /// The path of the icon.
    pub icon: &'a str,
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
