//! Which methods of a type call which others on `self`, read from the text of its `impl` blocks.
//!
//! rustfmt makes this possible without a parser: a block at the margin ends with a brace at the margin, and a method
//! inside it ends with a brace four spaces further in.

use std::collections::BTreeMap;
use std::path::Path;

use crate::graph::Graph;
use crate::imports::{code_of, files_below};

/// Returns the graph of the calls `self.method(..)` and `Self::method(..)` among the methods of the type `name`.
pub(crate) fn of(folder: &Path, name: &str) -> Graph {
    let mut bodies = BTreeMap::new();
    for file in files_below(folder) {
        collect(&code_of(&file), name, &mut bodies);
    }
    let mut graph = Graph::default();
    for (method, body) in &bodies {
        graph.add_node(method);
        for callee in bodies.keys().filter(|callee| calls(body, callee)) {
            graph.add_arrow(method, callee);
        }
    }
    graph
}

/// Collects the bodies of all methods of `name` in one file, each without spaces and line breaks.
fn collect(code: &str, name: &str, bodies: &mut BTreeMap<String, String>) {
    let mut is_inside = false;
    let mut method: Option<String> = None;
    for line in code.lines() {
        if line.starts_with("impl") {
            is_inside = is_of(line, name);
        } else if line.starts_with('}') {
            is_inside = false;
        } else if is_inside && let Some(started) = method_name(line) {
            bodies.entry(started.to_owned()).or_default();
            method = Some(started.to_owned());
        }
        if is_inside && let Some(body) = method.as_ref().and_then(|name| bodies.get_mut(name)) {
            body.extend(line.split_whitespace());
        }
        if line == "    }" || !is_inside {
            method = None;
        }
    }
}

/// Returns whether a line such as `impl<T> Worker<T> {` begins a block of methods of `name`.
fn is_of(line: &str, name: &str) -> bool {
    let subject = line.rsplit_once(" for ").map_or(line, |(_, after)| after);
    let mut words = subject.split(|letter: char| !letter.is_alphanumeric() && letter != '_');
    if line.contains(" for ") {
        words.next() == Some(name)
    } else {
        words.any(|word| word == name)
    }
}

/// Returns the name of the method that begins in a line with four spaces of indentation.
fn method_name(line: &str) -> Option<&str> {
    let code = line.strip_prefix("    ")?;
    let (before, after) = code.split_once("fn ")?;
    let is_head = before
        .split_whitespace()
        .all(|word| word.starts_with("pub") || word == "const" || word.ends_with(')'));
    let is_head = is_head && !before.starts_with(' ');
    is_head.then(|| after.split(['(', '<']).next()).flatten()
}

/// Returns whether a body calls `callee` on `self` or on `Self`.
fn calls(body: &str, callee: &str) -> bool {
    let called = |call: String| {
        body.match_indices(&call).any(|(at, _)| {
            // `myself.callee(` is another variable, and `self.row.callee(` does not match at all.
            !body[..at].ends_with(|letter: char| letter.is_alphanumeric() || letter == '_')
        })
    };
    called(format!("self.{callee}(")) || called(format!("Self::{callee}("))
}

#[test]
fn calls_on_self_are_arrows() {
    let code = "impl<F: Framing> Worker<F> {\n    pub(super) fn one(&mut self) {\n        self\n            .two(3);\n        self.row.three();\n    }\n\n    \
                fn two(\n        &self,\n    ) {\n        Self::three();\n    }\n\n    fn three() {}\n}\n\nimpl Drop for Other {\n    fn drop(&mut self) {}\n}\n";
    let mut bodies = BTreeMap::new();
    collect(code, "Worker", &mut bodies);
    let names: Vec<_> = bodies.keys().map(String::as_str).collect();
    assert_eq!(names, ["one", "three", "two"]);
    assert!(calls(&bodies["one"], "two") && !calls(&bodies["one"], "three"));
    assert!(calls(&bodies["two"], "three"));
}
