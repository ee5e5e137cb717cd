//! The values of the options: `10mbit`, `50ms`, `1%`.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// Bits in a second, or no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) struct Rate(Option<u64>);

/// The share of packets that are lost, from 0 to 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize, Serialize)]
pub(super) struct Loss(f64);

impl Rate {
    const UNITS: [(&str, u64); 4] = [
        ("kbit", 1_000),
        ("mbit", 1_000_000),
        ("gbit", 1_000_000_000),
        ("bit", 1),
    ];

    /// Returns how long the cable takes to send some bytes.
    pub(super) fn time_of(self, bytes: usize) -> Duration {
        let nanoseconds = |rate| (bytes as u128) * 8 * 1_000_000_000 / u128::from(rate);
        let time = self.0.map_or(0, nanoseconds);
        Duration::from_nanos(u64::try_from(time).unwrap_or(u64::MAX))
    }
}

impl FromStr for Rate {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "off" {
            return Ok(Self(None));
        }
        let unit = Self::UNITS.into_iter().find_map(|(name, unit)| {
            let number: u64 = text.strip_suffix(name)?.trim().parse().ok()?;
            number.checked_mul(unit).filter(|bits| *bits > 0)
        });
        unit.map(|bits| Self(Some(bits)))
            .ok_or_else(|| "a rate looks like 512kbit, 10mbit, 1gbit or off".to_owned())
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            None => f.write_str("no limit of the rate"),
            Some(bits) if bits % 1_000_000 == 0 => write!(f, "{} Mbit/s", bits / 1_000_000),
            Some(bits) if bits % 1_000 == 0 => write!(f, "{} kbit/s", bits / 1_000),
            Some(bits) => write!(f, "{bits} bit/s"),
        }
    }
}

impl Loss {
    /// Returns the share, from 0 to 1.
    pub(super) fn share(self) -> f64 {
        self.0
    }
}

impl FromStr for Loss {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let percent = text
            .strip_suffix('%')
            .and_then(|number| number.trim().parse::<f64>().ok());
        percent
            .filter(|percent| (0.0..=100.0).contains(percent))
            .map(|percent| Self(percent / 100.0))
            .ok_or_else(|| "a loss looks like 1% or 0.5%, and is 100% at most".to_owned())
    }
}

impl fmt::Display for Loss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} % lost", self.0 * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_read_and_shown() {
        let table = [
            ("10mbit", Some("10 Mbit/s")),
            ("512kbit", Some("512 kbit/s")),
            ("1gbit", Some("1000 Mbit/s")),
            ("9600bit", Some("9600 bit/s")),
            ("999bit", Some("999 bit/s")),
            ("off", Some("no limit of the rate")),
            ("10", None),
            ("0mbit", None),
            ("-1mbit", None),
            ("99999999999999999gbit", None),
        ];
        for (text, expected) in table {
            let rate = text.parse::<Rate>().map(|rate| rate.to_string());
            assert_eq!(rate.ok().as_deref(), expected, "{text}");
        }
        let rate: Rate = "8mbit".parse().unwrap();
        assert_eq!(rate.time_of(1500), Duration::from_micros(1500));
        assert_eq!(Rate(None).time_of(1500), Duration::ZERO);
    }

    #[test]
    fn losses_are_percentages() {
        for (text, expected) in [
            ("1%", Some(0.01)),
            ("0%", Some(0.0)),
            ("100%", Some(1.0)),
            ("101%", None),
            ("-1%", None),
            ("1", None),
            ("NaN%", None),
        ] {
            assert_eq!(
                text.parse::<Loss>().ok().map(Loss::share),
                expected,
                "{text}"
            );
        }
    }
}
