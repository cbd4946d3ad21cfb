//! How a server's entry is rewritten, in the form and the layout that it has.

use crate::interfaces::cli::clients::{
    change::Edit,
    document::{Format, Node, Value, quoted},
    launch::LaunchCommand,
};

fn joined(words: &[String], separator: &str) -> String {
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(separator)
}

/// What stands between the items of an array.
fn separator(text: &str, items: &[Node], is_block: bool) -> String {
    let Some(first) = items.first().filter(|_| is_block) else { return ", ".to_owned() };
    let line = text[..first.span.start].rfind('\n').map_or(0, |end| end + 1);
    let indent: String = text[line..first.span.start].chars().map(|c| if c == '-' { ' ' } else { c }).collect();
    let dash = text[line..first.span.start].rfind('-').unwrap_or(0);
    format!("\n{}- ", &indent[..dash])
}

/// Puts these words in front of the program of a server.
pub fn insert(
    text: &str,
    format: Format,
    launch: &LaunchCommand<'_>,
    program: &str,
    before: &[String],
    edits: &mut Vec<Edit>,
) {
    match launch {
        LaunchCommand::Together { words } => {
            let Value::Array { items, is_block } = &words.value else { return };
            let words: Vec<_> = std::iter::once(program.to_owned()).chain(before.iter().cloned()).collect();
            let text = joined(&words, &separator(text, items, *is_block));
            edits.push(Edit { span: items[0].span.clone(), text });
        }
        LaunchCommand::Apart { program: old, arguments, object } => {
            edits.push(Edit { span: old.span.clone(), text: quoted(program) });
            edits.push(match arguments.map(|arguments| (arguments, &arguments.value)) {
                Some((arguments, Value::Array { items, is_block })) => match items.first() {
                    // Before the first argument, whatever stands between it and the bracket.
                    Some(first) => {
                        let separator = separator(text, items, *is_block);
                        let at = first.span.start;
                        Edit { span: at..at, text: joined(before, &separator) + &separator }
                    }
                    None => Edit { span: arguments.span.clone(), text: format!("[{}]", joined(before, ", ")) },
                },
                _ => new_arguments(text, format, old, object, &joined(before, ", ")),
            });
        }
    }
}

/// Arguments for an entry that has none.
fn new_arguments(text: &str, format: Format, program: &Node, object: &Node, words: &str) -> Edit {
    let line = text[..program.span.start].rfind('\n').map_or(0, |end| end + 1);
    let before = &text[line..program.span.start];
    let is_inline = match format {
        Format::Json => true,
        // In an inline table the line begins with another key, or with the table's own.
        Format::Toml => !before.trim_start().trim_start_matches(['"', '\'']).starts_with("command"),
        Format::Yaml => text[object.span.start..].starts_with('{'),
    };
    let name = match format {
        Format::Json => "\"args\": ",
        Format::Toml => "args = ",
        Format::Yaml => "args: ",
    };
    if is_inline {
        return Edit { span: program.span.end..program.span.end, text: format!(", {name}[{words}]") };
    }
    let indent: String = before.chars().take_while(|c| matches!(c, ' ' | '\t' | '-')).collect();
    let end = text[program.span.end..].find(['\r', '\n']).map_or(text.len(), |end| program.span.end + end);
    Edit { span: end..end, text: format!("\n{}{name}[{words}]", indent.replace('-', " ")) }
}

/// Takes away all words before the program at `place`.
pub fn remove(text: &str, launch: &LaunchCommand<'_>, program: &str, place: usize, edits: &mut Vec<Edit>) {
    match launch {
        LaunchCommand::Together { words } => {
            if let Some(items) = words.items() {
                edits.push(Edit { span: items[0].span.start..items[place].span.start, text: String::new() });
            }
        }
        LaunchCommand::Apart { program: ours, arguments, .. } => {
            edits.push(Edit { span: ours.span.clone(), text: quoted(program) });
            let Some(Node { value: Value::Array { items, is_block }, span }) = arguments else { return };
            // The program is the first of the words, and no argument.
            let edit = match (items.get(place), items.last()) {
                (Some(rest), _) => Edit { span: items[0].span.start..rest.span.start, text: String::new() },
                (None, Some(last)) if *is_block => {
                    let dash = text[..items[0].span.start].rfind('-').unwrap_or(items[0].span.start);
                    Edit { span: dash..last.span.end, text: "[]".to_owned() }
                }
                _ => Edit { span: span.clone(), text: "[]".to_owned() },
            };
            edits.push(edit);
        }
    }
}
