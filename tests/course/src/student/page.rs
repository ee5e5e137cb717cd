//! Where an exercise is in the book.

use std::path::{Path, PathBuf};

use course::manifest::{Exercise, anchor};

/// The built book's folder: that of a workspace, and that of the course, where `cargo book` builds it.
const PLACES: [&str; 2] = ["book", "book/book"];

/// Returns the folder of the built book, relative to `root`, if there is one.
pub(super) fn folder(root: &Path) -> Option<PathBuf> {
    let has_book = |place: &&str| root.join(place).join("index.html").is_file();
    PLACES.into_iter().find(has_book).map(PathBuf::from)
}

/// Describes where to read: `book/stage1-server.html#exercise-1-1`, or the chapter where the book is not built.
pub(super) fn to_read(root: &Path, exercise: &Exercise) -> String {
    match folder(root) {
        Some(folder) => format!(
            "{}/{}#{}",
            folder.display(),
            exercise.page(),
            anchor(exercise.id())
        ),
        None => format!("the book's chapter {}", exercise.chapter.as_ref()),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use course::manifest::Manifest;
    use course::workspace;

    #[test]
    fn a_workspace_reads_its_own_book() {
        let manifest = Manifest::load(&workspace::root().unwrap()).unwrap();
        let (_, exercise) = manifest.find("1.1").unwrap();
        let folder = tempfile::tempdir().unwrap();
        let told = || to_read(folder.path(), exercise);
        assert_eq!(told(), "the book's chapter stage1-server.md");
        for (place, begin) in [("book/book", "book/book/"), ("book", "book/")] {
            fs::create_dir_all(folder.path().join(place)).unwrap();
            fs::write(folder.path().join(place).join("index.html"), "").unwrap();
            assert_eq!(told(), format!("{begin}stage1-server.html#exercise-1-1"));
        }
    }
}
