//! Stage 1: a blocking TCP server that reverses lines, one client at a time.

pub mod cli;
mod listen;

pub use listen::{ListenOptions, listen};
