//! Reads numbers and strings as amounts. A string counts only if every reader reads the same amount: `1,000` is a thousand to
//! some tools and one to others.

use std::net::Ipv4Addr;

use unicode_normalization::UnicodeNormalization;

use crate::model::Money;

/// The reading of a number or a string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// This amount, without its sign: a negative amount moves money too.
    Amount(Money),
    /// A string that tools would read as different amounts.
    Unclear,
    /// A string that is no amount.
    Text,
}

/// The most letters in a string that may be an amount: more make a sentence.
const MAX_LETTERS: usize = 16;
/// Hexadecimal digits that programs read as a number; longer ones are digests and addresses.
const MAX_HEX_DIGITS: usize = 16;
/// Digits of each group but the first in a number with groups.
const GROUP: usize = 3;

/// Letters before a dollar sign that name the currency: `US$`, `A$`.
const MAX_COUNTRY_LETTERS: usize = 2;

/// Words that turn a number into an amount: the currencies that are traded most (Bank for International Settlements, triennial
/// survey of 2022), and multiples.
const WORDS: &[&str] = &[
    "usd", "eur", "jpy", "gbp", "cny", "aud", "cad", "chf", "hkd", "sgd", "sek", "krw", "nok", "nzd", "inr", "mxn",
    "twd", "zar", "brl", "dkk", "pln", "thb", "ils", "idr", "czk", "aed", "try", "huf", "clp", "sar", "php", "myr",
    "cop", "rub", "ron", "pen", "bhd", "bgn", "ars", "btc", "eth", "usdt", "usdc", "dollar", "dollars", "euro",
    "euros", "pound", "pounds", "yen", "cent", "cents", "fr", "kr", "hundred", "thousand", "million", "millions",
    "billion", "mio", "mrd", "mn", "bn",
];

/// A JSON number. One with too many decimals, or too large, counts as the next amount above.
pub(super) fn number(text: &str) -> Read {
    let text = text.strip_prefix('-').unwrap_or(text);
    Read::Amount(text.parse().unwrap_or_else(|_| beyond(text)))
}

/// A string: an amount if it is a plain decimal, such as `29.99`.
pub(super) fn text(text: &str) -> Read {
    let text = text.trim();
    let plain = text.strip_prefix('-').unwrap_or(text);
    if is_plain(plain) {
        return plain.parse().map_or(Read::Unclear, Read::Amount);
    }
    if looks_like_an_amount(text) { Read::Unclear } else { Read::Text }
}

/// Digits, perhaps with a point and more digits.
fn is_plain(text: &str) -> bool {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
    [whole, decimals].iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()))
}

fn beyond(text: &str) -> Money {
    let number: f64 = text.parse().unwrap_or(f64::INFINITY);
    if number < 9.0e9 {
        format!("{number:.9}")
            .parse::<Money>()
            .map_or(Money::MOST, |rounded| rounded.saturating_add(Money::from_nanos(1)))
    } else {
        Money::MOST
    }
}

/// Whether a string is one number with nothing but signs, currencies, separators and an exponent.
fn looks_like_an_amount(text: &str) -> bool {
    let letters = text.chars().filter(|letter| letter.is_alphabetic());
    if letters.take(MAX_LETTERS + 1).count() > MAX_LETTERS || text.parse::<Ipv4Addr>().is_ok() {
        return false;
    }
    let text: Vec<char> = text.nfkc().collect();
    let Some(rest) = number_at(around(&text)) else { return false };
    around(rest).is_empty()
}

/// The rest after signs, currencies and white space at the beginning.
fn around(mut text: &[char]) -> &[char] {
    while let Some(first) = text.first() {
        let length = if first.is_alphabetic() {
            let length = text.iter().take_while(|letter| letter.is_alphabetic()).count();
            let word: String = text[..length].iter().flat_map(|letter| letter.to_lowercase()).collect();
            let is_dollar = length <= MAX_COUNTRY_LETTERS && text.get(length) == Some(&'$');
            if is_dollar || WORDS.contains(&word.as_str()) { length } else { 0 }
        } else {
            usize::from(first.is_whitespace() || is_mark(*first))
        };
        if length == 0 {
            break;
        }
        text = &text[length..];
    }
    text
}

/// A sign, a parenthesis around a negative amount, or a currency: `$`, cent to yen, and the block of currency symbols.
fn is_mark(letter: char) -> bool {
    matches!(letter, '+' | '-' | '\u{2212}' | '(' | ')' | '.' | '$' | '\u{a2}'..='\u{a5}' | '\u{20a0}'..='\u{20cf}')
}

/// The rest after the number that begins this text; `None` if there is no number.
fn number_at(text: &[char]) -> Option<&[char]> {
    let run = |text: &[char]| text.iter().take_while(|digit| digit.is_numeric()).count();
    let first = run(text);
    if first == 0 {
        return None;
    }
    if let ['0', 'x' | 'X', rest @ ..] = text {
        let digits = rest.iter().take_while(|digit| digit.is_ascii_hexdigit()).count();
        return (1..=MAX_HEX_DIGITS).contains(&digits).then(|| &rest[digits..]);
    }
    let mut rest = &text[first..];
    let mut groups: Vec<(char, usize)> = Vec::new();
    while let [separator, digits @ ..] = rest
        && is_separator(*separator)
        && run(digits) > 0
    {
        let length = run(digits);
        groups.push((*separator, length));
        rest = &digits[length..];
    }
    let underlined = groups.iter().all(|(separator, _)| *separator == '_');
    if !underlined && let Some(((last, length), before)) = groups.split_last() {
        let is_decimal = matches!(last, '.' | ',' | '\u{66b}') && before.iter().all(|(separator, _)| separator != last);
        let grouped = before.iter().all(|(_, length)| *length == GROUP);
        if !grouped || !(is_decimal || *length == GROUP) {
            return None;
        }
    }
    Some(after_exponent(rest))
}

/// A point, a comma, an apostrophe, a space, or an underscore, between digits; also those of Arabic.
fn is_separator(letter: char) -> bool {
    matches!(letter, '.' | ',' | '\'' | '\u{2019}' | '_' | '\u{66b}' | '\u{66c}') || letter.is_whitespace()
}

fn after_exponent(text: &[char]) -> &[char] {
    let ['e' | 'E', rest @ ..] = text else { return text };
    let rest = rest.strip_prefix(&['+']).or_else(|| rest.strip_prefix(&['-'])).unwrap_or(rest);
    match rest.iter().take_while(|digit| digit.is_numeric()).count() {
        0 => text,
        digits => &rest[digits..],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_some_tools_read_as_an_amount_is_told_from_other_texts() {
        for unclear in [
            "EUR 100", "eur100", "100$", "$100", "US$ 100", "100 USD", "100\u{20ac}", "100 euros", "+100", "1,000",
            "1.000,50", "1'000", "1 000 000", "1.000.000", "1_000", "1_0", "1e3", "1E+3", "0x64", "(100)", "5 million",
            "\u{ff11}\u{ff10}", "\u{661}\u{660}", "1,5", ".5", "\u{2212}5", "0.0000000001", "99999999999",
        ] {
            assert_eq!(text(unclear), Read::Unclear, "{unclear}");
        }
        for other in [
            "",
            "nan",
            "a lot",
            "buy 500 things",
            "2026-11-30",
            "10:30",
            "1.2.3",
            "10.0.0.1",
            "192.168.100.200",
            "1,2,3",
            "a1",
            "RFC 8259",
            "ABC-123",
            "5 items",
            "50 %",
            "+1 555 123 4567",
            "0x52908400098527886E0F7827069BeBc3",
            "sha256",
            "1-2",
            "52.52, 13.40",
            "https://example.com/1",
        ] {
            assert_eq!(text(other), Read::Text, "{other}");
        }
        for (plain, amount) in
            [("100", "100"), (" 29.990 ", "29.99"), ("-5", "5"), ("007", "7"), ("0.000000001", "0.000000001")]
        {
            assert_eq!(text(plain), Read::Amount(amount.parse().unwrap()), "{plain}");
        }
        assert_eq!(number("1e3"), Read::Amount(Money::from_units(1_000)));
        assert_eq!((number("1e300"), number("-1e300")), (Read::Amount(Money::MOST), Read::Amount(Money::MOST)));
    }
}
