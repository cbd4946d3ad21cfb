//! Tables within the width of a terminal.
//!
//! A table that fits has one line per row. In one that is too wide, cells are broken, between words and after commas where
//! possible; where columns would be too narrow to read, each row becomes a list of its fields. Empty columns are left out.
//! Elsewhere than at a terminal a table has all columns, and one line per row, however long.

use std::io;

use comfy_table::{CellAlignment, Table, presets};

use super::{
    CommandError,
    layout::{pieces, width, wrapped, wrapped_cell},
    line, printable,
    styled::columns,
};

/// Spaces between two columns.
const GAP: usize = 2;
/// The widths that columns of a table that is too wide keep. With the second, ids are broken as well.
const COMFORTABLE: usize = 10;
const NARROWEST: usize = 8;

/// Writes a table. Cells hold text that agents chose, so nothing in them reaches the terminal as a command.
pub fn table(header: &[&str], rows: &[Vec<String>]) -> Result<(), CommandError> {
    let rows: Vec<Vec<String>> = rows.iter().map(|row| row.iter().map(|cell| printable(cell)).collect()).collect();
    for row in laid_out(header, &rows, width(&io::stdout())) {
        line(&row)?;
    }
    Ok(())
}

/// Whether a table fits into this width without a cell being broken.
pub fn fits_whole(header: &[&str], rows: &[Vec<String>], width: usize) -> bool {
    let (header, rows) = without_empty(header, rows);
    fits(&natural_widths(&header, &rows), width)
}

/// The lines of a table.
fn laid_out(header: &[&str], rows: &[Vec<String>], width: Option<usize>) -> Vec<String> {
    let Some(width) = width else { return drawn(header, rows, &natural_widths(header, rows)) };
    let (header, rows) = without_empty(header, rows);
    match widths(&header, &rows, width) {
        Some(widths) => drawn(&header, &rows, &widths),
        None => records(&header, &rows, width),
    }
}

/// The columns that have something in a row.
fn without_empty<'a>(header: &[&'a str], rows: &[Vec<String>]) -> (Vec<&'a str>, Vec<Vec<String>>) {
    let is_shown = |column: &usize| rows.is_empty() || rows.iter().any(|row| !cell(row, *column).is_empty());
    let shown: Vec<usize> = (0..header.len()).filter(is_shown).collect();
    let rows = rows.iter().map(|row| shown.iter().map(|column| cell(row, *column).to_owned()).collect()).collect();
    (shown.iter().filter_map(|column| header.get(*column).copied()).collect(), rows)
}

fn cell(row: &[String], column: usize) -> &str {
    row.get(column).map(String::as_str).unwrap_or_default()
}

fn fits(widths: &[usize], width: usize) -> bool {
    widths.iter().sum::<usize>() + GAP * widths.len().saturating_sub(1) <= width
}

fn natural_widths(header: &[&str], rows: &[Vec<String>]) -> Vec<usize> {
    let widest = |column: usize| rows.iter().map(|row| columns(cell(row, column))).max().unwrap_or_default();
    header.iter().enumerate().map(|(column, name)| columns(name).max(widest(column))).collect()
}

/// The widths of the columns, so that the table fits; `None` if they would be too narrow.
fn widths(header: &[&str], rows: &[Vec<String>], width: usize) -> Option<Vec<usize>> {
    let natural = natural_widths(header, rows);
    if fits(&natural, width) {
        return Some(natural);
    }
    let longest_piece = |column: usize, name: &str| {
        let cells = rows.iter().map(|row| cell(row, column)).chain([name]);
        cells.flat_map(pieces).map(|piece| columns(piece.trim_end())).max().unwrap_or_default()
    };
    let whole: Vec<usize> = header.iter().enumerate().map(|(column, name)| longest_piece(column, name)).collect();
    // Whole pieces everywhere; then the first column's alone, which mostly is an id; then the least.
    let comfortable = |(column, whole): (usize, &usize)| if column == 0 { *whole } else { (*whole).min(COMFORTABLE) };
    let narrow: Vec<usize> = whole.iter().enumerate().map(comfortable).collect();
    let narrowest: Vec<usize> = whole.iter().map(|whole| (*whole).min(NARROWEST)).collect();
    let (least, most) = [(&whole, &natural), (&narrow, &whole), (&narrowest, &narrow)]
        .into_iter()
        .find(|(least, _)| fits(least, width))?;
    // The level up to which every column gets what it wants: the widest ones give way first.
    let at = |level: usize| -> Vec<usize> {
        least.iter().zip(most).map(|(least, most)| (*least).max(level.min(*most))).collect()
    };
    let level = (0..width).take_while(|level| fits(&at(*level), width)).last().unwrap_or_default();
    Some(at(level))
}

/// The table with these widths.
fn drawn(header: &[&str], rows: &[Vec<String>], widths: &[usize]) -> Vec<String> {
    let mut table = Table::new();
    let broken = |text: &str, column: usize| {
        let width = widths.get(column).copied().unwrap_or(usize::MAX);
        wrapped_cell(text, width, width).join("\n")
    };
    let names: Vec<_> = header.iter().enumerate().map(|(column, name)| broken(name, column)).collect();
    table.load_style(presets::NOTHING).set_header(names);
    for row in rows {
        table.add_row(row.iter().enumerate().map(|(column, cell)| broken(cell, column)).collect::<Vec<_>>());
    }
    for column in 0..header.len() {
        let is_number = rows.iter().any(|row| is_amount(cell(row, column)))
            && rows.iter().all(|row| cell(row, column).is_empty() || is_amount(cell(row, column)));
        if let Some(column) = table.column_mut(column).filter(|_| is_number) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    // Without the space around the table. The first column may be empty, so that only the padding goes in front.
    table.lines().map(|line| line.strip_prefix(' ').unwrap_or(&line).trim_end().to_owned()).collect()
}

/// Whether a cell is a number or an amount, with what may stand behind it.
fn is_amount(cell: &str) -> bool {
    cell.starts_with("$ ") || (!cell.is_empty() && cell.chars().all(|c| c.is_ascii_digit() || ",.%".contains(c)))
}

/// Each row as a list of its fields that are not empty.
fn records(header: &[&str], rows: &[Vec<String>], width: usize) -> Vec<String> {
    let names = header.iter().map(|name| columns(name)).max().unwrap_or_default();
    let mut lines = Vec::new();
    for (place, row) in rows.iter().enumerate() {
        if place > 0 {
            lines.push(String::new());
        }
        for (name, cell) in header.iter().zip(row).filter(|(_, cell)| !cell.is_empty()) {
            let field = format!("{name}{}  {cell}", " ".repeat(names - columns(name)));
            lines.extend(wrapped(&field, (0, names + 2), Some(width)).lines().map(|line| line.trim_end().to_owned()));
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [&str; 3] = ["KEY", "REASON", "AT"];

    fn row(cells: [&str; 3]) -> Vec<String> {
        cells.map(str::to_owned).to_vec()
    }

    fn rows() -> Vec<Vec<String>> {
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
        assert!(fits_whole(&HEADER, &rows(), 80) && !fits_whole(&HEADER, &rows(), 60));
    }

    #[test]
    fn a_table_that_is_too_wide_is_broken_between_words() {
        let lines = laid_out(&HEADER, &rows(), Some(50));
        assert!(lines.iter().all(|line| columns(line) <= 50) && lines.len() > 3, "{lines:#?}");
        let words: Vec<_> = lines.iter().flat_map(|line| line.split_whitespace()).collect();
        for cell in rows().iter().flatten() {
            assert!(cell.split_whitespace().all(|word| words.contains(&word)), "{cell} in {lines:#?}");
        }
    }

    #[test]
    fn a_table_stays_one_with_long_words_which_are_broken_behind_commas_and_the_first_column_last() {
        let id = "ses_7QngysoIEvGaPOxlVku1WvEJ5V1G1Q9u";
        let rows = vec![row([id, "audit:read,sessions:read,payments:write,admin:write", &"x".repeat(40)])];
        let lines = laid_out(&HEADER, &rows, Some(64));
        assert!(lines[0].starts_with("KEY  ") && lines.iter().all(|line| columns(line) <= 64), "{lines:#?}");
        assert!(lines[1].starts_with(id) && lines.len() > 2, "{lines:#?}");
        let shown: String = lines[1..].iter().map(|line| line.get(38..).unwrap_or_default()).collect();
        assert_eq!(shown.matches('x').count(), 40, "{lines:#?}");
        let wider = laid_out(&HEADER, &rows, Some(100));
        assert!(wider.iter().any(|line| line.contains("audit:read,  ")), "broken behind a comma: {wider:#?}");
    }

    #[test]
    fn where_columns_would_be_too_narrow_each_row_is_a_list() {
        let lines = laid_out(&HEADER, &rows(), Some(25));
        let expected = "KEY     hld_one\nREASON  a reason of\nseveral words that is\nrather long\nAT\n\
                        2026-11-29T10:00:00Z\n\nREASON  short\nAT\n2026-11-29T10:00:00Z";
        assert_eq!(lines.join("\n"), expected);
    }

    #[test]
    fn empty_columns_are_left_out_at_a_terminal_alone_and_amounts_stand_at_the_right() {
        let rows = vec![row(["a", "", "$ 1.50"]), row(["b", "", "$ 1,200.00 of $ 5,000.00"]), row(["c", "", ""])];
        let lines = laid_out(&HEADER, &rows, Some(80));
        assert_eq!(lines[0], format!("KEY  {:>24}", "AT"));
        assert_eq!(lines[1..3], [format!("a    {:>24}", "$ 1.50"), "b    $ 1,200.00 of $ 5,000.00".to_owned()]);
        assert!(laid_out(&HEADER, &rows, None)[0].contains("REASON"));
    }

    #[test]
    fn an_empty_first_cell_keeps_its_column() {
        let rows = vec![vec![String::new(), "b".to_owned()], vec!["a".to_owned(), "c".to_owned()]];
        let lines = laid_out(&["ONE", "TWO"], &rows, None);
        assert_eq!(lines[1].find('b'), lines[0].find("TWO"), "{lines:?}");
    }
}
