//! The last step before a page is rendered. Pages build all forms; this removes those that the person's key may not send, and
//! fills a form that failed with what was sent and its error.

use super::{
    act::Fields,
    text,
    view::{Field, Form, Inline, Input, Page, Part, Problem, Table},
};
use crate::error::Error;

/// A form that was sent, for the page that it stands on.
pub struct Refill {
    /// The operation that it called.
    pub operation: &'static str,
    /// What it held.
    pub fields: Fields,
    /// Why it was not carried out; none after a trial.
    pub error: Option<Error>,
}

/// Removes the forms whose operations the person may not call, and columns that only held such forms.
pub fn offer(page: &mut Page, may: impl Fn(&str) -> bool) {
    let is_offered = |form: &mut Form| {
        form.other.take_if(|other| !may(other.operation));
        if may(form.operation) {
            return true;
        }
        let Some(other) = form.other.take() else { return false };
        (form.operation, form.action, form.button) = (other.operation, other.action, other.button);
        true
    };
    let keep = |inlines: &mut Vec<Inline>| {
        inlines.retain_mut(|inline| if let Inline::Form(form) = inline { is_offered(form) } else { true });
    };
    for section in &mut page.sections {
        section.parts.retain_mut(|part| {
            match part {
                Part::Form(form) => return is_offered(form),
                Part::Text(inlines) => keep(inlines),
                Part::Facts(facts) => facts.iter_mut().for_each(|(_, value)| keep(value)),
                Part::Table(table) => {
                    table.rows.iter_mut().flatten().for_each(keep);
                    drop_empty_column(table);
                }
                _ => {}
            }
            true
        });
    }
}

/// The last column has no name where it is for buttons.
fn drop_empty_column(table: &mut Table) {
    let is_empty =
        table.header.last() == Some(&"") && table.rows.iter().all(|row| row.last().is_none_or(Vec::is_empty));
    if is_empty {
        table.header.pop();
        let columns = table.header.len();
        table.rows.iter_mut().for_each(|row| row.truncate(columns));
    }
}

/// Fills in the form that was sent. If the page no longer has it, the error stands at the top of the page.
pub fn refill(page: &mut Page, sent: &Refill) {
    // Of several forms for the operation, the one with the fewest fields that has all that were sent.
    let found = forms(page).into_iter().filter(|form| fits(form, sent)).min_by_key(|form| form.fields.len());
    let Some(form) = found else {
        page.alert = sent.error.as_ref().map(|error| sentence(error, None));
        return;
    };
    let wrong = sent.error.as_ref().and_then(|error| error.field.as_deref());
    for field in &mut form.fields {
        field.wrong = wrong == Some(field.name);
        if !matches!(field.input, Input::Hidden | Input::Secret | Input::Key) {
            sent.fields.text(field.name).as_str().clone_into(&mut field.value);
        }
    }
    if let Some(error) = &sent.error {
        let field = form.fields.iter().find(|field| field.wrong);
        let numbered = field.map(numbered).unwrap_or_default();
        form.problem = Some(Problem { message: sentence(error, field), numbered });
    }
}

fn forms(page: &mut Page) -> Vec<&mut Form> {
    let mut all = Vec::new();
    for part in page.sections.iter_mut().flat_map(|section| &mut section.parts) {
        match part {
            Part::Form(form) => all.push(form),
            Part::Table(table) => all.extend(table.rows.iter_mut().flatten().flatten().filter_map(form_in)),
            Part::Text(inlines) => all.extend(inlines.iter_mut().filter_map(form_in)),
            _ => {}
        }
    }
    all
}

fn form_in(inline: &mut Inline) -> Option<&mut Form> {
    if let Inline::Form(form) = inline { Some(form) } else { None }
}

fn fits(form: &Form, sent: &Refill) -> bool {
    let calls =
        form.operation == sent.operation || form.other.as_ref().is_some_and(|other| other.operation == sent.operation);
    let has = |name: &str| form.fields.iter().any(|field| field.name == name);
    let is_same = |field: &Field| !matches!(field.input, Input::Hidden) || *sent.fields.text(field.name) == field.value;
    calls && sent.fields.names().all(has) && form.fields.iter().all(is_same)
}

/// What was wrong, with the name of the field for people.
pub fn sentence(error: &Error, field: Option<&Field>) -> String {
    let message = text::lines(&error.message);
    let end = if message.ends_with(['.', '!', '?']) { "" } else { "." };
    let name = field.map(|field| field.label).or(error.field.as_deref());
    if let Some(name) = name {
        return format!("{}: {message}{end}", text::shown(name));
    }
    let mut letters = message.chars();
    let first: String = letters.next().into_iter().flat_map(char::to_uppercase).collect();
    format!("{first}{}{end}", letters.as_str())
}

/// A text of several lines with their numbers, which a message may name.
fn numbered(field: &Field) -> String {
    if !matches!(field.input, Input::Lines) || field.value.is_empty() {
        return String::new();
    }
    let lines: Vec<_> = field.value.lines().zip(1..).map(|(line, number)| format!("{number:>4}  {line}")).collect();
    text::lines(&lines.join("\n"))
}
