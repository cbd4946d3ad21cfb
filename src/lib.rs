//! haldir
