//! The pages that a reader works with: a browser goes through each, and the code that it models does the same.

mod edges;
mod event_loop;
mod kernel_queues;
mod queue_and_h2;
mod stale_descriptor;
mod tcp_states;
mod two_parsers;

use serde::de::DeserializeOwned;

use crate::chromium::{Browser, program};

/// Runs a visitor's script on a page until it calls `tell`, and returns what it tells; `None` without a browser.
fn visit<T: DeserializeOwned>(page: &str, visitor: &str) -> Option<T> {
    let Some(program) = program() else {
        eprintln!("skipped: no Chromium is installed to go through the page with");
        return None;
    };
    let root = course::workspace::root().unwrap();
    let page = root.join("book/src/interactive").join(page);
    let mut browser = Browser::start(program).unwrap();
    browser.open(&page.with_extension("html")).unwrap();
    let script = format!("new Promise((tell) => {{ {visitor} }})");
    let seen = browser.evaluate(&script).unwrap();
    assert_eq!(browser.errors(), Vec::<String>::new());
    Some(seen)
}
