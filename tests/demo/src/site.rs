//! A small web site in a temporary folder.

use std::fs;

use anyhow::{Context, Result};
use tempfile::TempDir;

const WELCOME: &str = r##"<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Behind the proxy</title>
<style>
  body { font: 1.1rem/1.6 system-ui, sans-serif; max-width: 36rem; margin: 3rem auto; padding: 0 1rem }
  :root { color-scheme: light dark }
</style>
<h1>This page came through the proxy</h1>
<p>Your browser asked <code>stage4-proxy</code>, which asked Python's file server. Each connection of
the browser is one row in the route table.</p>
<p><img src="picture.svg" width="420" alt="A client, the proxy and the upstream in a row"></p>
<p>Also here: <a href="notes.txt">a text</a> and <a href="bytes.bin">a megabyte of bytes</a>.</p>
</html>
"##;

const PICTURE: &str = r##"<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 420 90" role="img">
  <title>client, proxy, upstream</title>
  <g fill="none" stroke="#3b7ea1" stroke-width="2">
    <rect x="5" y="25" width="100" height="40" rx="8"/>
    <rect x="160" y="25" width="100" height="40" rx="8"/>
    <rect x="315" y="25" width="100" height="40" rx="8"/>
    <path d="M105 38h55M260 38h55M315 52h-55M160 52h-55"/>
  </g>
  <g font-family="sans-serif" font-size="16" fill="#3b7ea1" text-anchor="middle">
    <text x="55" y="50">client</text>
    <text x="210" y="50">proxy</text>
    <text x="365" y="50">upstream</text>
  </g>
</svg>
"##;

const NOTES: &str = "\
Things to notice in the inspector while you load these pages:

- a row appears when a connection comes, and goes when it ends;
- the client's socket and the upstream's socket have different numbers and different ports;
- far more bytes go down (to you) than up.
";

/// More than any buffer on the way holds, and every value that a byte can have.
const BYTES: usize = 1024 * 1024;

/// The paths to fetch: the listing, each file, and one name that does not exist.
pub(crate) const PATHS: [&str; 6] = [
    "/",
    "/welcome.html",
    "/picture.svg",
    "/notes.txt",
    "/bytes.bin",
    "/missing.txt",
];

/// Writes the site into a temporary folder, which is removed when the value is dropped.
pub(crate) fn create() -> Result<TempDir> {
    let folder = tempfile::Builder::new().prefix("socket-to-mux-").tempdir();
    let folder = folder.context("cannot create a temporary folder")?;
    let files: [(&str, &[u8]); 4] = [
        ("welcome.html", WELCOME.as_bytes()),
        ("picture.svg", PICTURE.as_bytes()),
        ("notes.txt", NOTES.as_bytes()),
        ("bytes.bin", &bytes()),
    ];
    for (name, content) in files {
        fs::write(folder.path().join(name), content)
            .with_context(|| format!("cannot write {name}"))?;
    }
    Ok(folder)
}

/// The same bytes each time, without a pattern that would hide a swap (Knuth's MMIX generator).
fn bytes() -> Vec<u8> {
    let mut state: u64 = 1;
    let mut next = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        state.to_be_bytes()[0]
    };
    (0..BYTES).map(|_| next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_but_the_last_exists() {
        let folder = create().unwrap();
        let exists = |path: &str| folder.path().join(path.trim_start_matches('/')).exists();
        assert!(PATHS[..5].iter().all(|path| exists(path)));
        assert!(!exists(PATHS[5]));
    }

    #[test]
    fn every_byte_value_occurs() {
        let bytes = bytes();
        assert!((0..=255).all(|value| bytes.contains(&value)));
    }
}
