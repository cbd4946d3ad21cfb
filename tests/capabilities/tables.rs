//! Tests of the tables: they call operations as a program does, and look at what that leaves in the database.

mod earlier_versions;
mod folding;
mod postings;
