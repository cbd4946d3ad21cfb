//! What a server says at `/readyz`, as the terminal client and `haldir-mcp health` read it.

use serde::{Deserialize, Serialize};

use crate::error::{Code, Error, Result};

#[derive(Deserialize)]
pub struct Readiness {
    pub ready: bool,
    pub checks: Vec<Check>,
}

#[derive(Deserialize, Serialize)]
pub struct Check {
    pub name: String,
    pub ok: bool,
    pub message: String,
}

/// Reads what a server says of itself without a key. An error if it is something else that answered.
pub fn read<'a, T: Deserialize<'a>>(body: &'a str) -> Result<T> {
    serde_json::from_str(body).map_err(|_| {
        let message = "what answers at this address is no haldir: is the address that of its server?";
        Error::new(Code::Unavailable, message)
    })
}
