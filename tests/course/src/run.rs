//! Running tests: building a stage's tests, and each test alone, under limits and with a deadline.
//!
//! ```text
//!   cargo test --no-run ──▶ executable ──▶ one process group for each test     build.rs, test.rs
//!                                          limits, deadline, no network        confine.rs, isolate.rs
//! ```

pub(crate) mod build;
pub(crate) mod confine;
mod isolate;
pub(crate) mod output;
pub(crate) mod suite;
pub(crate) mod test;
