//! `{{#item ...}}`: items of the code, copied from their files.
//!
//! Comments and format are kept, the indentation is taken away, and so are the documentation comments: mostly, the chapter
//! says the same in its own words. If the directive says `+docs`, they are prose above the code of their item. A function that is an
//! exercise is folded, so that a student does not read a solution by accident; `+open` shows it at once. In the edition for
//! students it is blank.

use std::fmt::Write as _;
use std::ops::Range;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};

use crate::docs;
use crate::edition::{Edition, exercise_of, without_body};
use course::item::{ItemPath, Located};
use course::manifest::{Exercise, Manifest};

/// A block of items, as a directive asks for it.
#[derive(Debug)]
pub(crate) struct Block {
    docs: bool,
    open: bool,
    /// The items, all of one file or of several.
    pub(crate) paths: Vec<ItemPath>,
}

impl Block {
    /// Reads the words of a directive.
    ///
    /// # Errors
    ///
    /// Fails if a path is malformed, or there is none.
    pub(crate) fn parse<'a>(words: impl Iterator<Item = &'a str>) -> Result<Self> {
        let (mut docs, mut open, mut paths) = (false, false, Vec::new());
        for word in words {
            match word {
                "+docs" => docs = true,
                "+open" => open = true,
                path => paths.push(path.parse()?),
            }
        }
        ensure!(
            !paths.is_empty(),
            "an item needs a path like FILE.rs::Type::function"
        );
        Ok(Self { docs, open, paths })
    }

    /// Returns the block as Markdown.
    ///
    /// # Errors
    ///
    /// Fails if an item is not there.
    pub(crate) fn markdown(
        &self,
        root: &Path,
        manifest: &Manifest,
        edition: Edition,
    ) -> Result<String> {
        let blank = Some(manifest).filter(|_| edition == Edition::Students);
        let texts = self.paths.iter().map(|path| self.text(root, path, blank));
        let texts = texts.collect::<Result<Vec<_>>>()?;
        let (anchors, name) = (self.anchors(), self.name());
        let block = blocks(&texts);
        let is_folded = edition == Edition::Whole && !self.open;
        Ok(match self.exercise(manifest).filter(|_| is_folded) {
            Some(id) => format!(
                "<details class=\"item\">\n<summary>{anchors}<span class=\"item-name\">{name}</span> \
                 <span class=\"item-exercise\">exercise {id}: shown when you open it</span></summary>\n\n{block}\n\n</details>\n"
            ),
            None => format!(
                "<div class=\"item\">\n<p class=\"item-name\">{anchors}{name}</p>\n\n{block}\n\n</div>\n"
            ),
        })
    }

    /// Reads an item; functions of the exercises of `blank` lose their bodies.
    fn text(&self, root: &Path, path: &ItemPath, blank: Option<&Manifest>) -> Result<Item> {
        let file = root.join(&path.file);
        let mut source = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {} of {path}", path.file.display()))?;
        if let Some(exercise) = blank.and_then(|manifest| exercise_of(manifest, path)) {
            source = without_body(&source, path, exercise)?;
        }
        let located = path.locate(&source)?;
        let docs = self.docs.then(|| docs::prose(&source, &located.docs));
        Ok(Item {
            docs: docs.unwrap_or_default(),
            code: cut_out(&source, &located),
        })
    }

    /// Returns a place to jump to for each item.
    fn anchors(&self) -> String {
        let one = |path| format!("<a id=\"{}\"></a>", anchor(path));
        self.paths.iter().map(one).collect()
    }

    /// Names file and items; a file that holds several is named once.
    fn name(&self) -> String {
        let mut name = String::new();
        let mut file = None;
        for path in &self.paths {
            let separator = if name.is_empty() { "" } else { ", " };
            if file.replace(&path.file) != Some(&path.file) {
                let _ = write!(name, "{separator}<code>{}</code>: ", path.file.display());
            } else {
                name.push_str(separator);
            }
            let _ = write!(name, "<code>{}</code>", path.function());
        }
        name
    }

    /// Returns the first exercise that asks for one of the items.
    fn exercise<'a>(&self, manifest: &'a Manifest) -> Option<&'a str> {
        let mut found = self
            .paths
            .iter()
            .filter_map(|path| exercise_of(manifest, path));
        found.next().map(Exercise::id)
    }
}

/// An item as the book shows it.
#[derive(Debug)]
struct Item {
    /// Its documentation as Markdown; empty if it is not shown.
    docs: String,
    code: String,
}

/// Returns the code as Markdown, with the documentation of each item above it. Items without one share a block.
fn blocks(items: &[Item]) -> String {
    let mut text = String::new();
    for (index, item) in items.iter().enumerate() {
        if !item.docs.is_empty() || index == 0 {
            if index > 0 {
                text.push_str("\n```\n\n");
            }
            if !item.docs.is_empty() {
                let _ = write!(
                    text,
                    "<div class=\"item-docs\">\n\n{}\n\n</div>\n\n",
                    item.docs
                );
            }
            text.push_str("```rust\n");
        } else {
            text.push_str("\n\n");
        }
        text.push_str(&item.code);
    }
    text.push_str("\n```");
    text
}

/// Returns the name of the place where an item is shown.
pub(crate) fn anchor(path: &ItemPath) -> String {
    let text = path.to_string();
    let plain = text.chars().map(|letter| {
        if letter.is_alphanumeric() || letter == '_' {
            letter
        } else {
            '-'
        }
    });
    format!("item-{}", plain.collect::<String>())
}

/// Cuts an item out of its file, without its documentation comment, and moves it to the left edge.
fn cut_out(source: &str, located: &Located) -> String {
    let start = source[..located.whole.start]
        .rfind('\n')
        .map_or(0, |end| end + 1);
    let indent = &source[start..located.whole.start];
    let mut text = source[start..located.whole.end].to_owned();
    for doc in located.docs.iter().rev() {
        let line = whole_line(source, doc);
        text.replace_range(line.start - start..line.end - start, "");
    }
    let lines = text
        .lines()
        .map(|line| line.strip_prefix(indent).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

fn whole_line(source: &str, part: &Range<usize>) -> Range<usize> {
    let start = source[..part.start].rfind('\n').map_or(0, |end| end + 1);
    let end = source[part.end..]
        .find('\n')
        .map_or(source.len(), |end| part.end + end + 1);
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/// What it is.
///
/// More.
#[derive(Debug)]
pub struct Thing {
    /// A field's doc stays.
    field: u8,
}
impl Thing {
    /// Doc.
    #[must_use]
    fn one(&self) -> u8 {
        // ü

        self.field
    }

    const TWO: u8 = 2;
}
trait Can {
    fn do_it(&self);
}
";

    fn shown(item: &str) -> String {
        let path: ItemPath = format!("a/b.rs::{item}").parse().unwrap();
        cut_out(SOURCE, &path.locate(SOURCE).unwrap())
    }

    #[test]
    fn items_of_every_kind_are_cut_out_and_moved_to_the_edge() {
        assert_eq!(
            shown("Thing::one"),
            "#[must_use]\nfn one(&self) -> u8 {\n    // ü\n\n    self.field\n}"
        );
        assert!(
            shown("Thing")
                .starts_with("#[derive(Debug)]\npub struct Thing {\n    /// A field's doc")
        );
        assert_eq!(shown("Thing::TWO"), "const TWO: u8 = 2;");
        assert_eq!(shown("Can::do_it"), "fn do_it(&self);");
        assert!(shown("Can").starts_with("trait Can {"));
    }

    #[test]
    fn documentation_is_above_the_code_of_its_item() {
        let item = |docs: &str, code: &str| Item {
            docs: docs.to_owned(),
            code: code.to_owned(),
        };
        let bare = [item("", "fn a() {}"), item("", "fn b() {}")];
        assert_eq!(blocks(&bare), "```rust\nfn a() {}\n\nfn b() {}\n```");
        let text = blocks(&[item("One.", "fn a() {}"), item("Two.", "fn b() {}")]);
        let order = ["One.", "fn a", "```\n\n<div", "Two.", "fn b"];
        let places = order.map(|part| text.find(part));
        assert!(places.is_sorted() && places[0].is_some(), "{text}");
    }

    #[test]
    fn the_file_is_named_once() {
        let block = Block::parse("a/b.rs::x a/b.rs::T::y c.rs::z".split(' ')).unwrap();
        assert_eq!(
            block.name(),
            "<code>a/b.rs</code>: <code>x</code>, <code>T::y</code>, <code>c.rs</code>: <code>z</code>"
        );
        assert_eq!(anchor(&block.paths[1]), "item-a-b-rs--T--y");
        assert!(Block::parse("+docs".split(' ')).is_err());
    }
}
