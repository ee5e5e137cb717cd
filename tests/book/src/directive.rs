//! Directives: lines like `{{#item FILE::NAME}}`, which the preprocessor replaces with something that the course knows.
//!
//! ```text
//! {{#item stage3-epoll/src/client.rs::Client::wants_read}}   items of the code, several paths side by side
//! {{#item +docs FILE::NAME}}                                 with their documentation comments as prose
//! {{#exercise 3.2}}                                          the box of an exercise
//! {{#exercises}}                                             the table of all exercises
//! {{#hunts}}                                                 the table of all bug hunts
//! {{#quiz NAME NAME}}                                        a box with one question or two: tests/quiz
//! {{#milestones stage1}}                                      the milestones of a program from an empty file
//! {{#mutations NAME NAME NAME}}                               small changes, and the test that fails after each: tests/bugs/NAME.patch
//! {{#transcript two-clients}}                                a recorded terminal: book/transcripts/two-clients.txt
//! {{#commands two-clients}}                                  its commands alone, to paste them
//! {{#figure loop-turn}}                                      a picture with its caption: book/figures/loop-turn.txt
//! ```
//!
//! A directive has a line of its own. Within a block of code it is text like any other.

/// A directive of ours, taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Directive<'a> {
    /// The kind of its replacement.
    pub(crate) kind: Kind,
    /// The text after the first word.
    pub(crate) rest: &'a str,
}

/// The kinds of replacements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Items of the code.
    Item,
    /// The box of an exercise.
    Exercise,
    /// The table of all exercises.
    Exercises,
    /// The table of all bug hunts.
    Hunts,
    /// A box of questions.
    Quiz,
    /// The milestones of a stage's program from an empty file.
    Milestones,
    /// Small changes of the code, and the test that fails after each.
    Mutations,
    /// A recorded terminal.
    Transcript,
    /// The commands of a recorded terminal.
    Commands,
    /// A picture.
    Figure,
}

impl<'a> Directive<'a> {
    /// Reads a line; `None` when it is no directive of ours. mdBook has some of its own.
    pub(crate) fn parse(line: &'a str) -> Option<Self> {
        let inside = line.trim().strip_prefix("{{#")?.strip_suffix("}}")?;
        let (name, rest) = inside.split_once(' ').unwrap_or((inside, ""));
        let kind = match name {
            "item" => Kind::Item,
            "exercise" => Kind::Exercise,
            "exercises" => Kind::Exercises,
            "hunts" => Kind::Hunts,
            "quiz" => Kind::Quiz,
            "milestones" => Kind::Milestones,
            "mutations" => Kind::Mutations,
            "transcript" => Kind::Transcript,
            "commands" => Kind::Commands,
            "figure" => Kind::Figure,
            _ => return None,
        };
        let rest = rest.trim();
        Some(Self { kind, rest })
    }

    /// Returns the words after the first one.
    pub(crate) fn words(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        self.rest.split_whitespace()
    }
}

/// Replaces the lines of a chapter for which `replace` returns another text.
pub(crate) fn replace_lines(
    markdown: &str,
    mut replace: impl FnMut(&str) -> Option<String>,
) -> String {
    let mut text = String::with_capacity(markdown.len());
    let mut fence = Fence::default();
    for line in markdown.split_inclusive('\n') {
        let replaced = if fence.is_code(line) {
            None
        } else {
            replace(line)
        };
        match replaced {
            Some(new) => {
                text.push_str(&new);
                text.push('\n');
            }
            None => text.push_str(line),
        }
    }
    text
}

/// Returns the directives of a chapter in their order.
pub(crate) fn all(markdown: &str) -> Vec<Directive<'_>> {
    let mut fence = Fence::default();
    let lines = markdown.lines().filter(|line| !fence.is_code(line));
    lines.filter_map(Directive::parse).collect()
}

/// Tracks whether a line is in a block of code.
#[derive(Default)]
struct Fence(Option<(char, usize)>);

impl Fence {
    /// Returns whether this line belongs to a block of code, its first and last line among them.
    fn is_code(&mut self, line: &str) -> bool {
        let line = line.trim();
        let first = line.chars().next().filter(|mark| ['`', '~'].contains(mark));
        let Some(mark) = first else {
            return self.0.is_some();
        };
        let rest = line.trim_start_matches(mark);
        let length = line.len() - rest.len();
        match self.0 {
            None if length >= 3 && !rest.contains('`') => self.0 = Some((mark, length)),
            None => return false,
            Some((open, least)) if open == mark && length >= least && rest.is_empty() => {
                self.0 = None
            }
            Some(_) => {}
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHAPTER: &str = "\
a {{#item in.rs::the_text}}
{{#item a.rs::b c.rs::D::e}}
````text
{{#item not.rs::this}}
```
{{#exercise 9.9}}
````
  {{#exercise 3.2}}
{{#include other.md}}
{{#exercises}}";

    #[test]
    fn directives_are_found_outside_of_code_only() {
        let found: Vec<_> = all(CHAPTER)
            .iter()
            .map(|one| (one.kind, one.rest))
            .collect();
        let expected = [
            (Kind::Item, "a.rs::b c.rs::D::e"),
            (Kind::Exercise, "3.2"),
            (Kind::Exercises, ""),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn lines_are_replaced_and_the_others_stay_as_they_are() {
        let text = replace_lines(CHAPTER, |line| {
            Directive::parse(line).map(|_| "X".to_owned())
        });
        let expected = CHAPTER
            .replace("{{#item a.rs::b c.rs::D::e}}", "X")
            .replace("  {{#exercise 3.2}}", "X")
            .replace("{{#exercises}}", "X\n");
        assert_eq!(text, expected);
    }
}
