//! The server and the terminal client in one program; see [`haldir::interfaces::server`] and [`haldir::interfaces::cli`].

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    haldir::interfaces::server::run()
}
