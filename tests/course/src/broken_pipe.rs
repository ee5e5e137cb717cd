//! A reader that closes our standard output early, as in `cargo course | head -3`.

use std::panic;
use std::process;

/// The exit status that a shell shows for a program that SIGPIPE has ended.
const ENDED_BY_SIGPIPE: i32 = 141;

/// Ends the process without a message as soon as a `println!` fails with "Broken pipe".
///
/// Rust ignores SIGPIPE, so `println!` panics in that case, and the user would read a panic message about `head`.
pub fn end_quietly() {
    let usual = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        let text = panic.payload().downcast_ref::<String>();
        let text = text.map(String::as_str).unwrap_or_default();
        if text.starts_with("failed printing to stdout") && text.contains("Broken pipe") {
            process::exit(ENDED_BY_SIGPIPE);
        }
        usual(panic);
    }));
}
