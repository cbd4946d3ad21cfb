//! YAML, and where in the text each value stands. Only the first document of a file is read, as clients do.

use granit_parser::{Event, Parser, ScalarStyle, Span, StrInput, StructureStyle};

use super::{MAX_DEPTH, Member, Node, Value};

/// Reads a document.
pub fn parse(text: &str) -> Result<Node, String> {
    let mut reader = Reader { events: Parser::new_from_str(text) };
    loop {
        match reader.next()? {
            (Event::DocumentStart(..), _) => return reader.node(0),
            (Event::StreamEnd, _) => return Err("the file is empty: expected a list of servers".to_owned()),
            _ => {}
        }
    }
}

struct Reader<'a> {
    events: Parser<'a, StrInput<'a>>,
}

impl<'a> Reader<'a> {
    /// The next event that is no comment.
    fn next(&mut self) -> Result<(Event<'a>, Span), String> {
        loop {
            let next = self.events.next().ok_or("the end of the document is missing")?;
            match next.map_err(|error| format!("it cannot be read as YAML, expected a list of servers: {error}"))? {
                (Event::Comment(..), _) => {}
                other => return Ok(other),
            }
        }
    }

    fn node(&mut self, depth: usize) -> Result<Node, String> {
        let first = self.next()?;
        self.value(first, depth)
    }

    fn value(&mut self, (event, span): (Event<'a>, Span), depth: usize) -> Result<Node, String> {
        if depth > MAX_DEPTH {
            return Err(format!("more than {MAX_DEPTH} levels"));
        }
        let mut range = span.byte_range().ok_or("a value has no place in the text")?;
        let value = match event {
            Event::Scalar(text, style, ..) => {
                let is_text = style != ScalarStyle::Plain || !is_other(&text);
                if is_text { Value::Text(text.into_owned()) } else { Value::Other }
            }
            Event::SequenceStart(style, ..) => {
                let is_block = style == StructureStyle::Block;
                let mut items = Vec::new();
                loop {
                    match self.next()? {
                        (Event::SequenceEnd, end) => {
                            range.end = end.byte_range().map_or(range.end, |end| end.end);
                            break;
                        }
                        item => items.push(self.value(item, depth + 1)?),
                    }
                }
                Value::Array { items, is_block }
            }
            Event::MappingStart(..) => {
                let mut members = Vec::new();
                loop {
                    match self.next()? {
                        (Event::MappingEnd, end) => {
                            range.end = end.byte_range().map_or(range.end, |end| end.end);
                            break;
                        }
                        key => {
                            let key = self.value(key, depth + 1)?;
                            let value = self.node(depth + 1)?;
                            if let Value::Text(name) = key.value {
                                members.push(Member { name, key: key.span, value });
                            }
                        }
                    }
                }
                Value::Object(members)
            }
            // An alias stands for a value elsewhere, which must not change for this place alone.
            _ => Value::Other,
        };
        Ok(Node { span: range, value })
    }
}

/// Whether a plain scalar is no text by the core schema of YAML 1.2 (section 10.3.2).
fn is_other(text: &str) -> bool {
    matches!(text, "" | "~" | "null" | "Null" | "NULL" | "true" | "True" | "TRUE" | "false" | "False" | "FALSE")
        || text.parse::<f64>().is_ok()
}
