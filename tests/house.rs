//! The order of the house, checked: files import each other in one direction only.
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
        "{name:<18} {nodes:>3} {noun:<7} {arrows:>3} arrows {:>2} circles\n",
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
