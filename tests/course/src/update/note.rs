//! Sentences about an update that a student must read.

use std::fmt;
use std::path::PathBuf;

/// Something that the student should look at.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Note {
    /// The signature of a function that is written has changed.
    Signature {
        item: String,
        before: String,
        after: String,
    },
    /// Only its documentation has changed.
    Documentation(String),
    /// A function that is written is no longer in the course.
    FunctionGone(String),
    /// A source file with changes of the student is no longer in the course.
    FileGone(PathBuf),
    /// The student and the course have changed the same lines, outside of the student's functions.
    Collision(PathBuf),
    /// Another file that the student has changed is the course's again.
    Replaced(PathBuf),
}

impl fmt::Display for Note {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signature {
                item,
                before,
                after,
            } => write!(
                formatter,
                "{item}: the signature has changed, and your body is below the new one. Does it still fit?\n    before  {before}\n    now     {after}"
            ),
            Self::Documentation(item) => write!(
                formatter,
                "{item}: its documentation has changed. Your body is as it was; read once more how it must behave."
            ),
            Self::FunctionGone(item) => {
                write!(formatter, "{item}: the course no longer has this function.")
            }
            Self::FileGone(file) => {
                write!(
                    formatter,
                    "{}: the course no longer has this file.",
                    file.display()
                )
            }
            Self::Collision(file) => write!(
                formatter,
                "{}: you and the course have changed the same lines outside of the exercises' functions. The course's are in \
                 the file now; if yours are missing, take them from the copy.",
                file.display()
            ),
            Self::Replaced(file) => write!(
                formatter,
                "{}: you had changed this file, and it is the course's again.",
                file.display()
            ),
        }
    }
}
