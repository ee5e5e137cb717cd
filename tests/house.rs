//! The order of the house, checked: files import each other in one direction only, and no method of a worker reaches itself through others.
//!
//! ```text
//! cargo test -p harness --test house -- --nocapture
//! ```
//!
//! A circle means that none of its files can be read, tested or moved without the others. To open one, move the item
//! that both sides need into a file of its own, below them.

#[path = "house/graph.rs"]
mod graph;
#[path = "house/imports.rs"]
mod imports;
#[path = "house/methods.rs"]
mod methods;

use std::path::{Path, PathBuf};

use graph::Graph;

/// The folders with the source of each package; a workspace made by `cargo course start` has only some of them.
const PACKAGES: &[&str] = &[
    "stage1-server/src",
    "stage2-client/src",
    "stage3-epoll/src",
    "stage4-proxy/src",
    "stage5-mux/src",
    "tests/src",
    "tests/bench/src",
    "tests/book/src",
    "tests/course/src",
    "tests/demo/src",
    "tests/fuzz/src",
];

/// The types that wire the parts of a stage, and the most methods of each. They tend to grow, and with more methods a part
/// of such a type is better an object of its own.
const WIRING: &[(&str, &str, usize)] = &[
    ("stage3-epoll/src", "Server", 30),
    ("stage4-proxy/src", "Session", 30),
    ("stage4-proxy/src", "Worker", 30),
    ("stage5-mux/src", "Exchange", 40),
    ("stage5-mux/src/queue", "Worker", 30),
    ("stage5-mux/src/tunnel", "Linker", 30),
    ("stage5-mux/src/tunnel", "Worker", 30),
];

fn folder_of(package: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .join(package)
}

/// Describes a graph in one line, and its circles, if any, in one line each.
fn report(name: &str, noun: &str, graph: &Graph) -> (String, bool) {
    let circles = graph.circles();
    let (nodes, arrows) = (graph.nodes(), graph.arrows());
    let mut text = format!(
        "{name:<25} {nodes:>3} {noun:<7} {arrows:>3} arrows {:>2} circles\n",
        circles.len()
    );
    for circle in &circles {
        text.push_str(&format!("    {}\n", circle.join(" -> ")));
    }
    (text, circles.is_empty())
}

#[test]
fn files_import_in_one_direction() {
    let mut broken = String::new();
    for package in PACKAGES {
        let folder = folder_of(package);
        if !folder.is_dir() {
            continue;
        }
        let (text, is_open) = report(package, "files", &imports::of(&folder));
        print!("{text}");
        if !is_open {
            broken.push_str(&text);
        }
    }
    assert!(
        broken.is_empty(),
        "\nFiles import each other in a circle; move what both need into a file below them:\n{broken}"
    );
}

#[test]
fn no_method_reaches_itself() {
    let mut broken = String::new();
    for (package, name, max) in WIRING {
        let folder = folder_of(package);
        if !folder.is_dir() {
            continue;
        }
        let calls = methods::of(&folder, name);
        let (text, is_open) = report(&format!("{package} {name}"), "methods", &calls);
        print!("{text}");
        if !is_open || calls.nodes() > *max {
            broken.push_str(&text);
        }
    }
    assert!(
        broken.is_empty(),
        "\nA method reaches itself through others, or a type has more methods than `WIRING` allows; return a value to the caller instead:\n{broken}"
    );
}
