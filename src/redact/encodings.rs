//! The encodings in which programs repeat a value: one table of forms that a value takes as a whole, and one of escapes
//! that stand for single characters. A text is searched for the forms, and searched again with its escapes decoded, so
//! that an encoder may leave whatever characters it likes as they are.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use zeroize::Zeroizing;

/// The least length of an encoded form, in bytes: what base64 makes of a part of a very short value is anywhere.
pub(super) const MIN_ENCODED_BYTES: usize = 6;

/// The forms of one value.
pub(super) type Written = Vec<Zeroizing<Vec<u8>>>;

/// A form that a value takes as a whole.
struct Form {
    /// Where it is specified, and which programs write it.
    source: &'static str,
    write: fn(&str, &mut Written),
}

const FORMS: &[Form] = &[
    Form { source: "UTF-8 (RFC 3629)", write: |value, all| put(all, value.as_bytes().to_vec()) },
    Form {
        source: "application/x-www-form-urlencoded: a space is `+` (WHATWG URL, section 5); the rest is percent-encoded",
        write: |value, all| put(all, value.replace(' ', "+").into_bytes()),
    },
    Form {
        source: "CSV: a quotation mark is written twice (RFC 4180, section 2)",
        write: |value, all| put(all, value.replace('"', "\"\"").into_bytes()),
    },
    Form {
        source: "SQL and YAML: an apostrophe is written twice (ISO 9075 character string literals; YAML 1.2, 7.3.2)",
        write: |value, all| put(all, value.replace('\'', "''").into_bytes()),
    },
    Form {
        source: "ISO 8859-1: percent-encoding by JavaScript's escape(), `\\xE9` of Python's repr(), old HTTP headers",
        write: |value, all| {
            if let Some(bytes) = value.chars().map(|letter| u8::try_from(u32::from(letter)).ok()).collect() {
                put(all, bytes);
            }
        },
    },
    Form {
        source: "base16, lower case (RFC 4648, section 8): hex() of most languages",
        write: |value, all| put_encoded(all, hex(value, b"0123456789abcdef")),
    },
    Form {
        source: "base16, upper case (RFC 4648, section 8)",
        write: |value, all| put_encoded(all, hex(value, b"0123456789ABCDEF")),
    },
    Form {
        source: "base64 (RFC 4648, section 4), at each place in a longer text, as in HTTP's Basic",
        write: |value, all| aligned(value, &STANDARD_NO_PAD, all),
    },
    Form {
        source: "base64url (RFC 4648, section 5), at each place in a longer text, as in JSON web tokens",
        write: |value, all| aligned(value, &URL_SAFE_NO_PAD, all),
    },
    Form {
        source: "bytes as decimal numbers with commas: JSON of a Buffer of Node.js and of a Uint8Array, a list of Python",
        write: |value, all| {
            for comma in [",", ", "] {
                let numbers: Vec<_> = value.bytes().map(|byte| byte.to_string()).collect();
                put_encoded(all, numbers.join(comma).into_bytes());
            }
        },
    },
    Form {
        source: "base16 with a mark between bytes, in either case: xxd, hexdump, bytes.hex(' '), fingerprints",
        write: |value, all| {
            for digits in [b"0123456789abcdef", b"0123456789ABCDEF"] {
                let hex = Zeroizing::new(hex(value, digits));
                for mark in [b' ', b':', b'-'] {
                    let pairs: Vec<&[u8]> = hex.chunks(2).collect();
                    put_encoded(all, pairs.join(&mark));
                }
            }
        },
    },
    Form {
        source: "base64 of base64: a value in a Kubernetes Secret that was encoded already",
        write: |value, all| {
            let once = Zeroizing::new(STANDARD.encode(value));
            put_encoded(all, STANDARD_NO_PAD.encode(&*once).into_bytes());
        },
    },
    Form {
        source: "the characters in reverse: what a model is asked for to get a value past a filter",
        write: |value, all| put_encoded(all, value.chars().rev().collect::<String>().into_bytes()),
    },
];

/// The least length of a line, or another part of a value, that is looked for by itself, in characters.
const MIN_PART_CHARS: usize = 16;
/// Parts of one value that are looked for.
const MAX_PARTS: usize = 64;

/// The secret parts of a value that consists of several, each of which tells enough: lines of a key file, which programs indent,
/// number, or list; the texts of a JSON object, such as the key of a service account; the password in an address.
fn parts(value: &str) -> Vec<Zeroizing<String>> {
    let mut parts: Vec<Zeroizing<String>> = Vec::new();
    let mut add = |part: &str| {
        let part = part.trim();
        if parts.len() < MAX_PARTS && part.len() < value.len() && !parts.iter().any(|known| **known == *part) {
            parts.push(Zeroizing::new(part.to_owned()));
        }
    };
    let is_telling = |line: &str| line.chars().count() >= MIN_PART_CHARS && !line.starts_with("-----");
    let mut lines = |text: &str| text.lines().map(str::trim).filter(|line| is_telling(line)).for_each(&mut add);
    match serde_json::from_str::<ServiceAccount>(value) {
        // Of such a file nothing but the key itself is secret, and addresses in it stand in many answers.
        Ok(ServiceAccount { private_key }) => lines(&Zeroizing::new(private_key.unwrap_or_default())),
        Err(_) if value.contains('\n') => lines(value),
        Err(_) => {}
    }
    // scheme://user:password@host (RFC 3986, section 3.2.1).
    if let Some((_, rest)) = value.split_once("://")
        && let Some((user, _)) = rest.split(['/', '?', '#']).next().and_then(|authority| authority.rsplit_once('@'))
        && let Some((_, password)) = user.split_once(':')
        && password.chars().count() >= MIN_PASSWORD_CHARS
    {
        add(password);
    }
    parts
}

/// The least length of a password in an address: that of a secret that is sent at all.
const MIN_PASSWORD_CHARS: usize = 8;

/// Of the file with which programs sign in at Google Cloud.
#[derive(serde::Deserialize)]
struct ServiceAccount {
    #[serde(default)]
    private_key: Option<String>,
}

/// Every form of the value, each once and without line ends, which are passed over in texts: encoders break lines.
/// White space at its ends is not looked for either: much is trimmed before it is used.
pub(super) fn forms(value: &str) -> Written {
    let value = if value.trim().is_empty() { value } else { value.trim() };
    let mut all = Vec::with_capacity(16);
    for form in FORMS {
        debug_assert!(!form.source.is_empty());
        (form.write)(value, &mut all);
    }
    for part in parts(value) {
        put(&mut all, part.as_bytes().to_vec());
    }
    all
}

fn put(all: &mut Written, form: Vec<u8>) {
    let mut form = Zeroizing::new(form);
    form.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    if !form.is_empty() && !all.contains(&form) {
        all.push(form);
    }
}

fn put_encoded(all: &mut Written, form: Vec<u8>) {
    if form.len() >= MIN_ENCODED_BYTES {
        put(all, form);
    }
}

fn hex(value: &str, digits: &[u8; 16]) -> Vec<u8> {
    value.bytes().flat_map(|byte| [digits[usize::from(byte >> 4)], digits[usize::from(byte & 15)]]).collect()
}

/// What base64 makes of the value at each of the three places that it can have: the letters that depend on nothing
/// around it.
fn aligned(value: &str, engine: &impl Engine, all: &mut Written) {
    for (shift, from) in [(0, 0), (1, 2), (2, 3)] {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(value.as_bytes());
        let encoded = Zeroizing::new(engine.encode(&*bytes));
        let whole = (bytes.len() / 3 * 4).min(encoded.len());
        if from < whole {
            put_encoded(all, encoded.as_bytes()[from..whole].to_vec());
        }
        if shift == 0 {
            put_encoded(all, encoded.as_bytes().to_vec());
        }
    }
}

/// What an escape stands for.
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
    /// Where it is specified, and which programs write it.
    source: &'static str,
    read: fn(&[u8]) -> Option<Decoded>,
}

/// With which bytes escapes begin.
pub(super) const PERCENT: u8 = b'%';
pub(super) const BACKSLASH: u8 = b'\\';
pub(super) const AMPERSAND: u8 = b'&';

/// Of those with one beginning, the first that can be read is it.
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
