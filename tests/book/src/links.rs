//! Links and anchors between the pages of the built book.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::Result;
use regex::Regex;

use course::listing;

/// Pages that mdBook generates from the others.
const MADE: [&str; 3] = ["print.html", "toc.html", "404.html"];

/// The result of the check.
#[derive(Debug)]
pub(crate) struct Links {
    /// The number of links inside the book that were followed.
    pub(crate) count: usize,
    /// One sentence for each that leads nowhere.
    pub(crate) broken: Vec<String>,
}

/// Follows every link between the pages below `folder`; links to other sites are not followed.
///
/// # Errors
///
/// Fails if a page cannot be read.
pub(crate) fn check(folder: &Path) -> Result<Links> {
    let pages = read_pages(folder)?;
    let mut links = Links {
        count: 0,
        broken: Vec::new(),
    };
    for (name, page) in &pages {
        if MADE.iter().any(|made| name.ends_with(made)) {
            continue;
        }
        for link in page.links.iter().filter(|link| is_inside(link)) {
            links.count += 1;
            if let Some(problem) = follow(folder, &pages, name, link) {
                links
                    .broken
                    .push(format!("{}: the link {link} {problem}", name.display()));
            }
        }
    }
    links.broken.sort();
    Ok(links)
}

struct Page {
    links: Vec<String>,
    anchors: HashSet<String>,
}

type Pages = HashMap<PathBuf, Page>;

fn read_pages(folder: &Path) -> Result<Pages> {
    let link = Regex::new(r#"<[^>]*\s(?:href|src)="([^"]*)""#)?;
    let anchor = Regex::new(r#"<[^>]*\s(?:id|name)="([^"]*)""#)?;
    let all = |pattern: &Regex, html: &str| -> Vec<String> {
        pattern
            .captures_iter(html)
            .map(|captures| captures[1].replace("&amp;", "&"))
            .collect()
    };
    let mut pages = Pages::new();
    for path in listing::below(folder, "html")? {
        let html = fs::read_to_string(&path)?;
        let page = Page {
            links: all(&link, &html),
            anchors: all(&anchor, &html).into_iter().collect(),
        };
        pages.insert(path.strip_prefix(folder)?.to_owned(), page);
    }
    Ok(pages)
}

fn is_inside(link: &str) -> bool {
    let scheme = link.split_once(':').map_or("", |(scheme, _)| scheme);
    let outside = !scheme.is_empty() && scheme.chars().all(|letter| letter.is_ascii_alphanumeric());
    !outside && !link.starts_with("//") && !link.is_empty()
}

/// Returns why a link leads nowhere.
fn follow(folder: &Path, pages: &Pages, from: &Path, link: &str) -> Option<&'static str> {
    let (path, anchor) = link.split_once('#').unwrap_or((link, ""));
    let target = match path {
        "" => from.to_path_buf(),
        path => normal(&from.parent().unwrap_or(Path::new("")).join(path)),
    };
    if !folder.join(&target).is_file() {
        return Some("leads to no page");
    }
    let anchored = |page: &Page| anchor.is_empty() || page.anchors.contains(anchor);
    match pages.get(&target) {
        Some(page) if !anchored(page) => Some("leads to no place on that page"),
        _ => None,
    }
}

/// Resolves `.` and `..`.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for part in path.components() {
        match part {
            Component::ParentDir => drop(normal.pop()),
            Component::Normal(name) => normal.push(name),
            Component::CurDir | Component::RootDir | Component::Prefix(_) => {}
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_links_are_told_apart_from_sound_ones() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, html: &str| fs::write(folder.path().join(name), html).unwrap();
        fs::create_dir(folder.path().join("deep")).unwrap();
        write(
            "a.html",
            r##"<h1 id="top"></h1> <a href="deep/b.html#here">x</a> <a href="#top">x</a>
            <a class="y" href="gone.html">x</a> <a href="https://example.org/gone">x</a> <img src="p.svg">"##,
        );
        write(
            "deep/b.html",
            r##"<a id="here"></a> <a href="../a.html#missing">x</a> <a href="../a.html">x</a>"##,
        );
        write("p.svg", "");
        let links = check(folder.path()).unwrap();
        assert_eq!(links.count, 6);
        assert_eq!(
            links.broken,
            [
                "a.html: the link gone.html leads to no page",
                "deep/b.html: the link ../a.html#missing leads to no place on that page",
            ]
        );
    }
}
