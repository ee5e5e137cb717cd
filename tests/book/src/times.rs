//! How long the steps of the check take, printed with `--verbose`.

use std::time::Instant;

/// Measures steps, also several at a time.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    verbose: bool,
}

impl Times {
    /// Creates a clock that prints the time of each step if it is `verbose`.
    pub(crate) fn new(verbose: bool) -> Self {
        Self { verbose }
    }

    /// Takes a step and prints how long it took.
    pub(crate) fn of<T>(self, step: &str, take: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let result = take();
        if self.verbose {
            println!("{:6.1} s  {step}", begun.elapsed().as_secs_f64());
        }
        result
    }
}
