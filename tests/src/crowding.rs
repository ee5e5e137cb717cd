//! How crowded the machine is: where others work too, everything takes longer, and a test waits longer before it judges.

use std::fs;

use nix::unistd::{SysconfVar, sysconf};

/// The most that patience is stretched: a wrong program must be told so in the end.
const MOST: f64 = 4.0;
/// So many threads that want a processor, for each processor, are no crowd yet: the tests themselves are a few.
const USUAL: f64 = 2.0;

/// Returns by how much patience is stretched now: 1.0 on a machine that has processors to spare.
///
/// It follows the load of the last minute, the first number of `/proc/loadavg` (`proc_loadavg(5)`). Where that cannot
/// be read, nothing is stretched.
#[must_use]
pub fn crowding() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    // Of the whole machine, as the load is: a container that may use some of them only has the same load.
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
    let usual = USUAL * f64::from(processors.max(1));
    (load / usual).clamp(1.0, MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_crowd_stretches_and_not_for_ever() {
        assert_eq!(parse_load("13.25 8.00 4.50 7/145 24074\n"), Some(13.25));
        assert_eq!(parse_load(""), None);
        assert_eq!(stretch(0.0, 2), 1.0);
        assert_eq!(stretch(4.0, 2), 1.0);
        assert_eq!(stretch(8.0, 2), 2.0);
        assert_eq!(stretch(8.0, 4), 1.0);
        assert_eq!(stretch(1000.0, 2), MOST);
        assert!((1.0..=MOST).contains(&crowding()));
    }
}
