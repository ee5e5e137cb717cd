//! The built pages, opened from their files in a browser, as a reader does.
//!
//! | looked at | found |
//! |---|---|
//! | console | errors of scripts, resources that are missing |
//! | widths of a desktop and of a phone | pages that are wider than the window |
//! | width of a desktop | code that is cut at the right |
//! | search | terms that it does not find, or finds on pages that do not have them |

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use course::listing;
use regex::Regex;
use serde::Deserialize;

use crate::chromium::{Browser, program};

/// A page that only a web server shows as it is meant: its links begin at the root.
const SERVED: &str = "404.html";
/// Terms that a reader searches for.
const TERMS: [&str; 3] = ["keepalive", "lingering close", "accept queue"];
/// The first results, which a reader looks at.
const LOOKED_AT: usize = 5;

/// The widths of windows: what they are called, and whether the longest line of code must fit. The phone comes first,
/// because a page decides while it is loaded whether it has room for the table of contents beside it.
const WINDOWS: [(u32, &str, bool); 2] = [(PHONE, "a phone", false), (1280, "a desktop", true)];
const PHONE: u32 = 390;
const HEIGHT: u32 = 900;

/// Measures a page whose folded parts are open.
const MEASURE: &str = r#"(() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const isCut = (element) => element.scrollWidth > element.clientWidth + 1;
  const frames = [document.documentElement, document.querySelector(".content")];
  const code = [...document.querySelectorAll("pre > code")].filter(isCut);
  const longest = (lines) => lines.reduce((one, other) => (one.length > other.length ? one : other));
  return { wide: frames.some((frame) => frame && isCut(frame)), cut: code.map((one) => longest(one.textContent.split("\n"))) };
})()"#;

/// Types a term into the search bar, and returns the addresses of the results.
const SEARCH: &str = r##"new Promise((found) => {
  const get = (name) => document.getElementById("mdbook-search" + name);
  if (get("-wrapper").classList.contains("hidden")) get("-toggle").click();
  get("bar").value = TERM;
  get("bar").dispatchEvent(new KeyboardEvent("keyup"));
  const look = () => {
    if (!get("results-header").textContent.includes(TERM)) return setTimeout(look, 20);
    found([...document.querySelectorAll("#mdbook-searchresults a")].map((link) => link.getAttribute("href")));
  };
  look();
})"##;

/// The measures of a page.
#[derive(Deserialize)]
struct Measures {
    /// Whether it is wider than the window.
    wide: bool,
    /// The longest lines of the blocks of code that are.
    cut: Vec<String>,
}

/// Opens every page below `folder` and describes what is wrong with it; nothing without a browser.
///
/// # Errors
///
/// Fails if the browser does not do what it is told.
pub(crate) fn problems(folder: &Path) -> Result<Vec<String>> {
    let Some(program) = program() else {
        println!("skipped: no Chromium is installed to open the pages and to search in them.");
        return Ok(Vec::new());
    };
    let mut browser = Browser::start(program)?;
    let mut problems = Vec::new();
    for page in listing::below(folder, "html")? {
        let name = page.strip_prefix(folder)?.display();
        if !page.ends_with(SERVED) {
            let found = look(&mut browser, &page).with_context(|| name.to_string())?;
            problems.extend(
                found
                    .into_iter()
                    .map(|problem| format!("{name}: {problem}")),
            );
        }
    }
    browser.open(&folder.join("index.html"))?;
    for term in TERMS {
        problems.extend(search(&mut browser, folder, term)?);
    }
    Ok(problems)
}

/// Opens a page in all widths.
fn look(browser: &mut Browser, page: &Path) -> Result<Vec<String>> {
    let mut problems = Vec::new();
    browser.resize(PHONE, HEIGHT)?;
    browser.open(page)?;
    for (width, window, fits_code) in WINDOWS {
        browser.resize(width, HEIGHT)?;
        let measures: Measures = browser.evaluate(MEASURE)?;
        if measures.wide {
            problems.push(format!("it is wider than the window of {window}"));
        }
        let cut = measures.cut.iter().filter(|_| fits_code);
        problems.extend(cut.map(|code| format!("code is cut at the right: {code:?}")));
    }
    let errors = browser.errors().into_iter();
    problems.extend(errors.map(|error| format!("the console shows an error: {error}")));
    Ok(problems)
}

/// Searches for a term, and describes why a reader does not find it.
fn search(browser: &mut Browser, folder: &Path, term: &str) -> Result<Option<String>> {
    let script = SEARCH.replace("TERM", &format!("{term:?}"));
    let links: Vec<String> = browser.evaluate(&script)?;
    for link in links.iter().take(LOOKED_AT) {
        let end = link.find(['?', '#']).unwrap_or(link.len());
        let html = fs::read_to_string(folder.join(&link[..end]))
            .with_context(|| format!("the search leads to {link}"))?;
        if text_of(&html)?.contains(term) {
            return Ok(None);
        }
    }
    let count = links.len();
    Ok(Some(format!(
        "the search for {term:?} has {count} results, and none of the first {LOOKED_AT} has the term"
    )))
}

/// Returns the words of a page, without its tags, in lower case.
fn text_of(html: &str) -> Result<String> {
    let text = Regex::new("<[^>]*>")?.replace_all(html, "").to_lowercase();
    Ok(text.split_whitespace().collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_that_is_broken_in_a_browser_is_found() {
        let Some(program) = program() else {
            eprintln!("skipped: no Chromium is installed");
            return;
        };
        let folder = tempfile::tempdir().unwrap();
        let page = folder.path().join("page.html");
        let mut browser = Browser::start(program).unwrap();
        let wide = "<div style='width: 600px'>x</div>";
        let code = format!(
            "<pre><code style='display: block; overflow: auto'>{}</code></pre>",
            "x".repeat(900)
        );
        let table = [
            ("sound", None),
            ("<script>gone();</script>", Some("gone is not defined")),
            ("<script>console.error('no');</script>", Some("no")),
            ("<script src='gone.js'></script>", Some("gone.js")),
            (wide, Some("the window of a phone")),
            (code.as_str(), Some("code is cut")),
        ];
        for (body, expected) in table {
            fs::write(&page, format!("<!doctype html><title>x</title>{body}")).unwrap();
            let found = look(&mut browser, &page).unwrap();
            match expected {
                None => assert_eq!(found, Vec::<String>::new()),
                Some(words) => assert!(
                    found.len() == 1 && found[0].contains(words),
                    "{words}: {found:?}"
                ),
            }
        }
    }
}
