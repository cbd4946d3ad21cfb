//! What pages are made of. Handlers fill these types with data, and one template renders them, so that text of agents and
//! upstreams reaches a page in one place only: escaped, with every invisible character shown, and cut to a bound.

use askama::Template;

pub use super::text::{
    button, code, fits_code, json, lines, link, money, path_of, pill, query_of, shown, spaced, spent_of, text, time,
    time_or, whole_json,
};
use crate::faces::difference::Piece;

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
    /// A second button, and the path that it sends the form to.
    pub other: Option<(&'static str, &'static str)>,
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
        Self { action: path_of(&["do", operation]), fields, button, other: None, consequence: None, next: next.into() }
    }

    /// The same form, which says first what follows.
    #[must_use]
    pub fn after(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    /// The same form with a second button, which sends it to `action`.
    #[must_use]
    pub fn or(mut self, button: &'static str, action: &'static str) -> Self {
        self.other = Some((button, action));
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
