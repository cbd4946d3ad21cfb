//! Bounds the size and depth of a policy set. Parsers and evaluators of deep expressions recurse; the counts here, before they
//! run, bound their stacks.

use super::{FIELD, MAX_BYTES};
use crate::error::{Error, Result};

/// Cedar policies in one set.
pub const MAX_STATEMENTS: usize = 200;
/// Arguments that one set uses.
pub const MAX_ASKED: usize = 64;
/// Wildcards and other characters in one pattern of `like`, and characters in all patterns together: the time to match a
/// hostile text grows with them.
pub const MAX_WILDCARDS: usize = 8;
pub const MAX_PATTERN_CHARS: usize = 128;
pub const MAX_PATTERNS_CHARS: usize = 1_024;
/// Look-alike names in forbids: a call is evaluated under each of them.
pub const MAX_ALIKE: usize = 8;
/// The deepest nesting of brackets.
const MAX_DEPTH: usize = 32;
/// Operators in one Cedar policy: a chain of them is as deep as it is long.
const MAX_OPERATORS: usize = 250;

/// Refuses a text that is too large or too deep to be parsed.
pub fn check(text: &str) -> Result<()> {
    let refused = |what: String| Err(Error::invalid(FIELD, what));
    if text.len() > MAX_BYTES {
        return refused(format!("a Cedar policy set has at most {MAX_BYTES} bytes, this has {}", text.len()));
    }
    let (mut depth, mut operators) = (0_usize, 0_usize);
    let mut rest = text.char_indices().peekable();
    let mut word = String::new();
    while let Some((at, c)) = rest.next() {
        if c.is_alphanumeric() || c == '_' {
            word.push(c);
            continue;
        }
        operators += usize::from(is_operator(&std::mem::take(&mut word)));
        let next = rest.peek().map(|(_, next)| *next);
        match c {
            '"' => skip_text(&mut rest),
            '/' if next == Some('/') => while rest.next_if(|(_, c)| *c != '\n').is_some() {},
            '(' | '[' | '{' => depth += 1,
            ')' | ']' | '}' => depth = depth.saturating_sub(1),
            ';' => operators = 0,
            '&' | '|' | '+' | '-' | '*' | '.' | '!' | '<' | '>' | '=' => operators += 1,
            _ => {}
        }
        if depth > MAX_DEPTH {
            return refused(format!("{}: brackets must not be nested deeper than {MAX_DEPTH} levels", place(text, at)));
        }
        // Most operators have two characters.
        if operators > 2 * MAX_OPERATORS {
            return refused(format!("{}: more than {MAX_OPERATORS} operators in one Cedar policy", place(text, at)));
        }
    }
    Ok(())
}

fn is_operator(word: &str) -> bool {
    matches!(word, "if" | "then" | "else" | "in" | "is" | "has" | "like" | "when" | "unless")
}

/// Skips to the end of a quoted string.
fn skip_text(rest: &mut std::iter::Peekable<std::str::CharIndices<'_>>) {
    while let Some((_, c)) = rest.next() {
        match c {
            '\\' => drop(rest.next()),
            '"' => return,
            _ => {}
        }
    }
}

/// Line and column of a byte, from 1.
pub fn place(text: &str, at: usize) -> String {
    let before = text.get(..at).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
    format!("line {line}, column {column}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_large_or_too_deep_is_refused_before_it_is_parsed() {
        let when = |condition: String| format!("permit (principal, action, resource) when {{ {condition} }};");
        for bad in [
            when(format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000))),
            when(format!("{}true{}", "(".repeat(33), ")".repeat(33))),
            when(vec!["true"; 1_000].join(" && ")),
            when(format!("principal{} == 1", ".a".repeat(1_000))),
            when(format!("{} true", "if true then true else ".repeat(1_000))),
            " ".repeat(MAX_BYTES + 1),
        ] {
            assert_eq!(check(&bad).unwrap_err().field.as_deref(), Some(FIELD), "{}", &bad[..60]);
        }
        let quoted = when(format!("context.hour == 1 /* */ || \"{}\" == \"\\\"[[\"", "[".repeat(100)));
        let commented = format!("// {}\n{}", "[".repeat(100), when(vec!["true"; 100].join(" && ")));
        assert!(check(&quoted).is_ok() && check(&commented).is_ok());
        assert_eq!(place("a\nbc", 3), "line 2, column 2");
    }
}
