//! The terminal client's name. It starts the program `haldir-mcp` in its own folder, which holds the client too: a second
//! program of that size would double the time of a build and the size of an installation.

use std::{env, ffi::OsString, io, path::PathBuf, process::Command, process::ExitCode};

/// The first argument that makes `haldir-mcp` the terminal client; the same as `haldir::interfaces::cli::COMMAND`, which is not
/// imported so that this program is linked without the library.
const COMMAND: &str = "terminal";

fn main() -> ExitCode {
    let program = match program() {
        Ok(program) => program,
        Err(error) => return fail(&format!("cannot find its own folder: {error}")),
    };
    let error = match run(Command::new(&program).arg(COMMAND).args(env::args_os().skip(1))) {
        Ok(code) => return code,
        Err(error) => error,
    };
    fail(&format!("cannot start {}: {error}. Install haldir-mcp and haldir in the same folder", program.display()))
}

/// `haldir-mcp` in the folder of this program. It is not looked up in `PATH`, where another program of that name may be.
fn program() -> io::Result<PathBuf> {
    let mut name = OsString::from("haldir-mcp");
    name.push(env::consts::EXE_SUFFIX);
    Ok(env::current_exe()?.with_file_name(name))
}

/// Replaces this process by the command, so that signals and the exit code are the command's own. Returns only if it fails.
#[cfg(unix)]
fn run(command: &mut Command) -> io::Result<ExitCode> {
    Err(std::os::unix::process::CommandExt::exec(command))
}

/// Windows cannot replace a process: this one waits for the command, and passes its exit code on. Ctrl-C reaches both.
#[cfg(not(unix))]
fn run(command: &mut Command) -> io::Result<ExitCode> {
    let code = command.status()?.code().and_then(|code| u8::try_from(code).ok());
    Ok(code.map_or(ExitCode::FAILURE, ExitCode::from))
}

fn fail(problem: &str) -> ExitCode {
    eprintln!("haldir: {problem}");
    ExitCode::FAILURE
}
