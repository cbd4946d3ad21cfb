//! The server and the terminal client in one program; see [`haldir::faces::server`] and [`haldir::faces::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    haldir::faces::server::run()
}
