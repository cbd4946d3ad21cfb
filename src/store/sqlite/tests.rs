//! Tests of the tables: they call operations as a program does, and look at what that leaves in the database.

#[path = "../../../tests/capabilities/support/at_once.rs"]
mod at_once;
mod earlier_versions;
#[path = "../../../tests/capabilities/support/eventually.rs"]
#[allow(dead_code)] // Other tests need more of it.
mod eventually;
#[path = "../../../tests/capabilities/support/fields.rs"]
mod fields;
#[path = "../../../tests/capabilities/support/folder.rs"]
#[allow(dead_code)] // Other tests need more of it.
mod folder;
mod folding;
#[path = "../../../tests/capabilities/support/growing.rs"]
mod growing;
#[path = "../../../tests/capabilities/support/in_process.rs"]
#[allow(dead_code)] // Other tests need more of it.
mod in_process;
mod postings;
mod tables;

use at_once::at_once;
pub(super) use eventually::long;
use fields::{hash_of, includes, integer, path_of, size_of, text};
use folder::Folder;
use growing::Growing;
use in_process::{InProcess, start_of_time};
