//! The failure of a test: one headline, details, then the transcript, in the words of a patient teacher.

use std::fmt::{Debug, Write};

use crate::cause::{self, Symptom};
use crate::diff;
use crate::stopping::end_quietly_when_stopping;
use crate::transcript::Transcript;

/// A failure under construction; [`Failure::raise`] ends the test with it.
#[derive(Clone, Debug)]
#[must_use = "a failure does nothing until it is raised"]
pub struct Failure {
    headline: String,
    details: Vec<String>,
    symptom: Option<Symptom>,
    transcript: Option<Transcript>,
}

impl Failure {
    /// Creates a failure from the one sentence that says what is wrong.
    pub fn new(headline: impl Into<String>) -> Self {
        Self {
            headline: headline.into(),
            details: Vec::new(),
            symptom: None,
            transcript: None,
        }
    }

    /// Adds a line of detail.
    pub fn detail(mut self, line: impl Into<String>) -> Self {
        self.details.push(line.into());
        self
    }

    /// Adds the difference between the bytes that were expected and those seen.
    pub fn bytes(self, expected: &[u8], seen: &[u8]) -> Self {
        self.detail(diff::render(expected, seen))
    }

    /// Adds what this symptom often means.
    pub fn symptom(mut self, symptom: impl Into<Symptom>) -> Self {
        self.symptom = Some(symptom.into());
        self
    }

    /// Reports with `transcript` instead of the calling thread's current one.
    pub fn in_transcript(mut self, transcript: &Transcript) -> Self {
        self.transcript = Some(transcript.clone());
        self
    }

    /// Ends the test.
    ///
    /// # Panics
    ///
    /// Always panics. On the test's own thread the message is the whole report; on another thread it is only the failure
    /// itself, which also becomes a step of the transcript.
    #[track_caller]
    pub fn raise(self) -> ! {
        end_quietly_when_stopping();
        let transcript = self.transcript.clone().unwrap_or_else(Transcript::current);
        if !transcript.is_owner() {
            transcript.step(format!("FAILED: {}", self.own_words().trim_end()));
            panic!("{}", self.own_words());
        }
        transcript.mark_reported();
        panic!("{}", self.message(&transcript));
    }

    fn message(&self, transcript: &Transcript) -> String {
        let mut text = String::from("\n\n");
        if let Some(exercise) = transcript.missing_exercise() {
            // Writing into a String cannot fail.
            let _ = write!(
                text,
                "The program stopped because this is not yet implemented: {exercise}\n\n"
            );
        }
        text.push_str(&self.own_words());
        text.push_str(&transcript.report());
        text
    }

    fn own_words(&self) -> String {
        let mut text = format!("{}\n", self.headline);
        for line in self.details.iter().flat_map(|detail| detail.lines()) {
            let _ = writeln!(text, "  {line}");
        }
        if let Some(symptom) = self.symptom {
            let cause = cause::wrapped(symptom.often_means());
            let _ = writeln!(text, "\nWhat this often means:\n{cause}");
        }
        text
    }
}

/// Ends the test with one sentence and the transcript.
///
/// # Panics
///
/// Always panics.
#[track_caller]
pub fn fail(headline: impl Into<String>) -> ! {
    Failure::new(headline).raise()
}

/// Fails with `sentence` unless `holds`.
///
/// # Panics
///
/// Panics if `holds` is false.
#[track_caller]
pub fn ensure(holds: bool, sentence: impl Into<String>) {
    if !holds {
        fail(sentence);
    }
}

/// Fails unless `seen` is `expected`, and shows the first difference; `what` names the bytes, as "The answer".
///
/// # Panics
///
/// Panics if the bytes differ.
#[track_caller]
pub fn expect_bytes(what: &str, expected: &[u8], seen: &[u8]) {
    if seen != expected {
        Failure::new(format!("{what} differs from the expected bytes."))
            .bytes(expected, seen)
            .raise();
    }
}

/// Fails unless `seen` is `expected`; `case` names what was done, `cause` the mistake that this often comes from.
///
/// # Panics
///
/// Panics if the values differ.
#[track_caller]
pub fn expect_value<T: PartialEq + Debug>(
    case: impl Into<String>,
    expected: &T,
    seen: &T,
    cause: &str,
) {
    if seen != expected {
        Failure::new(format!("{} is wrong.", case.into()))
            .detail(format!("expected  {expected:?}"))
            .detail(format!("seen      {seen:?}"))
            .detail(format!("A likely cause: {cause}"))
            .raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::captured::Captured;
    use crate::test::Test;
    use std::sync::Arc;
    use std::{panic, thread};

    fn message_of(body: impl FnOnce() + panic::UnwindSafe) -> String {
        let payload = panic::catch_unwind(body).unwrap_err();
        payload.downcast_ref::<String>().unwrap().clone()
    }

    #[test]
    fn a_failure_reads_from_top_to_bottom() {
        let message = message_of(|| {
            let test = Test::begin("One read may return half a line.");
            test.note("client 1 sends 4 bytes");
            Failure::new("The answer is wrong.")
                .bytes(b"cba\n", b"cb")
                .raise();
        });
        let order = [
            "The answer is wrong.\n  right up to offset 2, then 2 bytes missing",
            r#"  expected  "cba\n""#,
            r#"  seen      "cb""#,
            "               ^",
            "What was done and seen:",
            "client 1 sends 4 bytes",
            "Hint: One read may return half a line.",
            "COURSE_SEED=0x",
        ];
        let places: Vec<_> = order.iter().map(|part| message.find(part)).collect();
        assert!(
            places.iter().all(Option::is_some) && places.is_sorted(),
            "{places:?} in {message}"
        );
    }

    #[test]
    fn a_wrong_value_has_its_case_and_a_cause() {
        let message = message_of(|| {
            let _test = Test::begin("");
            expect_value("The row of token 7", &Some(7), &None, "the row is lost");
        });
        let lines = "The row of token 7 is wrong.\n  expected  Some(7)\n  seen      None\n  A likely cause: the row is lost\n";
        assert!(message.contains(lines), "{message}");
    }

    #[test]
    fn a_blanked_exercise_is_the_headline() {
        let message = message_of(|| {
            let test = Test::begin("");
            let stderr = Arc::new(Captured::new(1000));
            stderr.push(b"thread 'main' panicked:\nnot yet implemented: exercise 3.2: flush\n");
            test.transcript().watch("stage3-epoll", &stderr);
            fail("No answer arrived.");
        });
        let headline =
            "\n\nThe program stopped because this is not yet implemented: exercise 3.2: flush\n";
        assert!(message.starts_with(headline), "{message}");
    }

    #[test]
    fn another_thread_fails_in_few_words_and_leaves_a_step() {
        let test = Test::begin("");
        let transcript = test.transcript().clone();
        let failed = thread::spawn(move || {
            transcript.enter();
            fail("The upstream saw nothing.");
        });
        let payload = failed.join().unwrap_err();
        assert_eq!(
            payload.downcast_ref::<String>().unwrap(),
            "The upstream saw nothing.\n"
        );
        assert!(
            test.transcript()
                .report()
                .contains("FAILED: The upstream saw nothing.\n")
        );
    }
}
