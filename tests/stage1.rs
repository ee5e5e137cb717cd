//! Black-box tests of stage 1: a blocking TCP server that reverses lines, one client at a time.
//!
//! The name of each test begins with its exercise: `cargo test -p stage1-server e13` grades exercise 1.3.
//! Exercises 1.1 to 1.4 are also tested through the library, because no program runs before 1.5 is written.

#[path = "stage1/limits.rs"]
mod limits;
#[path = "stage1/line.rs"]
mod line;
#[path = "stage1/listening.rs"]
mod listening;
#[path = "stage1/one_client.rs"]
mod one_client;
#[path = "stage1/program.rs"]
mod program;
#[path = "stage1/support.rs"]
mod support;
