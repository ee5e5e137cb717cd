//! The engine, libFuzzer: runs one target on input that it invents. `cargo fuzz-tunnel` builds and starts it.

#![no_main]

use std::sync::OnceLock;

use fuzz::{TARGET_VARIABLE, Target};

/// Returns the target that the runner has named.
fn target() -> &'static Target {
    static TARGET: OnceLock<&'static Target> = OnceLock::new();
    TARGET.get_or_init(|| {
        let name = std::env::var(TARGET_VARIABLE).unwrap_or_default();
        Target::named(&name)
            .unwrap_or_else(|| panic!("{TARGET_VARIABLE} names no target: {name:?}"))
    })
}

libfuzzer_sys::fuzz_target!(|input: &[u8]| (target().run)(input));
