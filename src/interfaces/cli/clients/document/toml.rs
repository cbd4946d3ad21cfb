//! TOML, and where in the text each value stands.

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{MAX_DEPTH, Member, Node, Value};

/// Reads a document.
pub fn parse(text: &str) -> Result<Node, String> {
    let table = DeTable::parse(text).map_err(|error| error.to_string())?;
    let span = table.span();
    Ok(Node { span, value: object(table.get_ref(), 0)? })
}

fn object(table: &DeTable<'_>, depth: usize) -> Result<Value, String> {
    let members = table.iter().map(|(name, value)| {
        Ok(Member { name: name.get_ref().to_string(), key: name.span(), value: node(value, depth)? })
    });
    Ok(Value::Object(members.collect::<Result<_, String>>()?))
}

fn node(value: &Spanned<DeValue<'_>>, depth: usize) -> Result<Node, String> {
    if depth > MAX_DEPTH {
        return Err(format!("more than {MAX_DEPTH} levels"));
    }
    let read = match value.get_ref() {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Array(items) => {
            let items = items.iter().map(|item| node(item, depth + 1)).collect::<Result<_, _>>()?;
            Value::Array { items, is_block: false }
        }
        DeValue::Table(table) => object(table, depth + 1)?,
        _ => Value::Other,
    };
    Ok(Node { span: value.span(), value: read })
}
