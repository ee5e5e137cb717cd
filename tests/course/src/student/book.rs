//! `cargo book` in a workspace: opens the book, at an exercise if one is named.

use std::io::{self, IsTerminal as _};

use anyhow::{Context as _, Result, ensure};
use clap::Args;

use crate::student::page;
use crate::student::progress::{next, statuses};
use course::manifest::{Manifest, anchor};
use course::{browser, workspace};

/// Open the book, at an exercise if you name one
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// The exercise, like 3.2, or `next`; default: the first page
    place: Option<String>,

    /// Only print the address
    #[arg(long)]
    no_open: bool,
}

/// Prints the address and, at a terminal, opens it.
///
/// # Errors
///
/// Fails if there is no book or no such exercise.
pub(crate) fn run(options: &Options) -> Result<()> {
    let root = workspace::root()?;
    let manifest = Manifest::load(&root)?;
    let folder = page::folder(&root).context(
        "this workspace has no book: ask your instructor for it, or, in the course itself, build it with `cargo book --no-open`",
    )?;
    let exercise = match options.place.as_deref() {
        None => None,
        Some("next") => next(&statuses(&root, &manifest)?),
        Some(name) => Some(manifest.find(name)?.1),
    };
    let (page, place) = exercise.map_or_else(
        || ("index.html".to_owned(), String::new()),
        |one| (one.page(), anchor(one.id())),
    );
    let file = root.join(folder).join(page);
    ensure!(file.is_file(), "the book has no {}", file.display());
    let address = browser::file_address(&file, &place);
    println!("{address}");
    // Only at a terminal, because a script has no use for a browser.
    if !options.no_open && io::stdout().is_terminal() && browser::open(&address).is_err() {
        println!("No browser could be started here: open that address in yours.");
    }
    Ok(())
}
