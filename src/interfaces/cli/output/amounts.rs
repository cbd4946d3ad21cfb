//! Numbers and amounts for people: grouped digits, dollars, shares, bars.

use super::styled::Style;
use crate::model::Money;

/// Columns of a bar.
const BAR: usize = 20;
/// Shares from which a figure is yellow, and from which it is red.
const WARN: f64 = 0.7;
const BAD: f64 = 0.9;
/// Larger than the rounding error of a quotient: 4.6 of 5 is 92 %, not 91.9 %.
const INEXACT: f64 = 1e-6;

/// A number with its digits in groups, such as `4,217`.
pub fn count(number: i64) -> String {
    let digits = number.unsigned_abs().to_string();
    let sign = if number < 0 { "-" } else { "" };
    format!("{sign}{}", grouped(&digits))
}

fn grouped(digits: &str) -> String {
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// An amount, such as `$ 47.30`: in cents, and with more decimals where it has them.
pub fn dollars(amount: Money) -> String {
    let text = amount.to_string();
    let (sign, text) = text.strip_prefix('-').map_or(("", text.as_str()), |rest| ("-", rest));
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    format!("$ {sign}{}.{decimals:0<2}", grouped(whole))
}

/// The same; nothing for a request or an entry without an amount.
pub fn dollars_or_none(amount: Money) -> String {
    if amount == Money::ZERO { String::new() } else { dollars(amount) }
}

/// One number divided by another; 1 of nothing.
#[allow(clippy::cast_precision_loss)] // For a bar.
pub fn share(part: i64, whole: i64) -> f64 {
    if whole > 0 { part as f64 / whole as f64 } else { 1.0 }
}

/// The same of amounts.
pub fn share_of(part: Money, whole: Money) -> f64 {
    let number = |amount: Money| amount.with_text(|text| text.parse::<f64>().unwrap_or_default());
    let (part, whole) = (number(part), number(whole));
    if whole > 0.0 { part / whole } else { 1.0 }
}

/// A share in percent, rounded down.
pub fn percent(share: f64) -> String {
    format!("{:.1}%", (share * 1_000.0 + INEXACT).floor() / 10.0)
}

/// The style of a share that is near its limit.
pub fn share_style(share: f64) -> Option<Style> {
    match share {
        share if share >= BAD => Some(Style::Bad),
        share if share >= WARN => Some(Style::Warn),
        _ => None,
    }
}

/// A share as a bar, and its colour.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)] // Within 0 to 20.
pub fn bar(share: f64) -> (Style, String) {
    let filled = (share.clamp(0.0, 1.0) * BAR as f64 + INEXACT).floor() as usize;
    // The smallest share shows as one block.
    let filled = if share > 0.0 { filled.max(1) } else { filled }.min(BAR);
    (share_style(share).unwrap_or(Style::Good), format!("{}{}", "█".repeat(filled), "░".repeat(BAR - filled)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_groups_and_amounts_have_cents() {
        assert_eq!([0, 999, 1_000, 4_217, -1_234_567].map(count), ["0", "999", "1,000", "4,217", "-1,234,567"]);
        let shown = ["0", "47.3", "1234567.5", "0.000000001"].map(|text| dollars(text.parse().unwrap()));
        assert_eq!(shown, ["$ 0.00", "$ 47.30", "$ 1,234,567.50", "$ 0.000000001"]);
    }

    #[test]
    fn bars_show_the_least_and_are_full_only_at_the_end() {
        assert_eq!(percent(share(4_217, 50_000)), "8.4%");
        assert_eq!(percent(share(99_999, 100_000)), "99.9%");
        assert_eq!(percent(share_of("4.6".parse().unwrap(), "5".parse().unwrap())), "92.0%");
        let filled = |share: f64| bar(share).1.chars().filter(|c| *c == '█').count();
        assert_eq!([0.0, 0.001, 0.5, 0.999, 1.0, 7.0, f64::NAN].map(filled), [0, 1, 10, 19, 20, 20, 0]);
        assert_eq!([0.1, 0.7, 0.95].map(|share| bar(share).0), [Style::Good, Style::Warn, Style::Bad]);
        assert!((share_of("1.5".parse().unwrap(), "10".parse().unwrap()) - 0.15).abs() < 1e-9);
    }
}
