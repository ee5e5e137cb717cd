//! Unit tests: which there are in the source of a stage, and how they are named.
//!
//! ```text
//!   src/line.rs    #[cfg(test)] mod tests { .. }   ─▶ line::tests::every_cut_into_two_gives_the_same_answers
//!   src/half.rs    #[cfg(test)] mod tests;         ─▶ half::tests::..., from src/half/tests.rs and src/half/tests/
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::spanned::Spanned as _;
use syn::{Attribute, Item, ItemMod};

use crate::item::parse;
use crate::listing;

/// The texts of Rust files, by their paths below `src`.
pub type Sources = BTreeMap<PathBuf, String>;

/// A module with unit tests: it is below a `#[cfg(test)]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TestModule {
    /// The file that declares it, below `src`.
    pub file: PathBuf,
    /// Its path in the crate: `line::tests`.
    pub path: String,
    /// Its declaration or, if it is not in files of its own, all of it: bytes of that file.
    pub item: Range<usize>,
    /// The file and the folder of its own that it may have, below `src`.
    places: [PathBuf; 2],
    /// The paths of its tests.
    pub tests: Vec<String>,
}

impl TestModule {
    /// Returns whether a file belongs to the module alone.
    pub fn owns(&self, file: &Path) -> bool {
        let [own, folder] = &self.places;
        file == own || file.starts_with(folder)
    }

    /// Returns its name in the file that declares it.
    pub fn name(&self) -> &str {
        self.path.rsplit("::").next().unwrap_or(&self.path)
    }
}

/// Reads all Rust files below a folder.
///
/// # Errors
///
/// Fails if one of them cannot be read.
pub fn read(src: &Path) -> Result<Sources> {
    let mut sources = Sources::new();
    for path in listing::below(src, "rs")? {
        let text = fs::read_to_string(&path);
        let text = text.with_context(|| format!("cannot read {}", path.display()))?;
        sources.insert(path.strip_prefix(src).unwrap_or(&path).to_owned(), text);
    }
    Ok(sources)
}

/// Finds the test modules of a library.
///
/// # Errors
///
/// Fails if a file is not Rust.
pub fn modules(sources: &Sources) -> Result<Vec<TestModule>> {
    let mut found = Vec::new();
    for (file, text) in sources {
        // Most files have none, and parsing takes time.
        if is_of_library(file) && text.contains("cfg(test)") {
            let parsed = parse(text).with_context(|| format!("in {}", file.display()))?;
            let all = parsed.items.iter().filter_map(|item| declared(file, item));
            found.extend(all);
        }
    }
    // A test module may declare further ones, which are parts of it.
    let all = found.clone();
    found.retain(|one| !all.iter().any(|other| other.owns(&one.file)));
    for module in &mut found {
        let mut tests = Vec::new();
        for (file, text) in sources.iter().filter(|(file, _)| module.owns(file)) {
            let parsed = parse(text).with_context(|| format!("in {}", file.display()))?;
            collect(&parsed.items, &path_of(file), &mut tests);
        }
        module.tests.extend(tests);
    }
    Ok(found)
}

/// Returns the module if an item is one for tests.
fn declared(file: &Path, item: &Item) -> Option<TestModule> {
    let Item::Mod(module) = item else {
        return None;
    };
    if !module.attrs.iter().any(is_cfg_test) {
        return None;
    }
    let name = module.ident.to_string();
    let path = join(&path_of(file), &name);
    let mut tests = Vec::new();
    if let Some((_, items)) = &module.content {
        collect(items, &path, &mut tests);
    }
    let folder = children(file).join(&name);
    Some(TestModule {
        file: file.to_owned(),
        path,
        item: ItemMod::span(module).byte_range(),
        places: [folder.with_extension("rs"), folder],
        tests,
    })
}

fn is_cfg_test(attribute: &Attribute) -> bool {
    let tokens = attribute.meta.require_list().map(|list| &list.tokens);
    attribute.path().is_ident("cfg") && tokens.is_ok_and(|text| text.to_string() == "test")
}

/// Returns whether a file may be a part of the library, and not of a program.
fn is_of_library(file: &Path) -> bool {
    file != Path::new("main.rs") && !file.starts_with("bin")
}

/// Returns the folder with the modules that a file declares.
fn children(file: &Path) -> PathBuf {
    let is_top = ["lib.rs", "mod.rs"].iter().any(|name| file.ends_with(name));
    if is_top {
        file.parent().unwrap_or(Path::new("")).to_owned()
    } else {
        file.with_extension("")
    }
}

/// Returns the path of a file's module: `http::head` for `http/head.rs`, nothing for `lib.rs`.
fn path_of(file: &Path) -> String {
    let parts = children(file);
    let parts: Vec<_> = parts.iter().map(|part| part.to_string_lossy()).collect();
    parts.join("::")
}

fn join(path: &str, name: &str) -> String {
    if path.is_empty() {
        name.to_owned()
    } else {
        format!("{path}::{name}")
    }
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "syn may add kinds of items; no other kind has tests"
)]
fn collect(items: &[Item], path: &str, tests: &mut Vec<String>) {
    for item in items {
        match item {
            Item::Fn(it) if it.attrs.iter().any(|one| one.path().is_ident("test")) => {
                tests.push(join(path, &it.sig.ident.to_string()));
            }
            Item::Mod(it) => {
                let items = it.content.as_ref().map(|(_, items)| items.as_slice());
                collect(
                    items.unwrap_or_default(),
                    &join(path, &it.ident.to_string()),
                    tests,
                );
            }
            Item::Macro(it) if it.mac.path.is_ident("proptest") => {
                in_macro(it.mac.tokens.clone(), path, tests);
            }
            _ => {}
        }
    }
}

/// Collects the tests of `proptest!`: functions whose arguments are not those of Rust.
fn in_macro(tokens: TokenStream, path: &str, tests: &mut Vec<String>) {
    let (mut is_test, mut is_name) = (false, false);
    for token in tokens {
        match token {
            TokenTree::Group(group) if group.delimiter() == Delimiter::Bracket => {
                is_test |= group.stream().to_string() == "test";
            }
            TokenTree::Ident(word) if is_name => {
                if is_test {
                    tests.push(join(path, &word.to_string()));
                }
                (is_test, is_name) = (false, false);
            }
            TokenTree::Ident(word) => is_name = word == "fn",
            TokenTree::Group(_) | TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(files: &[(&str, &str)]) -> Vec<TestModule> {
        let own = |(name, text): &(&str, &str)| (PathBuf::from(name), (*text).to_owned());
        modules(&files.iter().map(own).collect()).unwrap()
    }

    #[test]
    fn tests_are_found_with_their_paths() {
        let inside = "fn f() {}\n#[cfg(test)]\nmod tests {\n    #[test]\n    fn one() {}\n    mod deep { #[test] fn two() {} }\n\
                      proptest! {\n #![proptest_config(x)]\n #[test]\n fn three(a in 1..2, b in any::<u8>()) { fn no() {} }\n }\n}\n";
        let all = found(&[
            ("a/b.rs", inside),
            ("main.rs", inside),
            ("bin/x.rs", inside),
        ]);
        assert_eq!(all.len(), 1);
        assert_eq!(all[0].path, "a::b::tests");
        assert_eq!(
            all[0].tests,
            [
                "a::b::tests::one",
                "a::b::tests::deep::two",
                "a::b::tests::three"
            ]
        );
        assert!(inside[all[0].item.clone()].starts_with("#[cfg(test)]\nmod tests {"));
    }

    #[test]
    fn a_module_in_files_owns_them_and_what_is_below() {
        let all = found(&[
            (
                "half.rs",
                "#[cfg(test)]\nmod tests;\n#[cfg(test)] fn no() {}",
            ),
            (
                "half/tests.rs",
                "mod more;\n#[test] fn one() {}\n#[cfg(test)] mod again {}",
            ),
            ("half/tests/more.rs", "#[test] fn two() {}"),
            ("half/other.rs", "#[test] fn not_of_a_test_module() {}"),
            (
                "lib.rs",
                "mod half;\n#[cfg(test)]\nmod tests { #[test] fn top() {} }",
            ),
        ]);
        let tests = |at: usize| all[at].tests.clone();
        assert_eq!(tests(0), ["half::tests::more::two", "half::tests::one"]);
        assert_eq!(tests(1), ["tests::top"]);
        assert_eq!((all.len(), all[0].name()), (2, "tests"));
        assert!(all[0].owns(Path::new("half/tests/x/y.rs")));
        assert!(!all[0].owns(Path::new("half/tester.rs")));
    }
}
