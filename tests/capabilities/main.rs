//! Black-box tests, one file per capability.

mod cli;
mod packaging;
