//! Tables within the width of a terminal.
//!
//! What fits is one line for each row. What does not is broken between words; where even that is too wide, each row becomes
//! a list of its fields. Nothing is cut off, so that ids can be copied. What is not written to a terminal has one line for
//! each row, however long.

use std::io;

use comfy_table::{ColumnConstraint, ContentArrangement, Table, Width, presets};
use unicode_width::UnicodeWidthStr;

use super::{
    Stop,
    layout::{width, wrapped},
    line, printable,
};

/// Spaces on both sides of a cell.
const PADDING: usize = 2;

/// Writes a table. Cells hold text that agents chose, so nothing in them reaches the terminal as a command.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<(), Stop> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    for row in laid_out(header, &rows, width(&io::stdout())) {
        line(&row)?;
    }
    Ok(())
}

/// The lines of a table.
fn laid_out(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header.to_vec());
    for row in rows {
        table.add_row(row.clone());
    }
    let lines = trimmed(&table);
    let Some(width) = width else { return lines };
    let fits = |lines: &[String]| lines.iter().all(|line| line.width() <= width);
    if fits(&lines) {
        return lines;
    }
    let narrowest: Vec<usize> = (0..header.len()).map(|column| longest_word(header, rows, column) + PADDING).collect();
    if narrowest.iter().sum::<usize>() <= width {
        let bound = |columns: &usize| Width::Fixed(u16::try_from(*columns).unwrap_or(u16::MAX));
        table.set_constraints(narrowest.iter().map(|columns| ColumnConstraint::LowerBoundary(bound(columns))));
        table.set_content_arrangement(ContentArrangement::Dynamic);
        // The space in front of the first column and behind the last is taken away again.
        table.set_width(u16::try_from(width).unwrap_or(u16::MAX));
        let lines = trimmed(&table);
        if fits(&lines) {
            return lines;
        }
    }
    records(header, rows, width)
}

/// Without the space around the table. The first column may be empty, so that only the padding goes in front.
fn trimmed(table: &Table) -> Vec<String> {
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect()
}

/// Columns of the longest word in a column of the table.
fn longest_word(header: &[&str], rows: &[Vec<String>], column: usize) -> usize {
    let cells = rows.iter().filter_map(|row| row.get(column)).map(String::as_str);
    let words = header.get(column).copied().into_iter().chain(cells).flat_map(|cell| cell.split(' '));
    words.map(UnicodeWidthStr::width).max().unwrap_or_default()
}

/// Each row as a list of its fields that are not empty.
fn records(header: &[&str], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let names = header.iter().map(|name| name.width()).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        for (name, cell) in header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let field = format!("{name}{}  {cell}", " ".repeat(names - name.width()));
            lines.extend(wrapped(&field, (0, names + 2), Some(width)).lines().map(|line| line.trim_end().to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 3] = ["KEY", "REASON", "AT"];

    fn rows() -> Vec<Vec<String>> {
        let row = |cells: [&str; 3]| cells.map(str::to_owned).to_vec();
        vec![
            row(["hld_one", "a reason of several words that is rather long", "2026-11-29T10:00:00Z"]),
            row(["", "short", "2026-11-29T10:00:00Z"]),
        ]
    }

    #[test]
    fn a_table_that_fits_has_one_line_for_each_row() {
        let lines = laid_out(&HEADER, &rows(), Some(80));
        assert_eq!(lines.len(), 3);
        assert!(lines[1].starts_with("hld_one  a reason") && lines[1].ends_with("10:00:00Z"), "{lines:?}");
        assert_eq!(lines, laid_out(&HEADER, &rows(), None));
    }

    #[test]
    fn a_table_that_is_too_wide_is_broken_between_words() {
        let lines = laid_out(&HEADER, &rows(), Some(50));
        assert!(lines.iter().all(|line| line.width() <= 50) && lines.len() > 3, "{lines:#?}");
        let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        for cell in rows().iter().flatten() {
            assert!(cell.split_whitespace().all(|word| words.contains(&word)), "{cell} in {lines:#?}");
        }
    }

    #[test]
    fn where_words_do_not_fit_beside_one_another_each_row_is_a_list() {
        let lines = laid_out(&HEADER, &rows(), Some(30));
        let expected = "KEY     hld_one\nREASON  a reason of several\n        words that is rather\n        long\nAT      \
                        2026-11-29T10:00:00Z\n\nREASON  short\nAT      2026-11-29T10:00:00Z";
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn an_empty_first_cell_keeps_its_column() {
        let rows = vec![vec![String::new(), "b".to_owned()], vec!["a".to_owned(), "c".to_owned()]];
        let lines = laid_out(&["ONE", "TWO"], &rows, None);
        assert_eq!(lines[1].find('b'), lines[0].find("TWO"), "{lines:?}");
    }
}
