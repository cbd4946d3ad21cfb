//! The name of the target, and how the programs are linked: what runs at every start lies together.
//!
//! A program's pages are read, and counted as its memory, in windows of 64 KB around what is touched. The functions that
//! run up to the first answer are two thousand among forty, less than 2 MB in all; spread over the whole program they
//! would touch most of its windows. `link/startup.order` names them, in the order of their first call, for linkers that can
//! lay functions out by name. A name that is not found is passed over, so the list may be older than the program, and
//! without such a linker nothing changes but memory and the time of a start. `link/make_order.py` makes it.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

const ORDER: &str = "link/startup.order";

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-changed={ORDER}");
    // What `--version --json` names; cargo tells it to build scripts alone.
    println!("cargo::rustc-env=HALDIR_TARGET={}", env::var("TARGET").unwrap_or_default());
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    // The names are those of this target's optimised build.
    if !(is("PROFILE", "release") && is("CARGO_CFG_TARGET_ARCH", "x86_64") && is("CARGO_CFG_TARGET_OS", "linux")) {
        return;
    }
    let Some(folder) = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from) else { return };
    let options = [
        format!("-Wl,--symbol-ordering-file={}", folder.join(ORDER).display()),
        "-Wl,--no-warn-symbol-ordering".to_owned(),
    ];
    if is_taken(&options) {
        for option in options {
            println!("cargo::rustc-link-arg-bins={option}");
        }
    }
}

/// Whether the linker of this build takes these options: a program that does nothing is linked with them.
fn is_taken(options: &[String]) -> bool {
    let (Some(out), Some(rustc), Ok(target)) = (env::var_os("OUT_DIR"), env::var_os("RUSTC"), env::var("TARGET"))
    else {
        return false;
    };
    let out = Path::new(&out);
    let source = out.join("nothing.rs");
    if fs::write(&source, "fn main() {}\n").is_err() {
        return false;
    }
    let mut command = Command::new(rustc);
    command.args(["--edition=2024", "--crate-type=bin", "--target", &target, "-o"]);
    command.arg(out.join("nothing")).arg(&source);
    if let Some(linker) = env::var_os("RUSTC_LINKER") {
        command.arg("-C").arg(format!("linker={}", linker.display()));
    }
    let flags = env::var("CARGO_ENCODED_RUSTFLAGS").unwrap_or_default();
    command.args(flags.split('\x1f').filter(|flag| !flag.is_empty()));
    command.args(options.iter().map(|option| format!("-Clink-arg={option}")));
    command.stdout(Stdio::null()).stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
