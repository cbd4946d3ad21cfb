//! The parts of pages. Handlers fill these types with data, and one template renders them, so that text of agents and upstreams
//! reaches a page in one place only: escaped, with every invisible character shown, and cut to a bound.

use askama::Template;

pub use super::text::{
    button, code, counted, fits_code, json, link, money, path_of, pill, query_of, shown, spaced, spaced_text, spent_of,
    text, time, time_or, whole_json, word,
};
use zeroize::Zeroizing;

use crate::interfaces::difference::{Piece, difference, is_mostly_new};

/// A page.
pub struct Page {
    /// Its title.
    pub title: String,
    /// Its sections, in the order in which they are read.
    pub sections: Vec<Section>,
    /// An error above all sections.
    pub alert: Option<String>,
}

/// A part of a page with a heading.
pub struct Section {
    /// Its anchor, and where a live page finds it again.
    pub id: &'static str,
    /// Its heading; empty where the title of the page says the same.
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
    /// Two texts that differ in most words, one below the other.
    Both(String, String),
    /// A key or a secret that is shown this once.
    Secret(Zeroizing<String>),
    /// Bars by name.
    Chart(Chart),
    /// A proof that the browser verifies.
    Proof(Proof),
    /// A filter, sent as a query to the same page.
    Filter(Vec<Field>),
}

/// The cells of a row.
pub type Row = Vec<Vec<Inline>>;

/// Rows under headings.
pub struct Table {
    /// Names of the columns.
    pub header: Vec<&'static str>,
    /// The rows, each as long as the header.
    pub rows: Vec<Row>,
    /// The text instead of a table without rows.
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
    /// A link with the first characters of a long identifier, and the whole of it beside the pointer.
    Short { href: String, text: String, whole: String },
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
    /// The operation that it calls. A person whose key may not call it is not offered the form.
    pub operation: &'static str,
    /// The path that it is sent to.
    pub action: String,
    /// Its fields.
    pub fields: Vec<Field>,
    /// The word on the button.
    pub button: &'static str,
    /// A second button.
    pub other: Option<Other>,
    /// Whether the button is an outline.
    pub quiet: bool,
    /// Why it was not carried out the last time.
    pub problem: Option<Problem>,
    /// What follows, for what cannot be undone; the button is shown under it, once it is opened.
    pub consequence: Option<String>,
    /// The page to go to afterwards.
    pub next: String,
}

/// A second button of a form.
#[derive(Clone)]
pub struct Other {
    /// The word on it.
    pub button: &'static str,
    /// The path that it sends the form to.
    pub action: String,
    /// The operation that it calls.
    pub operation: &'static str,
}

/// Why a form was not carried out.
#[derive(Clone)]
pub struct Problem {
    /// In a sentence.
    pub message: String,
    /// The text that the sentence is about, with the numbers of its lines; empty for none.
    pub numbered: String,
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
    /// Whether what it held was refused.
    pub wrong: bool,
    /// The choices of the form's first list that it goes with, separated by blanks; empty is all of them.
    pub only: &'static str,
}

/// What a field takes.
#[derive(Clone)]
pub enum Input {
    /// A line.
    Line,
    /// A line as wide as the form.
    WideLine,
    /// Several lines.
    Lines,
    /// A secret, not shown.
    Secret,
    /// The key to sign in with: where the cursor stands.
    Key,
    /// A number.
    Number,
    /// One of these.
    Choice(&'static [&'static str]),
    /// One of these, each with its name for people.
    Named(&'static [(&'static str, &'static str)]),
    /// True if it is ticked.
    Tick,
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
    /// The response of `getInclusionProof`.
    pub proof: String,
}

impl Page {
    /// A page with these sections.
    pub fn new(title: impl Into<String>, sections: Vec<Section>) -> Self {
        Self { title: title.into(), sections, alert: None }
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
    pub fn part(header: &[&'static str], rows: impl IntoIterator<Item = Row>, empty: &'static str) -> Part {
        Part::Table(Self { header: header.to_vec(), rows: rows.into_iter().collect(), empty, next: None })
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
        Self {
            operation,
            action: path_of(&["do", operation]),
            fields,
            button,
            other: None,
            quiet: false,
            problem: None,
            consequence: None,
            next: next.into(),
        }
    }

    /// The same form, which says first what follows.
    #[must_use]
    pub fn after(mut self, consequence: impl Into<String>) -> Self {
        self.consequence = Some(consequence.into());
        self
    }

    /// The same form with a second button, which calls `operation`.
    #[must_use]
    pub fn or(mut self, button: &'static str, operation: &'static str) -> Self {
        self.other = Some(Other { button, action: path_of(&["do", operation]), operation });
        self
    }

    /// The same form with a button that is an outline.
    #[must_use]
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
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
        Self::new(name, "", Input::Hidden, "").holding(value)
    }

    /// An empty field.
    pub fn new(name: &'static str, label: &'static str, input: Input, hint: &'static str) -> Self {
        Self { name, label, input, value: String::new(), hint, required: false, wrong: false, only: "" }
    }

    /// The same field, which has to be filled in.
    #[must_use]
    pub fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// The same field, which goes with these choices of the form's first list only.
    #[must_use]
    pub fn only(mut self, choices: &'static str) -> Self {
        self.only = choices;
        self
    }

    /// The same field, filled in.
    #[must_use]
    pub fn holding(mut self, value: impl Into<String>) -> Self {
        self.value = value.into();
        self
    }
}

/// Whether the cells of a column need no name beside them on a narrow screen.
pub fn speaks_for_itself(column: &str) -> bool {
    const PLAIN: [&str; 16] = [
        "Time", "Agent", "What", "Outcome", "Arguments", "Why", "Asked", "Tool", "Name", "State", "Session", "Address",
        "Key", "Control", "Event", "Says",
    ];
    PLAIN.contains(&column)
}

impl Part {
    /// The sentence below a table that does not show all.
    pub fn more(is_more: bool, sentence: String) -> Option<Self> {
        is_more.then(|| Self::says(sentence))
    }

    /// A sentence or two without links.
    pub fn says(sentence: impl AsRef<str>) -> Self {
        Self::Text(text(sentence))
    }

    /// What differs between two texts: word by word, or both of them where most words differ.
    pub fn difference(before: &str, after: &str) -> Self {
        let pieces = difference(before, after);
        if is_mostly_new(&pieces) { Self::Both(before.to_owned(), after.to_owned()) } else { Self::Difference(pieces) }
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
