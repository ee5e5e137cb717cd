//! The load of the machine: where other programs keep the processors busy, a test waits longer before it judges.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// The largest factor, because a wrong program must fail in the end.
const MAX_STRETCH: f64 = 4.0;
/// Runnable threads for each processor that count as no load yet, because the tests themselves need a few.
const USUAL_LOAD: f64 = 2.0;

/// Returns the factor by which deadlines are stretched now: 1.0 on a machine with idle processors.
///
/// It follows the load of the last minute, the first number of `/proc/loadavg` (`proc_loadavg(5)`). If that cannot
/// be read, the factor is 1.0.
#[must_use]
pub fn stretch_factor() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // All processors of the machine count, even in a container that may use only some, because the load is the machine's, too.
    let processors = sysconf(SysconfVar::_NPROCESSORS_ONLN).ok().flatten();
    let processors = processors.and_then(|count| u32::try_from(count).ok());
    match (parse_load(&text), processors) {
        (Some(load), Some(count)) => stretch(load, count),
        _ => 1.0,
    }
}

fn parse_load(text: &str) -> Option<f64> {
    text.split_whitespace().next()?.parse().ok()
}

fn stretch(load: f64, processors: u32) -> f64 {
    let usual = USUAL_LOAD * f64::from(processors.max(1));
    (load / usual).clamp(1.0, MAX_STRETCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_high_load_stretches_and_only_so_far() {
        assert_eq!(parse_load("13.25 8.00 4.50 7/145 24074\n"), Some(13.25));
        assert_eq!(parse_load(""), None);
        assert_eq!(stretch(0.0, 2), 1.0);
        assert_eq!(stretch(4.0, 2), 1.0);
        assert_eq!(stretch(8.0, 2), 2.0);
        assert_eq!(stretch(8.0, 4), 1.0);
        assert_eq!(stretch(1000.0, 2), MAX_STRETCH);
        assert!((1.0..=MAX_STRETCH).contains(&stretch_factor()));
    }
}
