//! The encodings that programs write values in: one table of forms of a whole value. Escapes of single characters are decoded
//! instead: [`super::escapes`]. Hexadecimal digits are searched in either case, but not mixed: nothing writes both in one value.

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE_NO_PAD},
};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

/// The least length of an encoded form, in bytes: base64 of a part of a very short value occurs anywhere.
pub(super) const MIN_ENCODED_BYTES: usize = 6;

/// The forms of one value.
pub(super) type Written = Vec<Spelled>;

/// One form of a value.
pub(super) struct Spelled {
    pub(super) bytes: Zeroizing<Vec<u8>>,
    /// Whether the base64 letters before and after it hold bits of the value too.
    pub(super) edges: (bool, bool),
}

/// A form of a whole value.
struct Form {
    /// Its specification, and programs that write it.
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
        source: "base64 and base16 of a text in which the value is escaped: JSON in JSON web tokens and in variables that hold a \
                 file, an address with a password (RFC 4648; RFC 8259, section 7; RFC 3986, section 2.1)",
        write: |value, all| {
            for escaped in escaped(value) {
                aligned(&escaped, &STANDARD_NO_PAD, all);
                aligned(&escaped, &URL_SAFE_NO_PAD, all);
                put_encoded(all, hex(&escaped, b"0123456789abcdef"));
                put_encoded(all, hex(&escaped, b"0123456789ABCDEF"));
            }
        },
    },
    Form {
        source: "base64 of a key file that was made one line first, for a variable of the environment (RFC 4648, section 4)",
        write: |value, all| {
            if value.contains('\n') {
                aligned(&Zeroizing::new(value.replace(['\r', '\n'], "")), &STANDARD_NO_PAD, all);
            }
        },
    },
    Form {
        source: "the characters in reverse: what a model is asked for to get a value past a filter",
        write: |value, all| put_encoded(all, value.chars().rev().collect::<String>().into_bytes()),
    },
];

/// The longest value that is searched escaped and encoded, in bytes: each such form takes memory.
const MAX_ESCAPED_BYTES: usize = 2_048;
/// What JavaScript's encodeURIComponent leaves unescaped, besides letters and digits (ECMA-262, section 19.2.6.4).
const COMPONENT: &AsciiSet = &UNRESERVED.remove(b'!').remove(b'\'').remove(b'(').remove(b')').remove(b'*');
/// All but the unreserved characters (RFC 3986, section 2.3).
const UNRESERVED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// How a program writes a string in JSON, beyond RFC 8259.
struct Json {
    /// Which program.
    source: &'static str,
    /// Characters that are written as code units.
    units: &'static str,
    /// Whether a slash is written after a backslash.
    slash: bool,
    /// Whether everything beyond ASCII is written as code units.
    ascii: bool,
    /// Whether code units have upper-case digits.
    upper: bool,
}

const JSONS: &[Json] = &[
    Json { source: "JSON.stringify of JavaScript (ECMA-262)", units: "", slash: false, ascii: false, upper: false },
    Json { source: "encoding/json of Go", units: "&<>", slash: false, ascii: false, upper: false },
    Json { source: "json of Python", units: "", slash: false, ascii: true, upper: false },
    Json { source: "json_encode of PHP", units: "", slash: true, ascii: true, upper: false },
    Json { source: "System.Text.Json of .NET", units: "\"&'+<>`", slash: false, ascii: true, upper: true },
];

impl Json {
    fn write(&self, value: &str) -> Zeroizing<String> {
        debug_assert!(!self.source.is_empty());
        // With enough capacity: a buffer that grows leaves copies in freed memory.
        let mut text = Zeroizing::new(String::with_capacity(value.len() * MAX_ESCAPE_BYTES));
        for letter in value.chars() {
            match letter {
                '\\' => text.push_str("\\\\"),
                '\n' => text.push_str("\\n"),
                '\r' => text.push_str("\\r"),
                '\t' => text.push_str("\\t"),
                '/' if self.slash => text.push_str("\\/"),
                letter if self.units.contains(letter) || letter < ' ' || self.ascii && !letter.is_ascii() => {
                    for unit in letter.encode_utf16(&mut [0; 2]) {
                        let digits = if self.upper { format!("{unit:04X}") } else { format!("{unit:04x}") };
                        text.push_str("\\u");
                        text.push_str(&digits);
                    }
                }
                '"' => text.push_str("\\\""),
                letter => text.push(letter),
            }
        }
        text
    }
}

/// The longest escape of one byte.
const MAX_ESCAPE_BYTES: usize = 6;

/// The value as written in JSON and in addresses, where that differs from the value itself.
fn escaped(value: &str) -> Vec<Zeroizing<String>> {
    let mut different: Vec<Zeroizing<String>> = Vec::new();
    if value.len() <= MAX_ESCAPED_BYTES {
        let percent = [UNRESERVED, COMPONENT].map(|set| Zeroizing::new(utf8_percent_encode(value, set).to_string()));
        for one in JSONS.iter().map(|json| json.write(value)).chain(percent) {
            if *one != *value && !different.contains(&one) {
                different.push(one);
            }
        }
    }
    different
}

/// The least length of a line, or another part of a value, that is searched by itself, in characters.
const MIN_PART_CHARS: usize = 16;
/// Parts of one value that are searched.
const MAX_PARTS: usize = 64;

/// The secret parts of a composite value: lines of a key file, which programs indent, number, or list; the strings of a JSON
/// object, such as the key of a service account; the password in an address.
fn parts(value: &str) -> Vec<Zeroizing<String>> {
    let mut parts: Vec<Zeroizing<String>> = Vec::new();
    let mut add = |part: &str| {
        let part = part.trim();
        if parts.len() < MAX_PARTS && part.len() < value.len() && !parts.iter().any(|known| **known == *part) {
            parts.push(Zeroizing::new(part.to_owned()));
        }
    };
    let mut lines = |text: &str| {
        let mut lines = text.lines().map(str::trim).peekable();
        while let Some(line) = lines.next() {
            // The last line of a key may be short, but is as random as the others.
            let is_last = lines.peek().is_some_and(|next| next.starts_with("-----END"));
            let (length, least) = if is_last {
                (line.trim_end_matches('=').len(), MIN_ENCODED_BYTES)
            } else {
                (line.chars().count(), MIN_PART_CHARS)
            };
            if length >= least && !line.starts_with("-----") {
                add(line);
            }
        }
    };
    match serde_json::from_str::<ServiceAccount>(value) {
        // Only the key of such a file is secret, and addresses in it occur in many responses.
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
        // The server receives the decoded password, and may repeat it in errors.
        if let Ok(decoded) = percent_decode_str(password).decode_utf8() {
            add(&Zeroizing::new(decoded.into_owned()));
        }
    }
    parts
}

/// The least length of a password in an address: the same as of a secret that may be sent.
const MIN_PASSWORD_CHARS: usize = 8;

/// The format of Google Cloud's credential files.
#[derive(serde::Deserialize)]
struct ServiceAccount {
    private_key: Option<String>,
}

/// Every form of the value, once and without line ends, which the search ignores since encoders break lines. White space at its
/// ends is not searched for either: programs often trim values.
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
    put_between(all, form, (false, false));
}

fn put_between(all: &mut Written, form: Vec<u8>, edges: (bool, bool)) {
    let mut bytes = Zeroizing::new(form);
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
    if !bytes.is_empty() && !all.iter().any(|known| known.bytes == bytes) {
        all.push(Spelled { bytes, edges });
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

/// Bits of a letter of base64.
const LETTER_BITS: usize = 6;

/// The base64 of the value at each of the three alignments: the letters that do not depend on the bytes around it.
fn aligned(value: &str, engine: &impl Engine, all: &mut Written) {
    for (shift, from) in [(0, 0), (1, 2), (2, 3)] {
        let mut bytes = Zeroizing::new(vec![0; shift]);
        bytes.extend_from_slice(value.as_bytes());
        let encoded = Zeroizing::new(engine.encode(&*bytes));
        let whole = (bytes.len() * 8 / LETTER_BITS).min(encoded.len());
        if shift == 0 {
            put_encoded(all, encoded.as_bytes().to_vec());
        }
        if from < whole && whole - from >= MIN_ENCODED_BYTES {
            let edges = (shift > 0, bytes.len() * 8 % LETTER_BITS > 0);
            put_between(all, encoded.as_bytes()[from..whole].to_vec(), edges);
        }
    }
}

/// Whether this is a letter of base64 or base64url.
pub(super) fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_')
}
