//! Which way is better, and how tables, charts and files of results say it.

use serde_json::Value;

/// Which way is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Better {
    More,
    Less,
}

impl Better {
    /// Reads the word in a row of a file of results.
    pub(crate) fn of_row(row: &Value) -> Self {
        if row["better"] == Self::More.word() {
            Self::More
        } else {
            Self::Less
        }
    }

    /// Returns the word for files and figures.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::More => "more",
            Self::Less => "less",
        }
    }

    /// Returns a title with an arrow in the direction of better.
    pub(crate) fn label(self, title: &str) -> String {
        let arrow = match self {
            Self::More => '↑',
            Self::Less => '↓',
        };
        format!("{title} {arrow}")
    }
}
