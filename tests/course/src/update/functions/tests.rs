//! Whatever students and the course have changed in the real files, the students' bodies are there afterwards.

use std::sync::OnceLock;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;
use crate::splice::{Blank, blank};
use course::manifest::Manifest;
use course::workspace;

/// A file with exercises: its text, finished or with a student's work in it, and its items with the names of their exercises.
#[derive(Debug)]
struct Real {
    name: PathBuf,
    text: String,
    items: Vec<(ItemPath, String)>,
}

/// Bytes of the largest file that is taken: larger ones take long to parse, and show nothing else.
const MAX_BYTES: usize = 12_000;

/// Reads the files that have exercises.
fn real() -> &'static [Real] {
    static FILES: OnceLock<Vec<Real>> = OnceLock::new();
    FILES.get_or_init(|| {
        let root = workspace::root().unwrap();
        let manifest = Manifest::load(&root).unwrap();
        let mut files: BTreeMap<PathBuf, Vec<(ItemPath, String)>> = BTreeMap::new();
        for (_, exercise) in manifest.exercises() {
            for item in exercise.items().unwrap() {
                let items = files.entry(item.file.clone()).or_default();
                items.push((item, exercise.name()));
            }
        }
        let read = |(name, items): (PathBuf, _)| Real {
            text: std::fs::read_to_string(root.join(&name)).unwrap(),
            name,
            items,
        };
        let all = files.into_iter().map(read);
        all.filter(|file| file.text.len() < MAX_BYTES).collect()
    })
}

impl Real {
    /// Returns the file as it is handed out, after the course has edited it.
    fn handed_out(&self, text: &str, title: &str) -> String {
        let open: Vec<_> = self
            .items
            .iter()
            .map(|(item, name)| Blank {
                item: item.clone(),
                exercise: format!("{name}{title}"),
                simple: None,
            })
            .collect();
        blank(text, &open).unwrap()
    }

    fn bring(&self, given: &str, theirs: &str, new: &str) -> (String, Vec<Note>) {
        let items = self.items.iter().map(|(item, _)| item.clone());
        let source = Source {
            name: self.name.clone(),
            given: Some(given.to_owned()),
            theirs: Some(theirs.to_owned()),
            new: Some(new.to_owned()),
        };
        let sources = [source];
        let functions = Functions::collect(&sources, items.collect()).unwrap();
        let (text, notes) = functions.bring(&sources[0]).unwrap();
        (text.unwrap(), notes)
    }
}

/// A body as a student may write it, with braces where they do not count.
fn body() -> impl Strategy<Value = String> {
    let statement = select(vec![
        "let one = 1;",
        "// A thought: { and }",
        "let text = \"}\";",
        "let raw = r#\"todo!(\"exercise 1.1: x\")\"#;",
        "loop {\n        break;\n    }",
        "/* } */ helper();",
        "todo!(\"later\");",
        "",
    ]);
    let statements = proptest::collection::vec(statement, 0..5);
    statements.prop_map(|lines| format!("{{\n    {}\n}}", lines.join("\n    ")))
}

/// Inserts a line in front of the line with the item at a random place of the file.
fn insert(text: &str, place: Index, line: &str) -> String {
    let file = syn::parse_file(text).unwrap();
    use syn::spanned::Spanned as _;
    let starts: Vec<_> = file
        .items
        .iter()
        .map(|item| item.span().byte_range().start)
        .collect();
    let mut text = text.to_owned();
    text.insert_str(starts[place.index(starts.len())], &format!("{line}\n"));
    text
}

/// Writes a student's bodies into the file as it was handed out; `None` leaves an exercise open.
fn solve(real: &Real, given: &str, bodies: &[Option<String>]) -> String {
    let edits = real.items.iter().zip(bodies.iter().cycle());
    let edits = edits.filter_map(|((item, _), body)| {
        let range = item.find(given).unwrap().body;
        let text = body.clone()?;
        Some(Edit { range, text })
    });
    apply(given, edits.collect()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn every_body_survives_and_both_sides_changes_are_there(
        file: Index,
        bodies in proptest::collection::vec(proptest::option::of(body()), 1..6),
        student in proptest::collection::vec(any::<Index>(), 0..3),
        course in proptest::collection::vec(any::<Index>(), 0..3),
        title in "( again)?",
    ) {
        let real = &real()[file.index(real().len())];
        let given = real.handed_out(&real.text, "");
        let mut theirs = solve(real, &given, &bodies);
        for (number, place) in student.iter().enumerate() {
            theirs = insert(&theirs, *place, &format!("fn helper_{number}() {{}}\n"));
        }
        let mut text = real.text.clone();
        for (number, place) in course.iter().enumerate() {
            text = insert(&text, *place, &format!("// Corrected: {number}.\nconst CORRECTED_{number}: u8 = 0;\n"));
        }
        let new = real.handed_out(&text, &title);
        let (merged, notes) = real.bring(&given, &theirs, &new);

        prop_assert!(syn::parse_file(&merged).is_ok(), "{}", merged);
        for (item, _) in &real.items {
            let (was, is) = (item.body(&theirs).unwrap(), item.body(&merged).unwrap());
            let is_open = was == item.body(&given).unwrap();
            prop_assert_eq!(is, if is_open { item.body(&new).unwrap() } else { was });
        }
        for number in 0..course.len() {
            let line = format!("// Corrected: {number}.");
            prop_assert!(merged.contains(&line), "{} is not in {}", line, merged);
        }
        if notes.is_empty() {
            for number in 0..student.len() {
                prop_assert!(merged.contains(&format!("fn helper_{number}()")), "{}", merged);
            }
        }
    }
}

const GIVEN: &str =
    "/// Doc.\nfn one(x: u8) -> u8 {\n    todo!(\"exercise 1.1: One\")\n}\n\nfn other() {}\n";

fn one() -> ItemPath {
    "stage1-x/src/lib.rs::one".parse().unwrap()
}

fn source(name: &str, texts: [Option<&str>; 3]) -> Source {
    let [given, theirs, new] = texts.map(|text| text.map(str::to_owned));
    Source {
        name: PathBuf::from(name),
        given,
        theirs,
        new,
    }
}

#[test]
fn a_changed_signature_is_told_and_the_body_is_below_the_new_one() {
    let theirs = GIVEN.replace("todo!(\"exercise 1.1: One\")", "x + 1");
    let new = GIVEN.replace("x: u8", "x: u16");
    let sources = [source(
        "stage1-x/src/lib.rs",
        [Some(GIVEN), Some(&theirs), Some(&new)],
    )];
    let functions = Functions::collect(&sources, [one()].into()).unwrap();
    let (text, notes) = functions.bring(&sources[0]).unwrap();
    assert!(
        text.unwrap()
            .contains("fn one(x: u16) -> u8 {\n    x + 1\n}")
    );
    let told = notes[0].to_string();
    assert!(
        told.contains("before  fn one(x: u8) -> u8") && told.contains("now     fn one(x: u16)"),
        "{told}"
    );
    let docs = GIVEN.replace("Doc.", "Another doc.");
    let sources = [source(
        "stage1-x/src/lib.rs",
        [Some(GIVEN), Some(&theirs), Some(&docs)],
    )];
    let (text, notes) = functions.bring(&sources[0]).unwrap();
    assert!(text.unwrap().contains("x + 1"));
    assert_eq!(notes, [Note::Documentation(one().to_string())]);
}

#[test]
fn a_function_that_moves_to_another_file_takes_its_body_along() {
    let theirs = GIVEN.replace("todo!(\"exercise 1.1: One\")", "x + 1");
    let rest = "fn other() {}\n";
    let moved: ItemPath = "stage1-x/src/new.rs::one".parse().unwrap();
    let sources = [
        source(
            "stage1-x/src/lib.rs",
            [Some(GIVEN), Some(&theirs), Some(rest)],
        ),
        source("stage1-x/src/new.rs", [None, None, Some(GIVEN)]),
    ];
    let functions = Functions::collect(&sources, [one(), moved].into()).unwrap();
    let brought = |number: usize| functions.bring(&sources[number]).unwrap();
    assert_eq!(brought(0), (Some(rest.to_owned()), Vec::new()));
    assert_eq!(brought(1), (Some(theirs.clone()), Vec::new()));
    let sources = [source(
        "stage1-x/src/lib.rs",
        [Some(GIVEN), Some(&theirs), Some(rest)],
    )];
    let functions = Functions::collect(&sources, [one()].into()).unwrap();
    let (_, notes) = functions.bring(&sources[0]).unwrap();
    assert_eq!(notes, [Note::FunctionGone(one().to_string())]);
}

#[test]
fn lines_that_both_have_changed_are_told() {
    let theirs = GIVEN.replace("fn other() {}", "fn other() { mine() }");
    let new = GIVEN.replace("fn other() {}", "fn other() { course() }");
    let sources = [source(
        "stage1-x/src/lib.rs",
        [Some(GIVEN), Some(&theirs), Some(&new)],
    )];
    let functions = Functions::collect(&sources, [one()].into()).unwrap();
    let (text, notes) = functions.bring(&sources[0]).unwrap();
    assert_eq!(text.unwrap(), new);
    assert_eq!(
        notes,
        [Note::Collision(PathBuf::from("stage1-x/src/lib.rs"))]
    );
}

#[test]
fn a_finished_function_stays_finished_where_the_update_has_blanked_it() {
    let finished = GIVEN.replace("todo!(\"exercise 1.1: One\")", "x + 1");
    let texts = [
        Some(finished.as_str()),
        Some(finished.as_str()),
        Some(GIVEN),
    ];
    let sources = [source("stage1-x/src/lib.rs", texts)];
    let functions = Functions::collect(&sources, [one()].into()).unwrap();
    let (text, notes) = functions.bring(&sources[0]).unwrap();
    assert_eq!((text.unwrap(), notes), (finished, Vec::new()));
}

#[test]
fn a_file_that_is_not_rust_stops_the_update_with_its_line() {
    let broken = GIVEN.replace("fn other() {}", "fn other( {}");
    let new = GIVEN.replace("Doc", "Word");
    let sources = [source(
        "stage1-x/src/lib.rs",
        [Some(GIVEN), Some(&broken), Some(&new)],
    )];
    let error = Functions::collect(&sources, [one()].into())
        .unwrap_err()
        .to_string();
    assert!(
        error.starts_with("stage1-x/src/lib.rs:6 is not Rust"),
        "{error}"
    );
}
