//! What the client writes: answers and tables to standard output, errors where their reader looks for them.

pub mod amounts;
mod json;
mod layout;
pub mod styled;
mod table;
mod times;

use std::{
    io::{self, IsTerminal, Write},
    process::ExitCode,
};

pub use json::indented;
pub use layout::paragraph;
pub use table::{fits_whole, table};
pub use times::{when, when_any};

use crate::{
    config::logging,
    error::{Code, Error},
};

/// Exit code of a call that cannot work as it was written.
const USAGE: u8 = 2;

/// Columns by which the further lines of a row are indented.
const INDENT: usize = 4;

/// Why a command ends early.
pub enum Stop {
    /// Haldir, or the client itself, said no.
    Error(Error),
    /// Standard output cannot be written.
    Output(io::Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Error(error)
    }
}

impl From<crate::store::Error> for Stop {
    fn from(error: crate::store::Error) -> Self {
        Self::Error(error.into())
    }
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

impl Stop {
    /// Tells whoever has to know, and answers the exit code.
    pub fn report(self, json: bool) -> ExitCode {
        match self {
            // Whoever read our output has seen enough, as `head` does.
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

/// The exit code for an error, of both programs: what was called in a way that cannot work, bad settings included, has one of
/// its own.
pub fn exit_code(error: &Error) -> ExitCode {
    let is_usage = matches!(error.code, Code::InvalidArgument | Code::MalformedJson);
    if is_usage { ExitCode::from(USAGE) } else { ExitCode::FAILURE }
}

/// Writes a line to standard error. Where that is closed there is nobody left to tell.
pub fn note(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Writes a line to standard output, be it of JSON that agents wrote a part of.
pub fn line(text: &str) -> Result<(), Stop> {
    let mut output = io::stdout().lock();
    write_visibly(&mut output, text)?;
    writeln!(output)?;
    Ok(output.flush()?)
}

/// Writes a sentence to standard output. At a terminal it is broken between words.
pub fn sentence(text: &str) -> Result<(), Stop> {
    line(&paragraph(text, (0, 0)))
}

/// Whether a character is not seen, but changes how others are: by Unicode's `Bidi_Control` they stand in another order
/// than they have, and separators end a line.
fn reorders(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Writes text with what a terminal would obey, or order anew, as JSON can write it: it means the same in a string, and
/// stands nowhere else. JSON itself leaves U+007F to U+009F as they are, and U+009B begins a command to a terminal.
fn write_visibly(output: &mut impl Write, text: &str) -> io::Result<()> {
    // Piece by piece: a copy of what may be a secret would stay behind.
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

/// Writes a row that follows others one by one, so that its columns cannot depend on those behind it. A cell that is longer than
/// its column moves those behind it; where a terminal is narrower, the last cells go on in further lines, which are indented
/// and broken between words and behind commas.
pub fn row(cells: &[String], widths: &[usize]) -> Result<(), Stop> {
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

/// How many columns a page has that is laid out for people: those of the terminal; what is written elsewhere has the usual
/// ones.
pub fn page_columns() -> usize {
    layout::width(&io::stdout()).unwrap_or(layout::USUAL)
}

/// The lines of a paragraph of this width, broken between words.
pub fn paragraph_lines(text: &str, width: usize) -> Vec<String> {
    layout::wrapped(&printable(text), (0, 0), Some(width)).lines().map(str::to_owned).collect()
}

/// Answers arguments that clap does not accept, and requests for help and version, which clap treats as errors.
pub fn explain_usage(error: &clap::Error, json: bool) -> ExitCode {
    if !error.use_stderr() || !json {
        // As above: a closed output has no reader.
        let _ = error.print();
        return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
    }
    let text = error.render().to_string();
    let said: Vec<_> = text.lines().take_while(|line| !line.starts_with("Usage:")).map(str::trim).collect();
    let message = said.join(" ").trim().trim_start_matches("error: ").to_owned();
    tell(&Error::new(Code::InvalidArgument, message), true);
    ExitCode::from(USAGE)
}

/// How good or bad a finding is, by colour.
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

/// Standard output, and what suits it.
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

    /// Writes an operation's answer: indented for people, as it came for programs.
    pub fn answer(self, json: &str) -> Result<(), Stop> {
        if self.terminal && !self.json { line(&indented(json)) } else { line(json) }
    }

    /// Writes a line of text in colours, where those are wanted.
    pub fn styled(self, text: &styled::Line) -> Result<(), Stop> {
        // Not by `line`: the text is harmless already, and an escape is a colour.
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
        let word = match level {
            Level::Ok => "ok  ",
            Level::Warn => "warn",
            Level::Fail => "FAIL",
        };
        self.coloured(level, word)
    }

    /// Text behind a pill in the colour of its level; what has none, such as a part that is switched off, has a hollow one.
    pub fn pill(self, level: Option<Level>, text: &str) -> String {
        let pill = level.map_or_else(|| "○".to_owned(), |level| self.coloured(level, "●"));
        format!("{pill} {text}")
    }

    fn coloured(self, level: Level, text: &str) -> String {
        let colour = match level {
            Level::Ok => 32,
            Level::Warn => 33,
            Level::Fail => 31,
        };
        if self.colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// Text without control characters: an escape sequence in a name could rewrite the screen. What would be read in another
/// order than it has is marked.
pub fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        c if c.is_control() => ' ',
        c if reorders(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    };
    text.chars().map(shown).collect()
}
