//! The corpus, replayed: what fuzzing has found stays found, and no target goes without input.

use fuzz::{TARGETS, Target, corpus};

/// Random inputs for each target, besides its corpus.
const RANDOM_INPUTS: u64 = 50;

/// Runs a target with its corpus, with each input cut short, and with random input.
fn replay(name: &str) {
    let target = Target::named(name).expect("the target exists");
    let inputs = corpus::read(target).expect("the corpus can be read");
    assert!(inputs.len() >= 10, "{} inputs are no corpus", inputs.len());
    for input in &inputs {
        run(target, input);
        run(target, &input[..input.len() / 2]);
    }
    for seed in 0..RANDOM_INPUTS {
        run(target, &random_input(seed, target.max_length));
    }
}

/// Runs a target; the test prints the last input if it fails, as a line for the corpus.
fn run(target: &Target, input: &[u8]) {
    eprintln!("{}", corpus::encode(input));
    (target.run)(input);
}

/// Returns the input with a number, of a length between 0 and `max`: an xorshift generator needs no crate.
fn random_input(seed: u64, max: usize) -> Vec<u8> {
    let mut state = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).expect("31 bits fit")
    };
    let length = next() % (max + 1);
    // Small numbers are steps and places more often than large ones.
    (0..length)
        .map(|_| next().to_le_bytes()[0] >> (next() % 4 * 2))
        .collect()
}

macro_rules! targets {
    ($($test:ident: $name:literal,)*) => {
        const NAMES: &[&str] = &[$($name),*];
        $(#[test] fn $test() { replay($name); })*
    };
}

targets! {
    yamux_frames: "yamux-frames",
    multiplex_frames: "multiplex-frames",
    yamux_session: "yamux-session",
    multiplex_session: "multiplex-session",
    yamux_pair: "yamux-pair",
    multiplex_pair: "multiplex-pair",
    socks5: "socks5",
    http: "http",
    headers: "headers",
}

#[test]
fn every_target_is_replayed() {
    let names: Vec<_> = TARGETS.iter().map(|target| target.name).collect();
    assert_eq!(names, NAMES);
}
