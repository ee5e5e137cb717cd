//! A merge of three texts, line by line: what the student has changed and what the course has changed since the text was given.
//!
//! ```text
//!   given ──▶ theirs   the student's changes ─┐
//!     └─────▶ new      the course's changes ──┴─▶ merged
//! ```
//!
//! Lines that are equal in all three divide the texts into pieces. A piece that only one side has changed is taken from that
//! side. If both have only inserted lines, both insertions stay. Otherwise the two collide, and the course's lines are taken,
//! because its tests expect them.

/// A merged text.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Merged {
    pub(super) text: String,
    /// How many pieces both sides have changed, so that lines of the student are missing.
    pub(super) collisions: usize,
}

/// Merges.
pub(super) fn merge(given: &str, theirs: &str, new: &str) -> Merged {
    let [given, theirs, new] = [given, theirs, new].map(lines);
    let to_theirs = partners(&given, &theirs);
    let to_new = partners(&given, &new);
    let mut merged = Merged {
        text: String::new(),
        collisions: 0,
    };
    let (mut from_given, mut from_theirs, mut from_new) = (0, 0, 0);
    for (line, pair) in to_theirs.iter().zip(&to_new).enumerate() {
        if let (&Some(in_theirs), &Some(in_new)) = pair {
            merged.add(
                &given[from_given..line],
                &theirs[from_theirs..in_theirs],
                &new[from_new..in_new],
            );
            merged.text.push_str(given[line]);
            (from_given, from_theirs, from_new) = (line + 1, in_theirs + 1, in_new + 1);
        }
    }
    merged.add(
        &given[from_given..],
        &theirs[from_theirs..],
        &new[from_new..],
    );
    merged
}

impl Merged {
    /// Adds a piece.
    fn add(&mut self, given: &[&str], theirs: &[&str], new: &[&str]) {
        if theirs == given || theirs == new {
            self.push(new);
        } else if new == given {
            self.push(theirs);
        } else if given.is_empty() {
            // An import that both have added would be an error.
            let is_double = |line: &&&str| line.starts_with("use ") && new.contains(line);
            let own: Vec<_> = theirs
                .iter()
                .filter(|line| !is_double(line))
                .copied()
                .collect();
            self.push(new);
            self.push(&own);
        } else {
            self.collisions += 1;
            self.push(new);
        }
    }

    fn push(&mut self, lines: &[&str]) {
        for line in lines {
            // The last line of a text may lack its newline, and here it may not be the last one.
            if !self.text.is_empty() && !self.text.ends_with('\n') {
                self.text.push('\n');
            }
            self.text.push_str(line);
        }
    }
}

fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}

/// Returns, for each line of `old`, its place in `new`, if it is in a longest common subsequence of the two.
fn partners(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let start = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (rest_old, rest_new) = (&old[start..], &new[start..]);
    let backwards = rest_old.iter().rev().zip(rest_new.iter().rev());
    let end = backwards.take_while(|(a, b)| a == b).count();
    let middle_old = &rest_old[..rest_old.len() - end];
    let middle_new = &rest_new[..rest_new.len() - end];

    let mut places: Vec<_> = (0..start).map(Some).collect();
    let middle = middle_partners(middle_old, middle_new);
    places.extend(middle.into_iter().map(|place| Some(place? + start)));
    places.extend((new.len() - end..new.len()).map(Some));
    places
}

/// As [`partners`], by the table of the lengths of all common subsequences.
fn middle_partners(old: &[&str], new: &[&str]) -> Vec<Option<usize>> {
    let width = new.len() + 1;
    // lengths[i * width + j]: of what `old[i..]` and `new[j..]` have in common.
    let mut lengths = vec![0_u32; (old.len() + 1) * width];
    for i in (0..old.len()).rev() {
        for j in (0..new.len()).rev() {
            lengths[i * width + j] = if old[i] == new[j] {
                lengths[(i + 1) * width + j + 1] + 1
            } else {
                lengths[(i + 1) * width + j].max(lengths[i * width + j + 1])
            };
        }
    }
    let mut places = vec![None; old.len()];
    let (mut i, mut j) = (0, 0);
    while i < old.len() && j < new.len() {
        if old[i] == new[j] {
            places[i] = Some(j);
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    places
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn merged(given: &str, theirs: &str, new: &str) -> (String, usize) {
        let merged = merge(given, theirs, new);
        (merged.text, merged.collisions)
    }

    #[test]
    fn changes_in_different_places_are_both_taken() {
        let given = "a\nb\nc\nd\ne\n";
        let table = [
            ("a\nB\nc\nd\ne\n", "a\nb\nc\nd\nE\n", "a\nB\nc\nd\nE\n", 0),
            (
                "x\na\nb\nc\nd\ne\n",
                "a\nc\nd\ne\ny\n",
                "x\na\nc\nd\ne\ny\n",
                0,
            ),
            ("a\nc\nd\ne\n", "a\nc\nd\ne\n", "a\nc\nd\ne\n", 0),
            ("a\nB\nc\nd\ne\n", "a\nC\nc\nd\ne\n", "a\nC\nc\nd\ne\n", 1),
        ];
        for (theirs, new, expected, collisions) in table {
            let found = merged(given, theirs, new);
            assert_eq!(found, (expected.to_owned(), collisions), "{theirs:?}");
        }
    }

    #[test]
    fn both_insertions_at_one_place_stay_and_an_import_is_there_once() {
        let given = "use a;\nfn f() {}\n";
        let theirs = "use a;\nuse b;\nuse mine;\nfn f() {}\n";
        let new = "use a;\nuse b;\nuse c;\nfn f() {}\n";
        let expected = "use a;\nuse b;\nuse c;\nuse mine;\nfn f() {}\n";
        assert_eq!(merged(given, theirs, new), (expected.to_owned(), 0));
        let (text, _) = merged("a\n", "a\nmine", "a\nb");
        assert_eq!(text, "a\nb\nmine");
    }

    /// A text of few different lines, so that equal ones are frequent.
    fn text() -> impl Strategy<Value = String> {
        proptest::collection::vec("[abc]{0,1}\n", 0..12).prop_map(|lines| lines.concat())
    }

    proptest! {
        #[test]
        fn with_one_side_unchanged_the_other_is_the_result(given in text(), other in text()) {
            prop_assert_eq!(merged(&given, &given, &other), (other.clone(), 0));
            prop_assert_eq!(merged(&given, &other, &given), (other.clone(), 0));
            prop_assert_eq!(merged(&given, &other, &other), (other.clone(), 0));
        }

        #[test]
        fn partners_are_equal_and_in_order(old in text(), new in text()) {
            let (old, new) = (lines(&old), lines(&new));
            let places = partners(&old, &new);
            prop_assert_eq!(places.len(), old.len());
            let found: Vec<_> = places.iter().flatten().collect();
            prop_assert!(found.windows(2).all(|pair| pair[0] < pair[1]));
            for (line, place) in places.iter().enumerate() {
                prop_assert!(place.is_none_or(|place| old[line] == new[place]));
            }
        }
    }
}
