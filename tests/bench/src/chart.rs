//! A bar for each row: ours against the best peer, on a scale on which twice as good and half as good are equally long.
//!
//! ```text
//!   results.json ──▶ Bars ──▶ picture.rs: an SVG file
//!                         └─▶ figure.rs: the source of a figure of the book
//! ```
//!
//! A chart is drawn from a file of results and from nothing else, so that each bar has its figures beside it.

mod bar;
mod figure;
mod picture;

use std::fs;
use std::io;
use std::path::PathBuf;

use clap::Args;

use crate::output::print;

pub(crate) use bar::Bars;

/// Draws the results of earlier runs, files that `--json` or `--all` has written: prints an SVG picture.
#[derive(Debug, Args)]
pub(crate) struct ChartOptions {
    /// The files
    #[arg(value_name = "RESULTS.json", required = true)]
    results: Vec<PathBuf>,

    /// Only these rows, by key or by the beginning of it
    #[arg(long, value_delimiter = ',', value_name = "ROW,..")]
    only: Vec<String>,

    /// Prints the source of a figure of the book instead: `book/figures/NAME.txt`
    #[arg(long)]
    figure: bool,
}

/// Prints the chart of some files.
pub(crate) fn run(options: &ChartOptions) -> io::Result<()> {
    let mut bars = Bars::default();
    for path in &options.results {
        let sentence = |error| io::Error::other(format!("{}: {error}", path.display()));
        bars.read(&fs::read_to_string(path).map_err(sentence)?)
            .map_err(sentence)?;
    }
    if !options.only.is_empty() {
        bars.keep(&options.only);
    }
    print(&if options.figure {
        bars.figure()
    } else {
        bars.picture()
    })
}
