//! Text within the width of a terminal. What is not written to a terminal is not broken, so that scripts find each row and
//! each sentence in one line; `COLUMNS` sets a width for it.

use std::io::{self, IsTerminal};

use unicode_width::UnicodeWidthStr;

use super::styled::{broken, columns};

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
    // No indentation where it would leave too little space.
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

/// The pieces that a text is broken between: words with the space behind them, and what ends with a comma. An amount such as
/// `$ 1,200.00` is one piece.
pub fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (mut end, mut before) = (rest.len(), '\0');
        let mut letters = rest.char_indices().peekable();
        while let Some((at, c)) = letters.next() {
            let next = letters.peek().map(|(_, next)| *next);
            let is_thousands = before.is_ascii_digit() && next.is_some_and(|next| next.is_ascii_digit());
            let may_break = match c {
                ' ' => before != '$' && next != Some(' '),
                ',' => next != Some(' ') && !is_thousands,
                _ => false,
            };
            if may_break {
                end = at + c.len_utf8();
                break;
            }
            before = c;
        }
        let (piece, others) = rest.split_at(end);
        rest = others;
        Some(piece)
    })
}

/// A text in lines, of which the first has its own width. It is broken between pieces, and within one that is longer than a
/// line: nothing is left out but the space at the end of a line.
pub fn wrapped_cell(text: &str, first: usize, others: usize) -> Vec<String> {
    let (mut lines, mut line, mut used) = (Vec::new(), String::new(), 0);
    let mut room = first;
    for piece in pieces(text) {
        let columns = columns(piece.trim_end());
        if used > 0 && used + columns > room {
            lines.push(std::mem::take(&mut line));
            (used, room) = (0, others);
        }
        if columns > room {
            let mut parts = broken(piece, room);
            line = parts.pop().unwrap_or_default();
            if !parts.is_empty() {
                room = others;
            }
            lines.extend(parts);
            used = super::styled::columns(&line);
        } else {
            line.push_str(piece);
            used += super::styled::columns(piece);
        }
    }
    lines.push(line);
    lines.iter().map(|line| line.trim_end().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::{pieces, wrapped, wrapped_cell};

    #[test]
    fn cells_are_broken_between_words_behind_commas_and_else_where_a_line_is_full() {
        let text = r#"{"path":"/tmp/a","amount":"$ 1,200.00"} to be done"#;
        assert_eq!(pieces(text).count(), 5);
        assert_eq!(wrapped_cell(text, 20, 30), [r#"{"path":"/tmp/a","#, r#""amount":"$ 1,200.00"} to be"#, "done"]);
        assert_eq!(wrapped_cell("ses_123456 x", 4, 4), ["ses_", "1234", "56 x"]);
        assert_eq!(wrapped_cell("", 4, 4), [""]);
    }

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
