//! Which files of a package import which others, read from the text: `use crate::...`, `super::` and paths in the code.
//!
//! No arrow is an import of an item from a module above (a child may use its parent), a `pub use` of a child (the parent
//! only shows it), or anything in tests. An item that a module above shows by `pub use` counts for the file that defines it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::graph::Graph;

/// A module: the segments of its path below the root, which is empty for `lib.rs`.
type Module = Vec<String>;

/// Returns the graph of the imports among the files of a package.
pub(crate) fn of(folder: &Path) -> Graph {
    let package = Package::read(folder);
    let mut graph = Graph::default();
    for (module, source) in &package.sources {
        graph.add_node(&name_of(module));
        for path in source.imports.iter().chain(&source.mentions) {
            let target = package.definition(module, path);
            if target != *module && !module.starts_with(&target) {
                graph.add_arrow(&name_of(module), &name_of(&target));
            }
        }
    }
    graph
}

fn name_of(module: &Module) -> String {
    if module.is_empty() {
        "lib".into()
    } else {
        module.join("/")
    }
}

struct Package {
    sources: BTreeMap<Module, Source>,
}

/// The paths in one file, each split into its segments.
#[derive(Debug, Default)]
struct Source {
    /// Private `use` statements.
    imports: Vec<Vec<String>>,
    /// `pub use` statements, which show an item of another file under this module.
    shown: Vec<Vec<String>>,
    /// Paths in the middle of the code that begin with `crate::` or `super::`.
    mentions: Vec<Vec<String>>,
}

impl Package {
    fn read(folder: &Path) -> Self {
        let has_library = folder.join("lib.rs").is_file();
        let mut sources = BTreeMap::new();
        for file in files_below(folder) {
            let inside = file.strip_prefix(folder).unwrap_or(&file);
            // Programs are crates of their own, which see only what the library shows.
            let is_program = inside.starts_with("bin") || has_library && inside == "main.rs";
            if !is_program {
                sources.insert(module_of(inside), Source::read(&code_of(&file)));
            }
        }
        Self { sources }
    }

    /// Returns the module that defines the item which `path` names in `module`.
    fn definition(&self, module: &Module, path: &[String]) -> Module {
        let (mut place, rest) = self.start(module, path);
        let mut rest = rest.iter();
        while let Some(segment) = rest.next() {
            let mut child = place.clone();
            child.push(segment.clone());
            if self.sources.contains_key(&child) {
                place = child;
                continue;
            }
            let source = self.sources.get(&place);
            let shown = source.and_then(|source| {
                source
                    .shown
                    .iter()
                    .find(|path| path.last() == Some(segment))
            });
            return match shown {
                // A step into the children only, so that this ends.
                Some(path) => {
                    let mut whole = path.clone();
                    whole.extend(rest.cloned());
                    self.definition(&place, &whole)
                }
                None => place,
            };
        }
        place
    }

    /// Returns the module in which a path begins, and the segments that follow.
    fn start<'a>(&self, module: &Module, path: &'a [String]) -> (Module, &'a [String]) {
        let mut place = module.clone();
        let mut rest = path;
        while let Some((first, after)) = rest.split_first() {
            match first.as_str() {
                "crate" => place.clear(),
                "self" => {}
                "super" => {
                    place.pop();
                }
                _ => break,
            }
            rest = after;
        }
        (place, rest)
    }
}

impl Source {
    fn read(code: &str) -> Self {
        let mut source = Self::default();
        let mut rest = code;
        while let Some((before, after)) = split_at_use(rest) {
            source.mention(before);
            let (statement, after) = after.split_once(';').unwrap_or((after, ""));
            let is_shown = before
                .lines()
                .last()
                .is_some_and(|line| line.trim_start().starts_with("pub"));
            let paths = if is_shown {
                &mut source.shown
            } else {
                &mut source.imports
            };
            expand(&mut Vec::new(), statement.trim(), paths);
            rest = after;
        }
        source.mention(rest);
        source
    }

    fn mention(&mut self, code: &str) {
        for root in ["crate::", "super::"] {
            for (at, _) in code.match_indices(root) {
                let before = &code[..at];
                // `$crate::`, `pub(in crate::a)` and the second half of `super::super::` are no paths of their own.
                if before.ends_with(['$', ':']) || before.ends_with("in ") {
                    continue;
                }
                let path = &code[at..];
                let end = path
                    .find(|letter: char| !letter.is_alphanumeric() && !matches!(letter, '_' | ':'));
                let path = &path[..end.unwrap_or(path.len())];
                self.mentions
                    .push(path.split("::").map(str::to_owned).collect());
            }
        }
    }
}

/// Splits code before and after the next `use` that begins a statement.
fn split_at_use(code: &str) -> Option<(&str, &str)> {
    code.match_indices("use ").find_map(|(at, word)| {
        let line = code[..at].rsplit('\n').next().unwrap_or_default().trim();
        let is_statement =
            line.is_empty() || line == "pub" || line.starts_with("pub(") && line.ends_with(')');
        is_statement.then(|| (&code[..at], &code[at + word.len()..]))
    })
}

/// Expands `a::{b, c::{self, D as E}}` into its paths.
fn expand(prefix: &mut Vec<String>, tree: &str, paths: &mut Vec<Vec<String>>) {
    if let Some(list) = tree
        .strip_prefix('{')
        .and_then(|list| list.strip_suffix('}'))
    {
        for branch in branches(list) {
            expand(prefix, branch, paths);
        }
        return;
    }
    match tree.split_once("::") {
        Some((first, after)) if !first.contains('{') => {
            prefix.push(first.trim().to_owned());
            expand(prefix, after.trim(), paths);
            prefix.pop();
        }
        _ => {
            let name = tree.split(" as ").next().unwrap_or(tree).trim();
            let mut path = prefix.clone();
            if name != "self" && !name.is_empty() {
                path.push(name.to_owned());
            }
            paths.push(path);
        }
    }
}

/// Splits a list at the commas that are not inside of inner braces.
fn branches(list: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let parts = list.split(|letter: char| {
        match letter {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        letter == ',' && depth == 0
    });
    parts
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect()
}

fn module_of(inside: &Path) -> Module {
    let path = inside.with_extension("");
    let mut module: Module = path
        .iter()
        .map(|part| part.to_string_lossy().into_owned())
        .collect();
    if matches!(
        module.last().map(String::as_str),
        Some("lib" | "main" | "mod")
    ) {
        module.pop();
    }
    module
}

/// Returns all files of source below a folder, without those of tests.
pub(crate) fn files_below(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries.map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        if path.file_stem().is_some_and(|stem| stem == "tests") {
            continue;
        }
        if path.is_dir() {
            files.extend(files_below(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// Returns a file's code: without the lines that are comments, and without its tests, which come last.
pub(crate) fn code_of(file: &Path) -> String {
    let text = fs::read_to_string(file).unwrap_or_default();
    let code = text
        .split("#[cfg(test)]\nmod tests")
        .next()
        .unwrap_or_default();
    let is_code = |line: &&str| !line.trim_start().starts_with("//");
    code.lines()
        .filter(is_code)
        .flat_map(|line| [line, "\n"])
        .collect()
}

#[test]
fn statements_and_paths_are_read() {
    let code = "use std::fs;\nuse crate::a::{self, B, c::D as E};\npub(crate) use child::Item;\nfn f() {\n    crate::proc::raise();\n}\n";
    let source = Source::read(code);
    let joined =
        |paths: &[Vec<String>]| paths.iter().map(|path| path.join("::")).collect::<Vec<_>>();
    assert_eq!(
        joined(&source.imports),
        ["std::fs", "crate::a", "crate::a::B", "crate::a::c::D"]
    );
    assert_eq!(joined(&source.shown), ["child::Item"]);
    assert_eq!(joined(&source.mentions), ["crate::proc::raise"]);
}

#[test]
fn an_item_belongs_to_the_file_that_defines_it() {
    let file = |path: &str, code: &str| (module_of(Path::new(path)), Source::read(code));
    let package = Package {
        sources: BTreeMap::from([
            file("lib.rs", "pub use token::Token;"),
            file("token.rs", ""),
            file("queue.rs", "pub use link::Link;"),
            file(
                "queue/link.rs",
                "use super::super::Token; use crate::queue::Link;",
            ),
        ]),
    };
    let defined = |module: &str, path: &str| {
        let path: Vec<_> = path.split("::").map(str::to_owned).collect();
        name_of(&package.definition(&module_of(Path::new(module)), &path))
    };
    assert_eq!(defined("queue/link.rs", "super::super::Token"), "token");
    assert_eq!(defined("token.rs", "crate::queue::Link"), "queue/link");
    assert_eq!(defined("token.rs", "std::fs::File"), "token");
}
