//! Bar charts of ratios: how many times better than the best of the others, on a scale on which twice and half are equally long.
//!
//! ```text
//! bars 700
//! group : More is better
//! bar 1.18 more : bulk, 1 connection           the ratio as the table has it; above 1 is better
//! bar 0.44 less : processor time for each GB   here, below 1 is better
//! bar 0.44 less 0.40 0.47 : ...                with the lowest and the highest ratio of one round
//! ```

use anyhow::{Result, bail, ensure};

use crate::figures::canvas::{Anchor, Canvas, Heads};
use crate::figures::geometry::{Area, point};
use crate::figures::source::{Command, Source, number};

/// The width of the labels.
const LABELS: f64 = 345.0;
/// The room for a ratio beside its bar.
const RATIO: f64 = 56.0;
const ROW: f64 = 28.0;
const BAR: f64 = 16.0;
/// The height above the first row and below the last one.
const MARGIN: f64 = 30.0;

/// A row of the chart.
enum Row {
    Group(String),
    Bar {
        ratio: f64,
        label: String,
        /// How many times better, as a power of two: negative if it is worse.
        doublings: f64,
        /// The same for the lowest and the highest ratio of one round.
        range: Option<[f64; 2]>,
    },
}

/// Draws a bar chart.
///
/// # Errors
///
/// Fails if a command cannot be understood, or a ratio is not above zero.
pub(super) fn draw(source: &Source) -> Result<Canvas> {
    let width = number(source.kind.word(1)?)?;
    let rows = source.commands.iter().map(Row::read);
    let rows = rows.collect::<Result<Vec<_>>>()?;
    let ends = rows.iter().flat_map(Row::ends);
    let (worst, best) = ends.fold((-0.5, 0.5), |(worst, best), end| {
        (f64::min(worst, end), f64::max(best, end))
    });
    #[expect(clippy::cast_precision_loss, reason = "a chart has few rows")]
    let height = rows.len() as f64 * ROW + 2.0 * MARGIN;
    let scale = Scale {
        worst,
        left: LABELS + RATIO,
        unit: (width - LABELS - 2.0 * RATIO) / (best - worst),
    };
    let mut canvas = Canvas::new(width, height);
    scale.draw(&mut canvas, height);
    let mut top = MARGIN;
    for row in &rows {
        row.draw(&mut canvas, &scale, top);
        top += ROW;
    }
    Ok(canvas)
}

/// Where a ratio is, across.
struct Scale {
    worst: f64,
    left: f64,
    unit: f64,
}

impl Scale {
    fn x(&self, doublings: f64) -> f64 {
        self.left + (doublings - self.worst) * self.unit
    }

    /// Draws the line of those that are equal.
    fn draw(&self, canvas: &mut Canvas, height: f64) {
        let x = self.x(0.0);
        let line = [point(x, MARGIN - 6.0), point(x, height - MARGIN + 2.0)];
        canvas.line(&line, "life", Heads::None);
        canvas.text(
            point(x, MARGIN - 12.0),
            Anchor::Middle,
            "s dim",
            "the best of the others",
        );
        let below = point(x + 8.0, height - 10.0);
        canvas.text(below, Anchor::Start, "s dim", "better →");
    }
}

impl Row {
    fn read(command: &Command) -> Result<Self> {
        let label = command.text.join(" ");
        match command.word(0)? {
            "group" => Ok(Self::Group(label)),
            "bar" => {
                let ratio = ratio_at(command, 1)?;
                let sign = match command.word(2)? {
                    "more" => 1.0,
                    "less" => -1.0,
                    other => bail!(
                        "line {}: \"{other}\" is neither more nor less",
                        command.line
                    ),
                };
                let range = match command.words.len() {
                    ..=3 => None,
                    _lowest_and_highest => Some([ratio_at(command, 3)?, ratio_at(command, 4)?]),
                };
                Ok(Self::Bar {
                    ratio,
                    label,
                    doublings: sign * ratio.log2(),
                    range: range.map(|range| range.map(|ratio| sign * ratio.log2())),
                })
            }
            other => bail!("line {}: \"{other}\" is not known here", command.line),
        }
    }

    /// Returns the places, in doublings, that the scale must have.
    fn ends(&self) -> Vec<f64> {
        match self {
            Self::Group(_) => Vec::new(),
            Self::Bar {
                doublings, range, ..
            } => range
                .iter()
                .flatten()
                .copied()
                .chain([*doublings])
                .collect(),
        }
    }

    fn draw(&self, canvas: &mut Canvas, scale: &Scale, top: f64) {
        let baseline = top + ROW / 2.0 + 5.0;
        match self {
            Self::Group(label) => {
                canvas.text(point(0.0, baseline), Anchor::Start, "b", label);
            }
            Self::Bar {
                ratio,
                label,
                doublings,
                range,
            } => {
                canvas.text(point(LABELS, baseline), Anchor::End, "s", label);
                let (one, end) = (scale.x(0.0), scale.x(*doublings));
                let colour = if *doublings < 0.0 { "error" } else { "ours" };
                let area = Area {
                    at: point(one.min(end), top + (ROW - BAR) / 2.0),
                    width: (end - one).abs().max(2.0),
                    height: BAR,
                };
                canvas.rect(area, 2.0, colour);
                // The ratio is beside the bar, or beside its range, whichever is longer.
                let mut end = end;
                if let Some(range) = range {
                    let ends = range.map(|doublings| scale.x(doublings));
                    draw_range(canvas, ends, top + ROW / 2.0);
                    end = if *doublings < 0.0 {
                        ends.into_iter().fold(end, f64::min)
                    } else {
                        ends.into_iter().fold(end, f64::max)
                    };
                }
                let (at, anchor) = if *doublings < 0.0 {
                    (end - 6.0, Anchor::End)
                } else {
                    (end + 8.0, Anchor::Start)
                };
                canvas.text(point(at, baseline), anchor, "s", &format!("{ratio:.2}"));
            }
        }
    }
}

/// Reads a ratio.
fn ratio_at(command: &Command, index: usize) -> Result<f64> {
    let ratio = number(command.word(index)?)?;
    ensure!(ratio > 0.0, "line {}: a ratio is above zero", command.line);
    Ok(ratio)
}

/// Draws a range across the middle of a bar: a line with an end at both sides.
fn draw_range(canvas: &mut Canvas, ends: [f64; 2], y: f64) {
    const HALF: f64 = 4.0;
    let [first, last] = ends;
    canvas.line(&[point(first, y), point(last, y)], "", Heads::None);
    for x in ends {
        canvas.line(&[point(x, y - HALF), point(x, y + HALF)], "", Heads::None);
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const HEAD: &str = "Title: x\nAlt: y\n\nbars 700\n";

    #[test]
    fn twice_as_much_and_half_as_much_are_bars_of_one_length() {
        let text = format!("{HEAD}bar 2 more : a\nbar 0.5 less : b\n");
        let rows = Source::parse(&text).unwrap().commands;
        let doublings = rows.iter().map(|row| match Row::read(row).unwrap() {
            Row::Bar { doublings, .. } => doublings,
            Row::Group(_) => f64::NAN,
        });
        assert_eq!(doublings.collect::<Vec<_>>(), [1.0, 1.0]);
    }

    #[test]
    fn the_scale_has_room_for_the_range_of_a_bar() {
        let text = format!("{HEAD}bar 2 more 0.25 8 : a\n");
        let row = Row::read(&Source::parse(&text).unwrap().commands[0]).unwrap();
        assert_eq!(row.ends(), [-2.0, 3.0, 1.0]);
    }

    #[test]
    fn what_is_no_ratio_is_refused() {
        for line in [
            "bar 0 more : a",
            "bar x more : a",
            "bar 2 more 1 : a",
            "bar 2 more 0 3 : a",
            "bar 1 wide : a",
            "pie 1",
        ] {
            let source = Source::parse(&format!("{HEAD}{line}\n")).unwrap();
            assert!(draw(&source).is_err(), "{line}");
        }
    }

    #[test]
    fn the_charts_of_the_book_have_the_ratios_of_its_tables() {
        let root = course::workspace::root().unwrap();
        let names = [
            "ratios",
            "ratios-ways-in",
            "ratios-growth",
            "ratios-chain",
            "ratios-tails",
            "ratios-tunnel",
        ];
        let figures = names.map(|name| root.join(format!("book/figures/{name}.txt")));
        let figures = figures.map(|path| fs::read_to_string(path).unwrap());
        let lines = figures.iter().flat_map(|figure| figure.lines());
        let mut drawn: Vec<&str> = lines
            .filter_map(|line| line.strip_prefix("bar ")?.split(' ').next())
            .collect();
        let page = fs::read_to_string(root.join("book/src/performance.md")).unwrap();
        let ratios = ratios(&page);
        assert!(ratios.len() > 50, "{ratios:?}");
        for ratio in ratios {
            let place = drawn.iter().position(|other| *other == ratio);
            let place = place.unwrap_or_else(|| panic!("no bar for {ratio}"));
            drawn.swap_remove(place);
        }
    }

    /// Returns the ratios in the tables of a page: the column named "to the best" or "to HAProxy".
    fn ratios(page: &str) -> Vec<&str> {
        let mut column: Option<usize> = None;
        let mut ratios = Vec::new();
        for line in page.lines() {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            if !line.starts_with('|') {
                column = None;
            } else if let Some(column) = column {
                // A question mark says that the rounds disagree.
                let ratio = cells[column].split('\u{a0}').next().unwrap_or_default();
                ratios.extend(
                    ratio
                        .starts_with(|first: char| first.is_ascii_digit())
                        .then_some(ratio),
                );
            } else {
                let is_ratio = |cell: &&str| matches!(*cell, "to the best" | "to HAProxy");
                column = cells.iter().position(is_ratio);
            }
        }
        ratios
    }
}
