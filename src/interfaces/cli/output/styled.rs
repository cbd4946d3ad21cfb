//! Lines of text in colours, which fit a width: laid out once, and written with colours or without them.

use unicode_width::UnicodeWidthChar;

use super::printable;

/// The most characters of one text in a line: no terminal is wider.
const MAX_CHARS: usize = 1_000;
/// The most characters per column: this bounds characters without a column of their own, such as accents.
const CHARS_PER_COLUMN: usize = 4;

/// How a text looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As the terminal has it.
    #[default]
    Plain,
    /// Headings.
    Strong,
    /// What matters less.
    Faint,
    /// As it should be.
    Good,
    /// Look at it.
    Warn,
    /// Wrong, or at its end.
    Bad,
    /// The row that keys are about.
    Selected,
}

impl Style {
    /// The parameters of "select graphic rendition" (ECMA-48, 8.3.117).
    fn parameters(self) -> &'static str {
        match self {
            Self::Plain => "0",
            Self::Strong => "1",
            Self::Faint => "2",
            Self::Good => "32",
            Self::Warn => "33",
            Self::Bad => "31",
            Self::Selected => "7",
        }
    }

    /// A text in this style, where colours are wanted.
    pub fn applied(self, text: &str, colours: bool) -> String {
        if colours && self != Self::Plain {
            format!("\x1b[{}m{text}\x1b[0m", self.parameters())
        } else {
            text.to_owned()
        }
    }
}

/// One line. Its text has no control characters, and its width is known.
#[derive(Clone, Debug, Default)]
pub struct Line {
    parts: Vec<(Style, String)>,
    columns: usize,
}

impl Line {
    /// A line of this text.
    pub fn of(style: Style, text: &str) -> Self {
        Self::default().and(style, text)
    }

    /// A plain line.
    pub fn plain(text: &str) -> Self {
        Self::of(Style::Plain, text)
    }

    /// With this text behind it.
    pub fn and(mut self, style: Style, text: &str) -> Self {
        self.push(style, text);
        self
    }

    /// With another line behind it.
    pub fn with(mut self, line: Self) -> Self {
        self.columns += line.columns;
        self.parts.extend(line.parts);
        self
    }

    /// Puts this text behind it.
    pub fn push(&mut self, style: Style, text: &str) {
        let bounded: String = text.chars().take(MAX_CHARS).collect();
        let cut = if bounded.len() < text.len() { "…" } else { "" };
        let text = printable(&bounded) + cut;
        self.columns += columns(&text);
        self.parts.push((style, text));
    }

    /// With spaces up to this column, and one at least.
    pub fn to(self, column: usize) -> Self {
        let end = column.max(self.columns + 1);
        self.filled(Style::Plain, end)
    }

    /// A cell of a table: so much of the text as fits into this many columns, filled up with spaces.
    pub fn cell(self, style: Style, text: &str, width: usize) -> Self {
        let end = self.columns + width;
        self.and(style, &cut(text, width)).filled(Style::Plain, end)
    }

    /// The same with the text at the right.
    pub fn number(self, style: Style, text: &str, width: usize) -> Self {
        let text = cut(text, width);
        let before = self.columns + width.saturating_sub(columns(&text));
        self.filled(Style::Plain, before).and(style, &text)
    }

    fn filled(mut self, style: Style, columns: usize) -> Self {
        let spaces = columns.saturating_sub(self.columns);
        self.columns += spaces;
        self.parts.push((style, " ".repeat(spaces)));
        self
    }

    /// How many columns it takes.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The whole line in this style, up to this width.
    pub fn marked(self, style: Style, width: usize) -> Self {
        let text: String = self.parts.iter().map(|(_, text)| text.as_str()).collect();
        Self::of(style, &cut(&text, width)).filled(style, width)
    }

    /// So much of it as fits; what is cut off leaves an ellipsis.
    pub fn within(self, width: usize) -> Self {
        let chars = self.parts.iter().map(|(_, text)| text.chars().count()).sum::<usize>();
        if self.columns <= width && chars <= width * CHARS_PER_COLUMN {
            return self;
        }
        let mut line = Self::default();
        for (style, text) in self.parts {
            let room = width.saturating_sub(line.columns);
            let fits = cut(&text, room);
            let is_whole = fits == text;
            line.push(style, &fits);
            if !is_whole {
                break;
            }
        }
        line
    }

    /// As it is written.
    pub fn written(&self, colours: bool) -> String {
        let out: String = self.parts.iter().map(|(style, text)| style.applied(text, colours)).collect();
        if colours { out } else { out.trim_end().to_owned() }
    }
}

/// How many columns a text takes: at most, since terminals draw some sequences of characters as one.
pub fn columns(text: &str) -> usize {
    text.chars().map(|c| c.width().unwrap_or(0)).sum()
}

/// So much of a text as fits into this many columns. What is cut off leaves an ellipsis.
pub fn cut(text: &str, width: usize) -> String {
    let bounded: String = text.chars().take(width.saturating_mul(CHARS_PER_COLUMN)).collect();
    if bounded.len() == text.len() && columns(text) <= width {
        return bounded;
    }
    let (mut kept, mut used) = (String::new(), 0);
    for c in bounded.chars() {
        used += c.width().unwrap_or(0);
        if used + 1 > width {
            break;
        }
        kept.push(c);
    }
    if width > 0 {
        kept.push('…');
    }
    kept
}

/// A text in lines of at most this many columns, broken wherever a line is full: nothing is left out.
pub fn broken(text: &str, width: usize) -> Vec<String> {
    let lines = broken_parts([(Style::Plain, text)], width);
    lines.into_iter().map(|line| line.parts.into_iter().map(|(_, text)| text).collect()).collect()
}

/// The same for text in several styles.
pub fn broken_parts<'a>(parts: impl IntoIterator<Item = (Style, &'a str)>, width: usize) -> Vec<Line> {
    let width = width.max(2);
    let (mut lines, mut line, mut chars) = (Vec::new(), Line::default(), 0);
    for (style, text) in parts {
        let (mut run, mut used) = (String::new(), line.columns);
        for c in text.chars() {
            let columns = c.width().unwrap_or(0);
            if used + columns > width || chars >= MAX_CHARS.min(width * CHARS_PER_COLUMN) {
                line.push(style, &run);
                lines.push(std::mem::take(&mut line));
                run.clear();
                (used, chars) = (0, 0);
            }
            run.push(c);
            used += columns;
            chars += 1;
        }
        line.push(style, &run);
    }
    lines.push(line);
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_keeps_within_its_width_whatever_is_in_it() {
        for text in
            ["x".repeat(100_000), "取".repeat(500), "e\u{301}".repeat(50_000), "\u{1b}[2J\u{202e}\u{9b}31m".repeat(90)]
        {
            for width in [0, 1, 2, 20, 80] {
                let line = Line::plain("agent ").cell(Style::Good, &text, 12).and(Style::Bad, &text).within(width);
                let written = line.written(false);
                assert!(columns(&written) <= width && line.columns() <= width, "{width}: {written:?}");
                assert!(written.chars().count() <= width * CHARS_PER_COLUMN + 2, "{width}: {}", written.len());
                assert!(!written.contains(['\u{1b}', '\u{9b}', '\u{202e}']), "{written:?}");
            }
        }
    }

    #[test]
    fn cells_have_their_width_and_colours_end_with_their_text() {
        let line = Line::plain("a").to(4).cell(Style::Good, "取取取", 5).number(Style::Plain, "7", 3);
        assert_eq!(line.written(false), "a   取取…  7");
        assert_eq!(line.written(true), "a   \x1b[32m取取…\x1b[0m  7");
        assert_eq!(Line::plain("ab").marked(Style::Selected, 4).written(true), "\x1b[7mab\x1b[0m\x1b[7m  \x1b[0m");
    }

    fn trimmed(lines: &[String]) -> Vec<String> {
        lines.iter().map(|line| line.trim_end().to_owned()).collect()
    }

    #[test]
    fn broken_lines_hold_all_of_a_text() {
        for text in ["", "short", &"long ".repeat(100), &"取".repeat(33), &"e\u{301}\u{301}\u{301}\u{301}".repeat(40)]
        {
            let lines = broken(text, 10);
            assert!(lines.iter().all(|line| columns(line) <= 10), "{lines:?}");
            assert_eq!(lines.concat(), text);
            let drawn: Vec<_> = lines.iter().map(|line| Line::plain(line).within(10).written(true)).collect();
            assert_eq!(drawn, lines);
            // In two styles, the same.
            let (first, second) = text.split_at(text.char_indices().nth(7).map_or(text.len(), |(at, _)| at));
            let parts = broken_parts([(Style::Bad, first), (Style::Good, second)], 10);
            assert_eq!(parts.iter().map(|line| line.written(false)).collect::<Vec<_>>(), trimmed(&lines));
        }
    }
}
