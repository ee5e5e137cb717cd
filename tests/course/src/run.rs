//! Runs tests: builds a stage's tests, and runs each test alone, under limits and with a deadline.
//!
//! ```text
//!   cargo test --no-run ──▶ executable ──▶ one process group for each test      build.rs, test.rs
//!        │                                 nonce in, nonce out: it has passed    nonce.rs
//!        └─ which files did it read? sources.rs                             a script of a hunt: script.rs
//!           compiled dependencies, taken over: dependencies.rs               a build of a submission: recipe.rs
//!
//!   Guard ──▶ confine ──▶ inside ──▶ the test or the compiler                    guard.rs, confine.rs, inside.rs, confinement.rs
//!             namespaces  limits, view of the files, watch                       namespace.rs, view.rs, watch.rs; probe.rs, isolation.rs
//! ```

pub(crate) mod build;
pub(crate) mod confine;
pub(crate) mod confinement;
pub(crate) mod dependencies;
pub(crate) mod guard;
mod inside;
mod isolation;
mod namespace;
mod nonce;
pub(crate) mod output;
mod probe;
pub(crate) mod recipe;
pub(crate) mod script;
mod sources;
pub(crate) mod suite;
pub(crate) mod test;
mod toolchain;
mod view;
mod watch;
