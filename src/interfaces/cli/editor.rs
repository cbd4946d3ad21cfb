//! Text that is changed in the editor of the person at the terminal: `VISUAL`, `EDITOR`, or else vi.

use std::{
    env, fs,
    io::{Read, Write},
    path::Path,
    process::{Command, ExitStatus},
};

use super::{
    files::{Unfinished, new_file},
    interruption::Elsewhere,
    output::printable,
};
use crate::{
    crypto,
    error::{Code, Error, Result},
};

/// The largest text that is read back, in bytes.
pub const MAX_BYTES: u64 = 1024 * 1024;
/// The variables that name the editor, the first one before the second.
const VARIABLES: [&str; 2] = ["VISUAL", "EDITOR"];
/// The editor where neither variable is set: POSIX requires it.
const USUAL: &str = "vi";

/// The text as the user saved it. Only this user can read the editor's file, and it is removed at once.
pub fn edited(text: &str) -> Result<String> {
    let name = crypto::token::<9>("haldir-edit-").map_err(Error::internal)?;
    let path = env::temp_dir().join(format!("{name}.json"));
    let unfinished = Unfinished::new(path.clone());
    let problem = |error: &std::io::Error| {
        Error::new(Code::Unavailable, format!("{}, which the editor works on: {error}", path.display()))
    };
    new_file(&path).and_then(|mut file| file.write_all(text.as_bytes())).map_err(|error| problem(&error))?;
    let editor = VARIABLES.into_iter().find_map(|name| env::var(name).ok().filter(|editor| !editor.trim().is_empty()));
    let editor = editor.unwrap_or_else(|| USUAL.to_owned());
    let refused = |what: String| {
        let message = format!("the editor {} {what}: set VISUAL or EDITOR to the one you want", printable(&editor));
        Error::new(Code::Unavailable, message)
    };
    let status = run(&editor, &path).map_err(|error| refused(format!("cannot be started: {error}")))?;
    if !status.success() {
        return Err(refused(format!("ended with {status}, so nothing was taken over")));
    }
    let mut changed = String::new();
    let file = fs::File::open(&path).map_err(|error| problem(&error))?;
    let length = file.take(MAX_BYTES + 1).read_to_string(&mut changed).map_err(|error| problem(&error))?;
    drop(unfinished);
    if length as u64 > MAX_BYTES {
        return Err(Error::invalid("arguments", format!("more than {MAX_BYTES} bytes")));
    }
    Ok(changed)
}

/// Runs the editor at the terminal of this process. It may be a command with arguments, as `code --wait` is.
fn run(editor: &str, path: &Path) -> std::io::Result<ExitStatus> {
    // Ctrl-C is for the editor now.
    let _elsewhere = Elsewhere::now();
    #[cfg(unix)]
    return Command::new("sh").arg("-c").arg(format!("{editor} \"$@\"")).arg(editor).arg(path).status();
    #[cfg(not(unix))]
    return Command::new(editor).arg(path).status();
}
