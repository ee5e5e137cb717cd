//! Fuzzing: targets for an engine that looks for input which reaches new code, and the corpus that it has found.
//!
//! ```text
//!   cargo fuzz-tunnel ──▶ engine (libFuzzer, instrumented) ──▶ Target::run(input)
//!                              │   ▲                                │ panics if anything is wrong
//!                              ▼   │                                ▼
//!                        corpus/NAME.txt ────── cargo test ──▶ Target::run(input)
//! ```
//!
//! # Reading order
//!
//! 1. `script`: input as a script of steps; `corpus`: the file that keeps it.
//! 2. `frames`: the decoders and the reader, against the simple decoders of `plain`.
//! 3. `hostile`: one session, with a peer that does anything; `speak` says it, `input` passes it on, `locals` are the
//!    local sides, `ledger` judges.
//! 4. `pair`: two sessions, and a link that is slow, blocked or lost.
//! 5. `parsers`: what stage 4 reads from clients and hops.

mod content;
pub mod corpus;
mod frames;
mod hostile;
mod input;
mod ledger;
mod locals;
mod pair;
mod parsers;
mod plain;
mod script;
mod speak;

/// The environment variable in which the engine finds the name of its target.
pub const TARGET_VARIABLE: &str = "FUZZ_TARGET";

/// Something that is run with any input, and panics if anything is wrong.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    /// Its name in commands and file names.
    pub name: &'static str,
    /// Runs it.
    pub run: fn(&[u8]),
    /// The longest input that the engine tries.
    pub max_length: usize,
}

/// All targets.
pub const TARGETS: &[Target] = &[
    Target::new("yamux-frames", frames::yamux, 300),
    Target::new("multiplex-frames", frames::multiplex, 300),
    Target::new("yamux-session", hostile::yamux, 800),
    Target::new("multiplex-session", hostile::multiplex, 800),
    Target::new("yamux-pair", pair::yamux, 400),
    Target::new("multiplex-pair", pair::multiplex, 400),
    Target::new("socks5", parsers::socks5, 600),
    Target::new("http", parsers::http, 600),
    Target::new("headers", parsers::headers, 300),
];

impl Target {
    const fn new(name: &'static str, run: fn(&[u8]), max_length: usize) -> Self {
        Self {
            name,
            run,
            max_length,
        }
    }

    /// Returns the target with a name.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        TARGETS.iter().find(|target| target.name == name)
    }
}
