//! Shared by the tools of the course: the list of exercises, and the code that it names.
//!
//! ```text
//!   course.toml ──▶ manifest ──▶ item ──▶ a function in stageN-*/src
//!                      │
//!                      └──▶ the tests of an exercise in tests/stageN
//! ```
//!
//! # Reading order
//! 1. [`manifest`]: the stages and exercises, as `course.toml` lists them.
//! 2. [`item`]: how an exercise names a function, and where that function is in its file.
//! 3. [`mod@unit`]: the unit tests of a stage, which are beside its code. [`bug`]: the wrong solutions, and the test that catches each. [`hunt`]: those that students hunt.
//! 4. [`quiz`]: the questions about wrong solutions. [`milestones`]: the second track.
//! 5. [`workspace`]: the folder of the course. [`listing`]: the files in a folder.
//! 6. [`loopback`], [`broken_pipe`], [`browser`]: three small matters of a command on Linux.
//!
//! The commands themselves are in the programs: `cargo course` beside this library, `cargo book` in `tests/book`.

pub mod broken_pipe;
pub mod browser;
pub mod bug;
pub mod hunt;
pub mod item;
pub mod listing;
pub mod loopback;
pub mod manifest;
pub mod milestones;
pub mod quiz;
pub mod unit;
pub mod workspace;
