//! Judges an argument by its name: an amount, something else, or neither.

/// Words in names of amounts.
const AMOUNT: &[&str] = &[
    "amount", "amounts", "price", "prices", "cost", "costs", "total", "sum", "usd", "eur", "gbp", "dollars", "dollar",
    "cents", "euros", "payment", "pay", "spend", "budget", "fee", "fees", "charge", "money", "deposit", "withdrawal",
    "transfer", "bid", "tip", "value", "subtotal", "balance", "salary", "invoice", "refund", "max_price",
];
/// Words in names of numbers that are no amounts.
const OTHER: &[&str] = &[
    "id", "ids", "uid", "uuid", "limit", "count", "page", "pages", "offset", "cursor", "size", "width", "height",
    "depth", "length", "port", "year", "month", "day", "days", "hour", "hours", "minute", "minutes", "second",
    "seconds", "ms", "time", "timestamp", "date", "since", "until", "timeout", "ttl", "index", "line", "lines",
    "column", "row", "rows", "version", "latitude", "longitude", "lat", "lon", "lng", "zoom", "seed", "temperature",
    "tokens", "top", "retries", "attempts", "number", "issue", "zip", "phone", "start", "end", "from", "position",
    "bytes", "level", "quality", "radius", "angle", "per",
];

/// The words of a name, whatever its style (camel case, snake case and others).
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for c in name.chars() {
        let begins = !c.is_alphanumeric() || (c.is_uppercase() && was_lower);
        if begins && words.last().is_some_and(|word| !word.is_empty()) {
            words.push(String::new());
        }
        was_lower = c.is_lowercase();
        if let (true, Some(word)) = (c.is_alphanumeric(), words.last_mut()) {
            word.extend(c.to_lowercase());
        }
    }
    words
}

/// Whether a name is that of an amount.
pub fn is_amount(name: &str) -> bool {
    words(name).iter().any(|word| AMOUNT.contains(&word.as_str()))
}

pub(super) fn is_other(name: &str) -> bool {
    !is_amount(name) && words(name).iter().any(|word| OTHER.contains(&word.as_str()))
}
