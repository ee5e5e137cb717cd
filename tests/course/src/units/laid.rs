//! The code of a submission with the test modules of the course in it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, anyhow, ensure};
use proc_macro2::{TokenStream, TokenTree};

use crate::grade::files::Files;
use crate::splice::{Edit, apply};
use crate::units::build::Fault;
use crate::units::pristine::Pristine;
use course::unit::{self, Sources, TestModule};

/// Two tests that run before and after each other.
const SEAL: &str = include_str!("seal.rs.txt");

/// The beginnings of the names of macros with which tests say what must be true.
const ASSERTIONS: &[&str] = &["assert", "panic", "prop_"];

/// The files for the test target.
#[derive(Debug)]
pub(super) struct Laid {
    pub(super) files: Files,
    /// The test modules as they are in these files.
    modules: Vec<TestModule>,
}

impl Laid {
    /// Lays all modules of the course but some over code.
    ///
    /// # Errors
    ///
    /// Fails if the code is not Rust, or could change what the tests mean.
    pub(super) fn over(
        code: &Files,
        pristine: &Pristine,
        without: &BTreeSet<String>,
    ) -> Result<Self> {
        let mut files = code.clone();
        let theirs = unit::modules(&texts(code)?)?;
        files.retain(|file, _| !theirs.iter().any(|module| module.owns(file)));
        let stays = |module: &&TestModule| !without.contains(&module.path);
        let ours: Vec<_> = pristine.modules().filter(stays).collect();
        for (file, text) in texts(code)? {
            if let Some(bytes) = files.get_mut(&file) {
                *bytes = replaced(&file, &text, &theirs, &ours, pristine)?.into_bytes();
            }
        }
        for module in pristine.modules() {
            files.retain(|file, _| !module.owns(file));
        }
        for module in &ours {
            let own = pristine.files(module);
            files.extend(own.map(|(file, text)| (file.clone(), text.clone().into_bytes())));
        }
        let modules = unit::modules(&texts(&files)?)?;
        if let Some(top) = files.get_mut(Path::new("lib.rs")) {
            top.extend_from_slice(SEAL.as_bytes());
        }
        Ok(Self { files, modules })
    }

    /// Returns the test module in which the compiler has found a fault.
    pub(super) fn blame<'a>(&'a self, fault: &'a Fault) -> Option<(&'a TestModule, &'a Fault)> {
        let is_in = |module: &&TestModule| {
            module.owns(&fault.file)
                || module.file == fault.file && self.lines(module).contains(&fault.line)
        };
        Some((self.modules.iter().find(is_in)?, fault))
    }

    /// Returns the lines of a module in the file that declares it.
    fn lines(&self, module: &TestModule) -> std::ops::RangeInclusive<usize> {
        let text = self.files.get(&module.file).map_or(&[][..], Vec::as_slice);
        let line = |at: usize| {
            let before = text.iter().take(at);
            before.filter(|byte| **byte == b'\n').count() + 1
        };
        line(module.item.start)..=line(module.item.end)
    }
}

/// Returns the text of a file with the modules of the course in place of those of a submission, or behind everything else.
fn replaced(
    file: &Path,
    text: &str,
    theirs: &[TestModule],
    ours: &[&TestModule],
    pristine: &Pristine,
) -> Result<String> {
    let here = |module: &&TestModule| module.file == file;
    let mut ours: Vec<_> = ours.iter().copied().filter(here).collect();
    let mut edits = Vec::new();
    let mut rest = Vec::new();
    for module in theirs.iter().filter(here) {
        let place = ours.iter().position(|one| one.name() == module.name());
        let text = place.map(|place| pristine.text(ours.remove(place)));
        let range = module.item.clone();
        rest.push(Edit {
            range: range.clone(),
            text: String::new(),
        });
        edits.push(Edit {
            range,
            text: text.unwrap_or_default().to_owned(),
        });
    }
    let macros = own_macros(&apply(text, rest)?)?;
    ensure!(
        macros <= own_macros(pristine.file(file))?,
        "src/{} has a macro of its own, which may change what an assertion says",
        file.display()
    );
    let mut text = apply(text, edits)?;
    for module in ours {
        text = format!("{}\n\n{}\n", text.trim_end(), pristine.text(module));
    }
    Ok(text)
}

/// Counts the places in which code defines a macro, or gives one the name of an assertion.
fn own_macros(text: &str) -> Result<usize> {
    let tokens: TokenStream = text.parse().map_err(|error| anyhow!("{error}"))?;
    let mut words = Vec::new();
    collect(tokens, &mut words);
    let defined = words.iter().filter(|word| *word == "macro_rules").count();
    let is_assertion = |name: &String| ASSERTIONS.iter().any(|start| name.starts_with(start));
    let pairs = words.windows(2);
    let renamed = pairs.filter(|pair| pair[0] == "as" && is_assertion(&pair[1]));
    Ok(defined + renamed.count())
}

/// Collects the words of code; comments have none.
fn collect(tokens: TokenStream, words: &mut Vec<String>) {
    for token in tokens {
        match token {
            TokenTree::Group(group) => collect(group.stream(), words),
            TokenTree::Ident(word) => words.push(word.to_string()),
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

/// Returns the Rust files as texts.
fn texts(files: &Files) -> Result<Sources> {
    let is_rust = |file: &PathBuf| file.extension().is_some_and(|end| end == "rs");
    let rust = files.iter().filter(|(file, _)| is_rust(file));
    let text = |(file, bytes): (&PathBuf, &Vec<u8>)| {
        let text = String::from_utf8(bytes.clone());
        let text = text.with_context(|| format!("src/{} is not text", file.display()))?;
        Ok((file.clone(), text))
    };
    rust.map(text).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "fn f() {}\n\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn ours() {}\n}\n";
    const DEEP: &str = "#[test] fn deep() {}";

    fn files(all: &[(&str, &str)]) -> Files {
        let own = |(name, text): &(&str, &str)| (PathBuf::from(name), text.as_bytes().to_vec());
        all.iter().map(own).collect()
    }

    fn pristine() -> Pristine {
        let declared = "fn g() {}\n#[cfg(test)]\nmod tests;\n";
        let all = files(&[
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", OURS),
            ("b.rs", declared),
            ("b/tests.rs", DEEP),
        ]);
        Pristine::of(texts(&all).unwrap()).unwrap()
    }

    fn laid(code: &[(&str, &str)], without: &[&str]) -> Result<Laid> {
        let without = without.iter().map(|path| (*path).to_owned()).collect();
        Laid::over(&files(code), &pristine(), &without)
    }

    fn text(laid: &Laid, file: &str) -> String {
        String::from_utf8(laid.files[Path::new(file)].clone()).unwrap()
    }

    #[test]
    fn only_test_modules_are_replaced_and_others_of_them_are_gone() {
        let theirs = "fn f() { 1; }\n#[cfg(test)]\nmod tests { mine! {} }\n#[cfg(test)]\nmod more { }\nfn h() {}\n";
        let code = [
            ("lib.rs", "mod a;\nmod b;\n"),
            ("a.rs", theirs),
            ("b.rs", "fn g() { 2; }\n"),
            ("b/tests.rs", "lies"),
            ("b/tests/x.rs", "lies"),
            ("page.html", "\u{fc}"),
        ];
        let laid = laid(&code, &[]).unwrap();
        let a = text(&laid, "a.rs");
        assert!(
            a.starts_with("fn f() { 1; }\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn ours"),
            "{a}"
        );
        assert!(a.ends_with("\n\nfn h() {}\n") && !a.contains("more"), "{a}");
        let b = text(&laid, "b.rs");
        assert_eq!(b, "fn g() { 2; }\n\n#[cfg(test)]\nmod tests;\n");
        assert_eq!(text(&laid, "b/tests.rs"), DEEP);
        assert!(!laid.files.contains_key(Path::new("b/tests/x.rs")));
        assert!(text(&laid, "lib.rs").ends_with(SEAL));
        assert_eq!(text(&laid, "page.html"), "\u{fc}");
    }

    #[test]
    fn the_reference_stays_as_it_is_but_for_the_seal() {
        let code = [("lib.rs", "mod a;\n"), ("a.rs", OURS)];
        let laid = laid(&code, &[]).unwrap();
        assert_eq!(text(&laid, "a.rs"), OURS);
        assert_eq!(text(&laid, "lib.rs"), format!("mod a;\n{SEAL}"));
    }

    #[test]
    fn a_fault_is_blamed_on_the_module_around_it_and_the_module_can_be_left_out() {
        let code = [
            ("lib.rs", ""),
            ("a.rs", OURS),
            ("b.rs", ""),
            ("b/tests.rs", ""),
        ];
        let all = laid(&code, &[]).unwrap();
        let blame = |file: &str, line| {
            let fault = Fault {
                file: file.into(),
                line,
                ..Fault::default()
            };
            all.blame(&fault).map(|(module, _)| module.path.clone())
        };
        assert_eq!(blame("a.rs", 5).as_deref(), Some("a::tests"));
        assert_eq!(blame("a.rs", 1), None);
        assert_eq!(blame("b/tests.rs", 1).as_deref(), Some("b::tests"));
        let rest = laid(&code, &["a::tests", "b::tests"]).unwrap();
        assert_eq!(text(&rest, "a.rs"), "fn f() {}\n\n\n");
        assert_eq!(text(&rest, "b.rs"), "");
        assert!(!rest.files.contains_key(Path::new("b/tests.rs")));
    }

    #[test]
    fn a_macro_that_may_be_an_assertion_is_refused() {
        let words = "// macro_rules\n/// The same as assert.\nfn f() {}\n";
        assert!(laid(&[("lib.rs", words)], &[]).is_ok());
        for code in [
            "macro_rules! assert_eq { () => {} }",
            "use std::stringify as assert_eq;",
        ] {
            let error = laid(&[("lib.rs", code)], &[]).unwrap_err().to_string();
            assert!(error.starts_with("src/lib.rs has"), "{error}");
        }
    }
}
