//! One part of the work, for machines that share it.

use std::fmt;
use std::str::FromStr;

use anyhow::Error;
use serde::{Deserialize, Serialize};

/// Part `part` of `parts`, counted from 1; written `2/3`.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(into = "String", try_from = "String")]
pub(crate) struct Shard {
    part: usize,
    parts: usize,
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let numbers = text.split_once('/');
        let parse = |word: &str| word.parse::<usize>().ok();
        let numbers = numbers.and_then(|(part, parts)| Some((parse(part)?, parse(parts)?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err(Error::msg("it must be like 1/3, 2/3 or 3/3")),
        }
    }
}

impl TryFrom<String> for Shard {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<Shard> for String {
    fn from(shard: Shard) -> Self {
        shard.to_string()
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.part, self.parts)
    }
}

impl Shard {
    /// Returns which part it is, counted from 1.
    pub(crate) fn part(self) -> usize {
        self.part
    }

    /// Returns how many parts there are.
    pub(crate) fn parts(self) -> usize {
        self.parts
    }

    /// Returns the name of a folder for this part: `2-of-3`.
    pub(crate) fn folder(self) -> String {
        format!("{}-of-{}", self.part, self.parts)
    }

    /// Takes every n-th of all things, so that the parts differ by one at most, and slow ones are spread over all parts.
    pub(crate) fn of<T>(self, all: impl IntoIterator<Item = T>) -> impl Iterator<Item = T> {
        let rest = all.into_iter().skip(self.part - 1);
        rest.step_by(self.parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole_and_differ_by_one_at_most() {
        let (mut all, mut counts) = (Vec::new(), Vec::new());
        for part in ["1/3", "2/3", "3/3"] {
            let shard: Shard = part.parse().unwrap();
            counts.push(shard.of(0..10).count());
            all.extend(shard.of(0..10));
        }
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
        assert_eq!(counts, [4, 3, 3]);
    }

    #[test]
    fn it_is_read_as_it_is_written() {
        let shard: Shard = "2/3".parse().unwrap();
        assert_eq!(shard.to_string(), "2/3");
        let text = serde_json::to_string(&shard).unwrap();
        assert_eq!(serde_json::from_str::<Shard>(&text).unwrap(), shard);
        assert!(serde_json::from_str::<Shard>("\"4/3\"").is_err());
    }

    #[test]
    fn a_part_that_is_none_is_refused() {
        for text in ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
