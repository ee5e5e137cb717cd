//! A submission of a rehearsal: how its code differs from the reference, and the verdicts that it must get.

/// A submission and its expected verdicts.
#[derive(Debug)]
pub(super) struct Submission {
    /// The name of the folder.
    pub(super) name: &'static str,
    /// A few words about its behaviour.
    pub(super) about: &'static str,
    /// How it differs from the reference.
    pub(super) changes: &'static [Change],
    /// A letter for each exercise of stage 1: passed, failed, late, not built, ungraded; or x for anything but passed.
    pub(super) expected: &'static str,
    /// How it takes part in a quick rehearsal.
    pub(super) quick: Quick,
}

/// A quick rehearsal has few submissions, and few tests that wait for a program that does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Quick {
    /// Not in it.
    No,
    /// Unchanged.
    Whole,
    /// Without [`PROGRAM`], so that only tests of functions run the code; with the verdicts that it must get then.
    Functions(&'static str),
}

/// A difference from the reference.
#[derive(Debug)]
pub(super) enum Change {
    /// These exercises are not written.
    Blank(&'static [&'static str]),
    /// The body of a function.
    Body(&'static str, &'static str),
    /// Statements at the beginning of a function, before the reference's, which this file must not repeat: students have it.
    Before(&'static str, &'static str),
    /// More at the end of a file.
    Append(&'static str, &'static str),
    /// A file.
    File(&'static str, &'static str),
    /// A link in place of a file.
    Link(&'static str, &'static str),
}

/// The exercises whose tests run the program.
const PROGRAM: Change = Change::Blank(&["1.4", "1.5"]);

impl Submission {
    /// Returns the verdicts that the submission must get in a quick rehearsal or in a whole one.
    pub(super) fn expected(&self, is_quick: bool) -> &'static str {
        match self.quick {
            Quick::Functions(expected) if is_quick => expected,
            Quick::Functions(_) | Quick::Whole | Quick::No => self.expected,
        }
    }

    /// Returns how the submission differs from the reference.
    pub(super) fn changes(&self, is_quick: bool) -> impl Iterator<Item = &'static Change> {
        let is_short = is_quick && matches!(self.quick, Quick::Functions(_));
        self.changes.iter().chain(is_short.then_some(&PROGRAM))
    }
}
