//! Text within the width of a terminal. What is not written to a terminal is not broken, so that scripts find each row and
//! each sentence in one line; `COLUMNS` sets a width for it.

use std::io::{self, IsTerminal};

use unicode_width::UnicodeWidthStr;

/// The width of a terminal that does not say how wide it is.
pub const USUAL: usize = 80;
/// The narrowest that text is laid out for.
const NARROWEST: usize = 20;

/// How many columns an output has; `None` is as many as a line takes.
pub fn width(output: &(impl IsTerminal + Handle)) -> Option<usize> {
    let is_terminal = output.is_terminal();
    let own = is_terminal.then(|| output.columns()).flatten();
    let set = || std::env::var("COLUMNS").ok()?.parse().ok().filter(|columns| *columns > 0);
    own.or_else(set).or(is_terminal.then_some(USUAL)).map(|columns| columns.max(NARROWEST))
}

/// An output whose terminal can be asked for its size.
pub trait Handle {
    /// Its columns, if it knows them.
    fn columns(&self) -> Option<usize>;
}

impl Handle for io::Stdout {
    fn columns(&self) -> Option<usize> {
        terminal_size::terminal_size_of(self).map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0)
    }
}

impl Handle for io::Stderr {
    fn columns(&self) -> Option<usize> {
        terminal_size::terminal_size_of(self).map(|(width, _)| usize::from(width.0)).filter(|columns| *columns > 0)
    }
}

/// A paragraph on standard output, broken between words. It begins at the first column of `indent`; its further lines are
/// indented by the second.
pub fn paragraph(text: &str, indent: (usize, usize)) -> String {
    wrapped(text, indent, width(&io::stdout()))
}

/// The same, for this width. A word that is longer than a line stays whole, so that it can be copied.
pub fn wrapped(text: &str, (begins_at, indent): (usize, usize), width: Option<usize>) -> String {
    let Some(width) = width else { return text.to_owned() };
    // Where little is left beside the indentation, none is better.
    let indent = if indent + NARROWEST > width { 0 } else { indent };
    let (mut out, mut column, mut is_first) = (String::with_capacity(text.len()), begins_at, true);
    for word in text.split(' ') {
        let columns = word.width();
        if is_first {
            is_first = false;
        } else if column + 1 + columns > width {
            out.push('\n');
            out.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        } else {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += columns;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::wrapped;

    #[test]
    fn lines_are_broken_between_words_and_long_words_stay_whole() {
        let text = "ok  a sentence of several words, and https://example.com/a/long/address at its end";
        let lines = wrapped(text, (0, 4), Some(30));
        assert_eq!(
            lines,
            "ok  a sentence of several\n    words, and\n    https://example.com/a/long/address\n    at its end"
        );
        assert_eq!(wrapped(text, (0, 4), None), text);
        // Characters of two columns.
        assert_eq!(wrapped("取消 取消 取消 取消 取消", (0, 0), Some(20)), "取消 取消 取消 取消\n取消");
    }
}
