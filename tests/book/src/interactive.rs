//! The pages that a reader works with: a browser goes through each, and the code that it models does the same.

mod edges;
mod event_loop;
mod kernel_queues;
mod queue_and_h2;
mod stale_descriptor;
mod tcp_states;
mod two_parsers;

use std::fs;
use std::process::{Command, Stdio};

use serde::de::DeserializeOwned;

/// Defines `tell`, with which a visitor's script says what it has seen.
const TELL: &str = r#"<script>
const tell = (seen) => {
  const pre = document.createElement("pre");
  pre.id = "visit";
  pre.textContent = JSON.stringify(seen);
  document.body.append(pre);
};
"#;

/// Runs a visitor's script on a page, and returns what it tells; `None` without a browser.
fn visit<T: DeserializeOwned>(page: &str, visitor: &str) -> Option<T> {
    let Some(browser) = browser() else {
        eprintln!("skipped: no Chromium is installed to go through the page with");
        return None;
    };
    let root = course::workspace::root().unwrap();
    let page = root.join("book/src/interactive").join(page);
    let page = fs::read_to_string(page.with_extension("html")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    let copy = folder.path().join("page.html");
    let script = format!("{TELL}{visitor}</script></body>");
    fs::write(&copy, page.replace("</body>", &script)).unwrap();
    let profile = format!("--user-data-dir={}", folder.path().display());
    // coreutils' timeout: a browser that hangs must not hang the test.
    let output = Command::new("timeout")
        .args([
            "120",
            browser,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
        ])
        .args([&profile, "--dump-dom"])
        .arg(format!("file://{}", copy.display()))
        .output()
        .unwrap();
    let document = String::from_utf8_lossy(&output.stdout);
    let start = document
        .find("<pre id=\"visit\">")
        .expect("the visitor came to no end");
    let json = &document[start + "<pre id=\"visit\">".len()..];
    let json = &json[..json.find("</pre>").unwrap()];
    let json = json
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    Some(serde_json::from_str(&json).unwrap())
}

/// Returns a browser's name, if one is installed.
fn browser() -> Option<&'static str> {
    let runs = |name: &&str| {
        let mut command = Command::new(name);
        let quiet = command.arg("--version").stdout(Stdio::null());
        quiet.stderr(Stdio::null()).status().is_ok()
    };
    ["chromium", "chromium-browser", "google-chrome"]
        .into_iter()
        .find(runs)
}
