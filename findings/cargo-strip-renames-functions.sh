#!/usr/bin/env bash
# Cargo's profile setting `strip` changes the mangled names of functions, and has every dependency compiled again.
#
# Seen with cargo 1.95.0 and itoa 1.0.15. One would expect that `strip` concerns the last link alone, since it takes symbols
# away after everything is compiled: two builds that differ in nothing but `strip` would then share their dependencies, and a list of
# symbol names (for a linker's symbol ordering file, or for a profiler) that is read from the unstripped program would fit the
# stripped one. In fact the setting enters the hash in each symbol's name, also those of rlibs, which are never stripped.
#
# Output seen: "Compiling itoa" in both builds, and "0 names in common".
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
mkdir src
cat >Cargo.toml <<'TOML'
[package]
name = "names"
version = "0.1.0"
edition = "2021"
[dependencies]
itoa = "=1.0.15" # itoa@1.0.15
TOML
cat >src/lib.rs <<'RUST'
pub fn twice(text: &str) -> String { format!("{text}{text}") }
pub fn number(value: u64) -> String { itoa::Buffer::new().format(value).to_owned() }
RUST
cargo --version
names() { # the functions of the crate `names` in a build with this `strip`
  CARGO_PROFILE_RELEASE_STRIP=$1 cargo build --release 2>&1 | grep 'Compiling itoa' >&2 || { echo "itoa was not compiled again"; exit 1; }
  nm target/release/libnames.rlib 2>/dev/null | awk '$2 == "T" { print $3 }' | grep -E 'twice|number' | sort
}
names none >none
names symbols >symbols
[[ $(wc -l <none) -eq 2 && $(wc -l <symbols) -eq 2 ]] || { echo "two functions were expected in each"; exit 1; }
common=$(comm -12 none symbols | wc -l)
echo "$common names in common"
[[ $common -eq 0 ]]
