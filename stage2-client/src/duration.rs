//! Parses time limits on the command line.

use std::time::Duration;

/// The longest time that a program accepts, because an instant so far away must still fit into the clock.
const LONGEST_YEARS: u64 = 100;

/// The seconds of a year of 365.25 days, as `humantime` counts it.
const YEAR: u64 = 31_557_600;

/// Reads a time like `5s`, `200ms` or `1m 30s`; more than a hundred years is refused.
///
/// # Errors
/// One sentence for the user, which clap puts behind the name of the option.
pub fn parse_time(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text)
        .map_err(|error| format!("{error} (write it like 5s or 200ms)"))?;
    if duration > Duration::from_secs(LONGEST_YEARS * YEAR) {
        return Err(format!(
            "a time must not be longer than {LONGEST_YEARS} years"
        ));
    }
    Ok(duration)
}

/// Reads a time limit as [`parse_time`] does; zero is refused.
///
/// A limit of zero could mean "give up at once" or "never give up": better to ask than to guess.
///
/// # Errors
/// Fails with one sentence for the user, which clap puts behind the name of the option.
pub fn parse_time_limit(text: &str) -> Result<Duration, String> {
    let duration = parse_time(text)?;
    if duration.is_zero() {
        return Err("a time limit must be longer than zero".to_owned());
    }
    Ok(duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_like_people_write_them() {
        let table = [
            ("5s", Duration::from_secs(5)),
            ("200ms", Duration::from_millis(200)),
            ("1m 30s", Duration::from_secs(90)),
        ];
        for (text, duration) in table {
            assert_eq!(parse_time_limit(text), Ok(duration));
        }
    }

    #[test]
    fn nonsense_and_zero_are_refused_with_a_sentence() {
        for text in ["", "5", "soon", "-1s", "99999999999999999999s"] {
            let error = parse_time_limit(text).unwrap_err();
            assert!(error.contains("write it like"), "{text:?}: {error}");
        }
        for text in ["0s", "0ms"] {
            let error = parse_time_limit(text).unwrap_err();
            assert_eq!(error, "a time limit must be longer than zero");
        }
        assert_eq!(parse_time("0s"), Ok(Duration::ZERO));
    }

    #[test]
    fn a_time_that_the_clock_cannot_add_is_refused() {
        for text in ["101years", "300000000000years"] {
            let error = parse_time_limit(text).unwrap_err();
            assert_eq!(error, "a time must not be longer than 100 years");
        }
        let longest = parse_time_limit("100years").unwrap();
        assert!(std::time::Instant::now().checked_add(longest).is_some());
    }
}
