//! Stage 5.
fn main() {}
