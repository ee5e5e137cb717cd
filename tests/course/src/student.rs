//! The commands for students.

mod beside;
pub(crate) mod book;
pub(crate) mod doctor;
pub(crate) mod hint;
mod page;
pub(crate) mod picture;
pub(crate) mod progress;
pub(crate) mod quiz;
pub(crate) mod solution;
pub(crate) mod test;
pub(crate) mod watch;
