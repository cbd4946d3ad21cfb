//! What it costs to look for secrets in the answers of upstreams: `cargo bench --bench redaction`.
//!
//! Cuts 32 secrets out of answers of 8 MiB, and parses and writes the same answers without that, by turns: the ratio says how
//! fast the one is in terms of the other. Answers of 16 MiB tell whether the time grows with the length alone.

use std::{
    hint::black_box,
    time::{Duration, Instant},
};

use base64::{Engine, prelude::BASE64_STANDARD};
use haldir::{
    error::{Error, Result},
    redact::{Redactor, Secret},
};
use serde_json::{Value, json, value::RawValue};
use zeroize::Zeroizing;

const SECRETS: usize = 32;
/// Bytes of an answer.
const MIB: usize = 1024 * 1024;
const SMALL: usize = 8 * MIB;
const LARGE: usize = 16 * MIB;
/// Bytes of an answer for each secret that stands in it.
const APART: usize = 65_536;
/// Times that each is measured, by turns; the median counts.
const ROUNDS: usize = 15;
/// How fast it must be, in terms of parsing and writing, and how much longer twice the length may take.
const SPEED_GOAL: f64 = 0.3;
const GROWTH_GOAL: f64 = 2.2;

/// Makes an answer of about so many bytes.
type Make = fn(usize) -> String;

const KINDS: [(&str, Make); 4] =
    [("plain text", plain), ("small JSON members", members), ("escapes", escapes), ("base64", base64)];

fn main() -> Result<()> {
    let secrets: Vec<_> = (0..SECRETS).map(|n| Secret { name: format!("KEY_{n}"), value: value(n) }).collect();
    let redactor = Redactor::new(&secrets)?;
    println!("| answer | redaction, 8 MiB | parsed and written | speed | redaction, 16 MiB | growth |");
    println!("|---|---|---|---|---|---|");
    let mut holds = true;
    for (title, kind) in KINDS {
        let (small, large) = (raw(kind(SMALL))?, raw(kind(LARGE))?);
        let (mut cut, mut written, mut longer) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            cut.push(timed(|| redactor.json(small.clone())));
            written.push(timed(|| serde_json::from_str::<Value>(small.get()).map(|value| value.to_string())));
            longer.push(timed(|| redactor.json(large.clone())));
        }
        let (cut, written, longer) = (median(&mut cut), median(&mut written), median(&mut longer));
        let (speed, growth) = (written.as_secs_f64() / cut.as_secs_f64(), longer.as_secs_f64() / cut.as_secs_f64());
        println!("| {title} | {cut:.1?} | {written:.1?} | {speed:.2} | {longer:.1?} | {growth:.2} |");
        let clean = redactor.json(small);
        let left = secrets.iter().filter(|secret| clean.get().contains(secret.value.as_str())).count();
        if left > 0 {
            return Err(Error::internal(format!("{left} secrets were not found in {title}")));
        }
        holds &= speed >= SPEED_GOAL && growth <= GROWTH_GOAL;
    }
    println!("\nthe goals: a speed of {SPEED_GOAL} at least, a growth of {GROWTH_GOAL} at most");
    if holds { Ok(()) } else { Err(Error::internal("a goal is missed")) }
}

fn timed<T>(work: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(work());
    began.elapsed()
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn raw(json: String) -> Result<Box<RawValue>> {
    RawValue::from_string(json).map_err(Error::internal)
}

fn value(n: usize) -> Zeroizing<String> {
    Zeroizing::new(format!("sk_live_{:016x}{:08x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15), n * 7_919))
}

/// A text of this length that repeats one, with a secret now and then.
fn repeated(piece: &str, bytes: usize) -> String {
    let mut text = String::with_capacity(bytes + APART);
    let mut secrets = 0;
    while text.len() < bytes {
        text.push_str(piece);
        if text.len() > (secrets + 1) * APART {
            text.push_str(&value(secrets % SECRETS));
            secrets += 1;
        }
    }
    text
}

fn in_content(text: &str) -> String {
    json!({"content": [{"type": "text", "text": text}]}).to_string()
}

fn plain(bytes: usize) -> String {
    in_content(&repeated("The quick brown fox jumps over the lazy dog, and sleeps until noon. ", bytes))
}

/// Rows of a table.
fn members(bytes: usize) -> String {
    let (mut rows, mut length) = (Vec::new(), 0);
    while length < bytes {
        let n = rows.len();
        let note = if n % 600 == 0 { value(n / 600 % SECRETS).to_string() } else { "none".to_owned() };
        let row =
            json!({"id": n, "name": format!("row {n}"), "price": 12.5, "open": true, "tags": ["a", "b"], "note": note});
        length += row.to_string().len() + 1;
        rows.push(row);
    }
    json!({"content": [], "structuredContent": {"rows": rows}}).to_string()
}

/// JSON in a text, line by line, with percent-encoded addresses.
fn escapes(bytes: usize) -> String {
    let piece = "{\"a\": \"b\\n\\u00e9\", \"url\": \"https://a.example/%2Fx%20y?q=%C3%A9\"}\n\t";
    // Each quote, line end and backslash becomes two characters.
    in_content(&repeated(piece, bytes * 4 / 5))
}

fn base64(bytes: usize) -> String {
    // Not random, and as little like text as bytes of an image.
    let mut state = 1_u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    let data: Vec<u8> = std::iter::repeat_with(&mut next).take(bytes / 4 * 3).collect();
    json!({"content": [{"type": "image", "mimeType": "image/png", "data": BASE64_STANDARD.encode(data)}]}).to_string()
}
