//! One part of the work, for machines that share it.

use std::str::FromStr;

/// Part `part` of `parts`, counted from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shard {
    part: usize,
    parts: usize,
}

impl FromStr for Shard {
    type Err = String;

    /// Reads a part like `2/3`.
    fn from_str(text: &str) -> Result<Self, String> {
        let numbers = text.split_once('/');
        let parse = |word: &str| word.parse::<usize>().ok();
        let numbers = numbers.and_then(|(part, parts)| Some((parse(part)?, parse(parts)?)));
        match numbers {
            Some((part, parts)) if (1..=parts).contains(&part) => Ok(Self { part, parts }),
            _ => Err("it must be like 1/3, 2/3 or 3/3".to_owned()),
        }
    }
}

impl Shard {
    /// Takes every n-th setting, so that slow ones are spread over all parts.
    pub(super) fn of<T>(self, all: Vec<T>) -> Vec<T> {
        let rest = all.into_iter().skip(self.part - 1);
        rest.step_by(self.parts).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parts_are_the_whole() {
        let mut all = Vec::new();
        for part in ["1/3", "2/3", "3/3"] {
            all.extend(part.parse::<Shard>().unwrap().of((0..10).collect()));
        }
        all.sort_unstable();
        assert_eq!(all, (0..10).collect::<Vec<_>>());
    }

    #[test]
    fn a_part_that_is_none_is_refused() {
        for text in ["0/3", "4/3", "1", "1/0", "a/b", "1/2/3"] {
            assert!(text.parse::<Shard>().is_err(), "{text}");
        }
    }
}
