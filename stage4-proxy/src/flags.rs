//! Values of the command line that several programs read alike.

use std::str::FromStr;
use std::time::Duration;

use stage1_server::Keepalive;
use stage2_client::parse_time_limit;

/// A time limit, or `off` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalTime(pub Option<Duration>);

/// The interval of keepalive probes, or `off` for none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OptionalKeepalive(pub Option<Keepalive>);

impl FromStr for OptionalTime {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "off" => Ok(Self(None)),
            _ => parse_time_limit(text).map(|limit| Self(Some(limit))),
        }
    }
}

impl FromStr for OptionalKeepalive {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let OptionalTime(interval) = text.parse()?;
        if interval.is_some_and(|interval| interval > Keepalive::LONGEST) {
            return Err("the kernel sends probes at least every 9 hours (or off)".to_owned());
        }
        Ok(Self(interval.map(Keepalive::every)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_off() {
        let minute = Duration::from_secs(60);
        assert_eq!("off".parse(), Ok(OptionalTime(None)));
        assert_eq!("60s".parse(), Ok(OptionalTime(Some(minute))));
        let keepalive = Keepalive::every(minute);
        assert_eq!("off".parse(), Ok(OptionalKeepalive(None)));
        assert_eq!("60s".parse(), Ok(OptionalKeepalive(Some(keepalive))));
        for text in ["0s", "never", "60", ""] {
            assert!(text.parse::<OptionalTime>().is_err(), "{text:?}");
            assert!(text.parse::<OptionalKeepalive>().is_err(), "{text:?}");
        }
        assert!("9h".parse::<OptionalKeepalive>().is_ok());
        assert!("10h".parse::<OptionalKeepalive>().is_err());
    }
}
