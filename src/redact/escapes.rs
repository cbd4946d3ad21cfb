//! The escapes of single characters: one table. A text is searched again with its escapes decoded, whichever characters an
//! encoder chose to escape.

/// A decoded escape.
#[derive(Clone, Copy)]
pub(super) struct Decoded {
    bytes: [u8; 4],
    length: u8,
    /// Bytes of the escape itself.
    pub(super) taken: u8,
}

impl Decoded {
    fn byte(byte: u8, taken: usize) -> Option<Self> {
        Some(Self { bytes: [byte, 0, 0, 0], length: 1, taken: u8::try_from(taken).ok()? })
    }

    fn letter(letter: char, taken: usize) -> Option<Self> {
        let mut bytes = [0; 4];
        let length = u8::try_from(letter.encode_utf8(&mut bytes).len()).ok()?;
        Some(Self { bytes, length, taken: u8::try_from(taken).ok()? })
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A kind of escape.
struct Escape {
    /// Its first byte.
    start: u8,
    /// Its specification, and programs that write it.
    source: &'static str,
    read: fn(&[u8]) -> Option<Decoded>,
}

/// The first bytes of escapes.
pub(super) const PERCENT: u8 = b'%';
pub(super) const BACKSLASH: u8 = b'\\';
pub(super) const AMPERSAND: u8 = b'&';

/// Of several with the same first byte, the first that can be read applies.
const ESCAPES: &[Escape] = &[
    Escape { start: PERCENT, source: "percent-encoding (RFC 3986, section 2.1), in either case", read: percent },
    Escape { start: PERCENT, source: "%uXXXX: JavaScript's escape() (ECMA-262, annex B.2.1)", read: percent_u },
    Escape {
        start: BACKSLASH,
        source: "a backslash and a letter: JSON (RFC 8259, section 7), C (C11, 6.4.4.4)",
        read: backslash_letter,
    },
    Escape {
        start: BACKSLASH,
        source: "a backslash and a mark: JSON's `\\\"` and `\\/`, `printf %q`, re.escape of Python, Markdown",
        read: backslash_mark,
    },
    Escape {
        start: BACKSLASH,
        source: "\\uXXXX: JSON (RFC 8259, section 7), JavaScript, Java; of `&`, `<`, `>` also by encoding/json of Go, and \
                 of all but ASCII by json of Python",
        read: backslash_u,
    },
    Escape { start: BACKSLASH, source: "\\xXX: C, Python, JavaScript, Rust (C11, 6.4.4.4)", read: backslash_x },
    Escape { start: BACKSLASH, source: "\\ooo: C (C11, 6.4.4.4), paths in git's output", read: octal },
    Escape { start: AMPERSAND, source: "numeric character references (HTML 5, section 13.1.4), XML", read: reference },
    Escape {
        start: AMPERSAND,
        source: "named character references: html.escape of Python and Go, htmlentities of PHP (HTML 4.01, section 24)",
        read: named,
    },
];

/// The escape that begins this text, decoded.
pub(super) fn decoded(text: &[u8]) -> Option<Decoded> {
    let start = *text.first()?;
    for escape in ESCAPES {
        debug_assert!(!escape.source.is_empty());
        if escape.start == start
            && let Some(decoded) = (escape.read)(text)
        {
            return Some(decoded);
        }
    }
    None
}

/// The escape of a JSON string that begins this text (RFC 8259, section 7). Half a surrogate is U+FFFD.
pub(super) fn json_escape(text: &[u8]) -> Option<Decoded> {
    match text.get(1)? {
        b'u' => backslash_u(text),
        _ => backslash_letter(text).or_else(|| backslash_mark(text)),
    }
}

/// The value of so many hexadecimal digits.
fn digits(text: &[u8], from: usize, count: usize) -> Option<u32> {
    let mut sum = 0;
    for digit in text.get(from..from + count)? {
        let value = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            b'A'..=b'F' => digit - b'A' + 10,
            _ => return None,
        };
        sum = sum << 4 | u32::from(value);
    }
    Some(sum)
}

fn percent(text: &[u8]) -> Option<Decoded> {
    Decoded::byte(u8::try_from(digits(text, 1, 2)?).ok()?, 3)
}

fn percent_u(text: &[u8]) -> Option<Decoded> {
    unit_pair(text, *b"%u")
}

fn backslash_u(text: &[u8]) -> Option<Decoded> {
    if text.get(1..3) == Some(b"u{") {
        let length = text.iter().take(10).position(|byte| *byte == b'}')?;
        return Decoded::letter(char::from_u32(digits(text, 3, length.checked_sub(3)?)?)?, length + 1);
    }
    if text.get(1) == Some(&b'U') {
        return Decoded::letter(char::from_u32(digits(text, 2, 8)?)?, 10);
    }
    unit_pair(text, *b"\\u")
}

/// A code unit of UTF-16, or two that are one character.
fn unit_pair(text: &[u8], start: [u8; 2]) -> Option<Decoded> {
    let unit = |from: usize| {
        let is_one = text.get(from..from + 2) == Some(&start[..]);
        is_one.then(|| digits(text, from + 2, 4)).flatten()
    };
    let first = unit(0)?;
    if let Some(letter) = char::from_u32(first) {
        return Decoded::letter(letter, 6);
    }
    let second = unit(6).filter(|second| first < 0xDC00 && (0xDC00..0xE000).contains(second));
    match second {
        Some(second) => Decoded::letter(char::from_u32(0x1_0000 + ((first - 0xD800) << 10) + (second - 0xDC00))?, 12),
        None => Decoded::letter(char::REPLACEMENT_CHARACTER, 6),
    }
}

fn backslash_x(text: &[u8]) -> Option<Decoded> {
    if text.get(1) != Some(&b'x') {
        return None;
    }
    Decoded::byte(u8::try_from(digits(text, 2, 2)?).ok()?, 4)
}

fn octal(text: &[u8]) -> Option<Decoded> {
    let digits = text.get(1..4)?;
    let value = digits.iter().try_fold(0, |sum, digit| Some(sum * 8 + char::from(*digit).to_digit(8)?))?;
    Decoded::byte(u8::try_from(value).ok()?, 4)
}

fn backslash_letter(text: &[u8]) -> Option<Decoded> {
    let byte = match text.get(1)? {
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'b' => 8,
        b'f' => 12,
        _ => return None,
    };
    Decoded::byte(byte, 2)
}

fn backslash_mark(text: &[u8]) -> Option<Decoded> {
    let byte = *text.get(1)?;
    if byte.is_ascii_punctuation() || byte == b' ' { Decoded::byte(byte, 2) } else { None }
}

/// The longest character reference that is read.
const MAX_REFERENCE: usize = 12;

fn within(text: &[u8]) -> Option<&str> {
    let end = text.iter().take(MAX_REFERENCE).position(|byte| *byte == b';')?;
    std::str::from_utf8(&text[1..end]).ok()
}

fn reference(text: &[u8]) -> Option<Decoded> {
    let inner = within(text)?;
    let number = inner.strip_prefix('#')?;
    let number = match number.strip_prefix(['x', 'X']) {
        Some(hex) => u32::from_str_radix(hex, 16),
        None => number.parse(),
    };
    Decoded::letter(char::from_u32(number.ok()?)?, inner.len() + 2)
}

fn named(text: &[u8]) -> Option<Decoded> {
    let inner = within(text)?;
    let letter = match inner {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "euro" => '\u{20ac}',
        _ => {
            let at = LATIN_1.iter().position(|name| *name == inner)?;
            char::from_u32(0xA0 + u32::try_from(at).ok()?)?
        }
    };
    Decoded::letter(letter, inner.len() + 2)
}

/// The names of U+00A0 to U+00FF (HTML 4.01, section 24.2).
const LATIN_1: [&str; 96] = [
    "nbsp", "iexcl", "cent", "pound", "curren", "yen", "brvbar", "sect", "uml", "copy", "ordf", "laquo", "not", "shy",
    "reg", "macr", "deg", "plusmn", "sup2", "sup3", "acute", "micro", "para", "middot", "cedil", "sup1", "ordm",
    "raquo", "frac14", "frac12", "frac34", "iquest", "Agrave", "Aacute", "Acirc", "Atilde", "Auml", "Aring", "AElig",
    "Ccedil", "Egrave", "Eacute", "Ecirc", "Euml", "Igrave", "Iacute", "Icirc", "Iuml", "ETH", "Ntilde", "Ograve",
    "Oacute", "Ocirc", "Otilde", "Ouml", "times", "Oslash", "Ugrave", "Uacute", "Ucirc", "Uuml", "Yacute", "THORN",
    "szlig", "agrave", "aacute", "acirc", "atilde", "auml", "aring", "aelig", "ccedil", "egrave", "eacute", "ecirc",
    "euml", "igrave", "iacute", "icirc", "iuml", "eth", "ntilde", "ograve", "oacute", "ocirc", "otilde", "ouml",
    "divide", "oslash", "ugrave", "uacute", "ucirc", "uuml", "yacute", "thorn", "yuml",
];
