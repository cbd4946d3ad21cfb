//! The terminal client; see [`haldir::faces::cli`].

use std::process::ExitCode;

fn main() -> ExitCode {
    haldir::faces::cli::run()
}
