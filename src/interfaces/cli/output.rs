//! What the client writes: responses and tables to standard output; errors to standard error, or as JSON to standard output.

pub mod amounts;
mod layout;
pub mod styled;
mod table;
mod times;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

use serde::Serialize;
use serde_json::Value;

pub use crate::interfaces::indented::indented;
pub use layout::paragraph;
use styled::Style;
pub use table::{fits_whole, table};
pub use times::{when, when_any};

use crate::{
    config::logging,
    error::{Code, Error},
    interfaces::version,
};

/// Exit code for wrong arguments or settings.
const USAGE: u8 = 2;

/// Indentation of the further lines of a row.
const INDENT: usize = 4;

/// Why a command ends early.
pub enum CommandError {
    /// Haldir, or the client itself, refused.
    Error(Error),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<Error> for CommandError {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::store::Error> for CommandError {
    fn from(error: crate::store::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<io::Error> for CommandError {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl CommandError {
    /// Writes the error, and returns the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        match self {
            // The reading program has closed its end, as `head` does when it has enough.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                note(&format!("haldir: standard output cannot be written: {error}"));
                ExitCode::FAILURE
            }
            Self::Error(error) => {
                tell(&error, json);
                exit_code(&error)
            }
        }
    }
}

/// The exit code for an error, of both programs.
pub fn exit_code(error: &Error) -> ExitCode {
    let is_usage = matches!(error.code, Code::InvalidArgument | Code::MalformedJson);
    if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// Writes a line to standard error; where that is closed, the line is lost.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line to standard output. It may be JSON with text of agents in it.
pub fn line(text: &str) -> Result<(), CommandError> {
    let mut output = io::stdout().lock();
    write_visibly(&mut output, text)?;
    writeln!(output)?;
    Ok(output.flush()?)
}

/// Writes a table, or this sentence where there are no rows.
pub fn table_or(none: &str, header: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> Result<(), CommandError> {
    let rows: Vec<_> = rows.into_iter().collect();
    if rows.is_empty() { line(none) } else { table(header, &rows) }
}

/// Writes a table of names and values, without those that are empty.
pub fn facts<'a>(header: [&str; 2], facts: impl IntoIterator<Item = (&'a str, String)>) -> Result<(), CommandError> {
    let facts = facts.into_iter().filter(|(_, value)| !value.is_empty());
    table(&header, &facts.map(|(name, value)| vec![name.to_owned(), value]).collect::<Vec<_>>())
}

/// Says with which option the rest of a list is read, if there is more.
pub fn note_more(cursor: Option<&str>) {
    if let Some(cursor) = cursor {
        note(&format!("there are more: --cursor {cursor}"));
    }
}

/// A value as its JSON text says it, such as the word for a role.
pub fn word(value: impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(Value::String(word)) => word,
        Ok(other) => other.to_string(),
        Err(_) => String::new(),
    }
}

/// Writes a sentence to standard output. At a terminal it is broken between words.
pub fn sentence(text: &str) -> Result<(), CommandError> {
    line(&paragraph(text, (0, 0)))
}

/// Whether an invisible character changes how others are shown: Unicode's `Bidi_Control` reorders them, and separators end a
/// line.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes JSON with escapes for characters that a terminal obeys or that reorder text; in a JSON string they mean the same.
/// JSON itself does not escape U+007F to U+009F, and U+009B begins a terminal command.
fn write_visibly(output: &mut impl Write, text: &str) -> io::Result<()> {
    // Piece by piece: a copy of the text, which may be a secret, would stay in memory.
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| matches!(c, '\x7f'..='\u{9f}') || reorders(*c)) {
        write!(output, "{}\\u{:04x}", &rest[..at], u32::from(c))?;
        rest = &rest[at + c.len_utf8()..];
    }
    output.write_all(rest.as_bytes())
}

fn tell(error: &Error, json: bool) {
    if json {
        // As above: the exit code still says that it failed.
        let _ = line(&error.body(None));
    } else {
        note(&layout::wrapped(&format!("haldir: {}", printable(&error.message)), (0, 0), layout::width(&io::stderr())));
    }
}

/// Writes a row of a table whose later rows are not known yet, so the widths are given. A cell that is longer than its column
/// moves the next ones; on a narrow terminal the row continues in further lines, which are indented and broken between words
/// and after commas.
pub fn row(cells: &[String], widths: &[usize]) -> Result<(), CommandError> {
    let mut text = String::new();
    for (cell, width) in cells.iter().zip(widths) {
        let cell = printable(cell);
        let spaces = width.saturating_sub(styled::columns(&cell)) + 2;
        text.push_str(&cell);
        text.extend(std::iter::repeat_n(' ', spaces));
    }
    let text = text.trim_end();
    let Some(width) = columns() else { return line(text) };
    let lines = layout::wrapped_cell(text, width, width.saturating_sub(INDENT));
    for (place, part) in lines.iter().enumerate() {
        let indent = if place == 0 { 0 } else { INDENT };
        line(&format!("{}{part}", " ".repeat(indent)))?;
    }
    Ok(())
}

/// How many columns standard output has; `None` is as many as a line takes.
pub fn columns() -> Option<usize> {
    layout::width(&io::stdout())
}

/// The columns of a page: those of the terminal, or the usual number elsewhere.
pub fn page_columns() -> usize {
    layout::width(&io::stdout()).unwrap_or(layout::USUAL)
}

/// The lines of a paragraph of this width, broken between words.
pub fn paragraph_lines(text: &str, width: usize) -> Vec<String> {
    layout::wrapped(&printable(text), (0, 0), Some(width)).lines().map(str::to_owned).collect()
}

/// Writes what is wrong with the arguments, or the help or version that they ask for, which clap treats as errors.
pub fn explain_usage(error: &clap::Error, json: bool) -> ExitCode {
    if json && error.kind() == clap::error::ErrorKind::DisplayVersion {
        let written = line(&version::document("haldir").to_string());
        return written.map_or_else(|error| error.report(true), |()| ExitCode::SUCCESS);
    }
    if !error.use_stderr() || !json {
        // As above: a closed output has no reader.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    }
    let text = error.render().to_string();
    let lines: Vec<_> = text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim).collect();
    let message = lines.join(" ").trim().trim_start_matches("error: ").to_owned();
    tell(&Error::new(Code::InvalidArgument, message), true);
    ExitCode::from(USAGE)
}

/// How good or bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Does not work, or is not safe.
    Fail,
}

impl Level {
    /// As JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warn => "warn",
            Self::Fail => "fail",
        }
    }
}

/// The style of a component's state.
pub fn state_style(state: &str) -> Style {
    match state {
        "ok" => Style::Good,
        "off" => Style::Faint,
        "degraded" => Style::Warn,
        _ => Style::Bad,
    }
}

/// Standard output: whether it is a terminal, and whether it gets JSON or colours.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// One JSON document is wanted.
    pub json: bool,
    terminal: bool,
    colours: bool,
}

impl Screen {
    /// Standard output as it is.
    pub fn new(json: bool) -> Self {
        let terminal = io::stdout().is_terminal();
        Self { json, terminal, colours: terminal && !json && logging::may_colour() }
    }

    /// Writes an operation's response: indented at a terminal, otherwise as it came.
    pub fn answer(self, json: &str) -> Result<(), CommandError> {
        if self.terminal && !self.json { line(&indented(json)) } else { line(json) }
    }

    /// Writes a line of text in colours, where those are wanted.
    pub fn styled(self, text: &styled::Line) -> Result<(), CommandError> {
        // Not by `line`, which would escape the colours; the text itself is harmless already.
        let mut output = io::stdout().lock();
        writeln!(output, "{}", text.written(self.colours))?;
        Ok(output.flush()?)
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(self) -> bool {
        self.terminal
    }

    /// Whether colours are wanted.
    pub fn has_colours(self) -> bool {
        self.colours
    }

    /// The word for a level, in its colour.
    pub fn word(self, level: Level) -> String {
        let (style, word) = match level {
            Level::Ok => (Style::Good, "ok  "),
            Level::Warn => (Style::Warn, "warn"),
            Level::Fail => (Style::Bad, "FAIL"),
        };
        style.applied(word, self.colours)
    }

    /// Text after a dot in this style; of a part that is switched off, the dot is faint and hollow.
    pub fn pill(self, style: Style, text: &str) -> String {
        let dot = if style == Style::Faint { "○" } else { "●" };
        format!("{} {text}", style.applied(dot, self.colours))
    }
}

/// The first characters of a text, with an ellipsis where there are more.
pub fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Text without control characters: an escape sequence in a name could rewrite the screen. Characters that reorder text are
/// replaced by U+FFFD.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => ' ',
        c if reorders(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}
