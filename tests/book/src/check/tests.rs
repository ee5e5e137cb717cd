use super::*;

const MANIFEST: &str = r#"
[[stage]]
id = "stage1"
package = "stage1-x"
title = "X"
[[stage.exercise]]
id = "1.1"
title = "One"
points = 100
minutes = 10
chapter = "one.md"
items = ["stage1-x/src/lib.rs::one"]
tests = ["e11_"]
needs = []
hints = ["a", "b", "c"]
"#;
const FIGURE: &str = "Title: A box.\nAlt: A box with a word in it, and nothing else beside it at all.\n\ndrawing 200x100\nbox one 20,20 100x40 : word\n";
const ONE: &str = "# One\n\n{{#item stage1-x/src/lib.rs::two}}\n\n{{#figure box}}\n\n{{#exercise 1.1}}\n\n{{#quiz a}}\n\n{{#mutations a a a}}\n\n[two](two.md)\n";
const BUG: &str = "Stage: stage1\nExercise: 1.1\nMisconception: It is two.\nCaught by: e11_a\n--- a/stage1-x/src/lib.rs\n+++ b/stage1-x/src/lib.rs\n@@ -1 +1 @@\n-fn one() {}\n+fn two() {}\n";
const QUIZ: &str = "[[question]]\nname = \"a\"\nexercise = \"1.1\"\nsituation = \"S.\"\nask = \"W?\"\nright = \"r\"\nwhy = \"w\"\ncite = \"close(2)\"\nwrong = [{ choice = \"x\", why = \"y\" }, { choice = \"z\", why = \"y\" }]\n";
const TWO: &str = "# Two\n\n{{#transcript echo}}\n\n{{#exercises}}\n\n```rust\nfn main() {}\n```\n";

/// A course that is sound.
fn course() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in [
        ("course.toml", MANIFEST),
        (
            "stage1-x/src/lib.rs",
            "fn one() {}\n/// Doc.\nfn two() {}\n",
        ),
        ("tests/stage1.rs", "#[test] fn e11_a() {}\n"),
        ("tests/bugs/a.patch", BUG),
        ("tests/quiz/a.toml", QUIZ),
        ("book/book.toml", "[book]\ntitle = \"T\"\n"),
        ("book/src/SUMMARY.md", "- [One](one.md)\n- [Two](two.md)\n"),
        ("book/src/one.md", ONE),
        ("book/src/two.md", TWO),
        ("book/figures/box.txt", FIGURE),
        ("book/transcripts/echo.txt", "$ echo x\nx\n"),
    ] {
        write(folder.path(), name, text);
    }
    figures::write_all(folder.path()).unwrap();
    folder
}

fn write(root: &Path, name: &str, text: &str) {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn found(root: &Path) -> Findings {
    let pages = tempfile::tempdir().unwrap();
    find(root, pages.path(), &Problems::default(), Times::new(false)).unwrap()
}

fn problems(root: &Path) -> Vec<String> {
    found(root).problems
}

#[test]
fn a_sound_book_has_no_problems() {
    let folder = course();
    let findings = found(folder.path());
    assert_eq!(findings.problems, Vec::<String>::new());
    assert_eq!(findings.chapters, 2);
    assert!(findings.links > 0);
    let dark = "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"fig\"";
    assert!(
        fs::read_to_string(folder.path().join("book/figures/box.svg"))
            .unwrap()
            .starts_with(dark)
    );
}

/// Damages a sound course in one way after the other: the file, what to replace, by what, the problem to be found.
fn each_is_found(table: &[[&str; 4]]) {
    for [name, from, to, expected] in table {
        let folder = course();
        let old = fs::read_to_string(folder.path().join(name)).unwrap_or_default();
        assert!(old.contains(from), "{name} has no {from}");
        write(folder.path(), name, &old.replacen(from, to, 1));
        let found = problems(folder.path());
        let is_there = found.iter().any(|problem| problem.contains(expected));
        assert!(is_there, "{expected}: {found:#?}");
    }
}

#[test]
fn what_is_shown_and_not_there_is_found() {
    let (one, two) = ("book/src/one.md", "book/src/two.md");
    let table = "{{#exercises}}";
    each_is_found(&[
        [
            one,
            "::two",
            "::three",
            "one.md: there is no item stage1-x/src/lib.rs::three",
        ],
        [
            one,
            "lib.rs",
            "bil.rs",
            "one.md: cannot read stage1-x/src/bil.rs",
        ],
        [
            one,
            "1.1",
            "7.7",
            "one.md: there is no exercise \"7.7\" in course.toml",
        ],
        [
            one,
            "figure box",
            "figure cube",
            "one.md: there is no figure cube",
        ],
        [
            two,
            "echo",
            "gone",
            "two.md: there is no book/transcripts/gone.txt",
        ],
        [
            two,
            table,
            "{{#odd x}}",
            "two.md: a directive was not expanded: {{#odd x}}",
        ],
        [
            two,
            table,
            "{{#include x.rs}}",
            "a directive was not expanded: {{#include x.rs}}",
        ],
        [
            two,
            table,
            "{{#include one.md:2}}",
            "two.md: show a part of a file with {{#item ...}}",
        ],
        [
            two,
            "fn main() {}\n",
            "",
            "two.md: an empty code block below \"Two\"",
        ],
        [
            one,
            "two.md",
            "two.md#gone",
            "one.html: the link two.html#gone leads to no place on that page",
        ],
        [
            one,
            "two.md",
            "gone.md",
            "one.html: the link gone.html leads to no page",
        ],
    ]);
}

#[test]
fn boxes_in_wrong_places_are_found() {
    let (one, two) = ("book/src/one.md", "book/src/two.md");
    let the_box = "{{#exercise 1.1}}";
    each_is_found(&[
        [
            one,
            the_box,
            "",
            "one.md: the box of exercise 1.1 is missing",
        ],
        [
            one,
            "{{#mutations a a a}}",
            "",
            "one.md: it has exercises, so it needs {{#mutations NAME NAME NAME}}",
        ],
        [
            one,
            "{{#quiz a}}",
            "",
            "one.md: it has exercises, so it needs {{#quiz NAME NAME}}",
        ],
        [
            one,
            "quiz a",
            "quiz b",
            "one.md: there is no question \"b\"",
        ],
        [
            one,
            "a a a",
            "a a",
            "one.md: a chapter has 3 changes, not 2",
        ],
        [
            one,
            the_box,
            "{{#exercise 1.1}}\n\n{{#exercise 1.1}}",
            "one.md: the box of exercise 1.1 appears 2 times",
        ],
        [
            two,
            "# Two",
            "# Two\n\n{{#exercise 1.1}}",
            "two.md: the box of exercise 1.1 belongs into one.md",
        ],
        [
            "course.toml",
            "one.md",
            "gone.md",
            "course.toml: exercise 1.1 is in gone.md, which SUMMARY.md does not list",
        ],
        [
            "book/src/three.md",
            "",
            "# Three\n",
            "three.md: SUMMARY.md does not list this page",
        ],
    ]);
}

#[test]
fn figures_and_transcripts_that_are_old_or_unused_are_found() {
    let figure = "book/figures/box.txt";
    each_is_found(&[
        [
            "book/transcripts/echo.txt",
            "$ echo",
            "% file x.py: 1\n$ echo",
            "book/transcripts/echo.txt: no chapter shows x.py",
        ],
        [
            "book/src/one.md",
            "{{#figure box}}",
            "",
            "book/figures/box.txt: no chapter shows it",
        ],
        [
            figure,
            ": word",
            ": other",
            "book/figures/box.txt: the picture is not what its source gives",
        ],
        [
            figure,
            "with a word in it, and nothing else beside it at all",
            "",
            "the alternative text says too little",
        ],
        [
            "book/transcripts/more.txt",
            "",
            "$ true\n",
            "book/transcripts/more.txt: no chapter shows it",
        ],
    ]);
}
