//! `cargo book --pdf`: the whole book as one document, which a browser prints from the page that mdBook makes for printing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, ensure};

use crate::chromium;

/// The name of the document.
const NAME: &str = "socket-to-mux.pdf";
/// Seconds that the browser may take: a slow machine needs one minute.
const PATIENCE: &str = "600";

/// Prints the pages below `folder` into a document beside them, and returns its path.
///
/// # Errors
///
/// Fails if no browser is installed that can print, or it prints nothing.
pub(crate) fn print(folder: &Path) -> Result<PathBuf> {
    let page = folder.join("print.html");
    let program = chromium::program().with_context(|| {
        let page = page.display();
        format!("a PDF needs Chromium or Google Chrome, and neither is installed (apt install chromium); any browser can print {page}, too")
    })?;
    let document = folder.join(NAME);
    let profile = tempfile::tempdir().context("cannot create a temporary folder")?;
    // coreutils' timeout, because a browser that hangs must not hang us.
    let output = Command::new("timeout")
        .args([
            PATIENCE,
            program,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
        ])
        .args(["--no-pdf-header-footer", "--generate-pdf-document-outline"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("--print-to-pdf={}", document.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .context("cannot start the browser")?;
    let is_printed = fs::read(&document).is_ok_and(|bytes| bytes.starts_with(b"%PDF-"));
    ensure!(
        is_printed,
        "{program} has printed nothing ({}): {}",
        output.status,
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(document)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_a_document() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(
            folder.path().join("print.html"),
            "<!doctype html><h1>One</h1>",
        )
        .unwrap();
        match print(folder.path()) {
            Ok(document) => assert!(document.ends_with(NAME)),
            Err(error) if chromium::program().is_none() => {
                assert!(error.to_string().contains("print.html"), "{error}");
                eprintln!("skipped: no Chromium is installed to print with");
            }
            Err(error) => panic!("{error:#}"),
        }
    }
}
