//! The chart as a picture in a file of its own: SVG, written by hand, which follows the reader's light or dark theme.

use crate::chart::bar::{Bar, Bars};

const WIDTH: f64 = 1080.0;
/// The right edge of the labels.
const LABELS: f64 = 480.0;
/// The left and right edges of the bars.
const LEFT: f64 = 500.0;
const RIGHT: f64 = 820.0;
/// Where the words beside a bar begin.
const WORDS: f64 = 834.0;
const ROW: f64 = 24.0;
const BAR: f64 = 14.0;
const TOP: f64 = 60.0;
/// The scale ends here; a bar that is longer ends there as well, and its words say how long it is.
const MOST_DOUBLINGS: f64 = 4.0;
const LEAST_DOUBLINGS: f64 = -2.0;

const STYLE: &str = "\
svg { font: 14px system-ui, sans-serif; fill: #1a1a1a; background: #ffffff; }
.work { font-weight: 650; }
.dim { opacity: 0.7; }
.level { stroke: #1a1a1a; stroke-opacity: 0.5; }
.ahead { fill: #1a8559; }
.behind { fill: #cc3344; }
.unsure { fill: #8a8a8a; }
.range { stroke: #1a1a1a; stroke-width: 1.5; fill: none; }
@media (prefers-color-scheme: dark) {
  svg { fill: #d8d8d8; background: #1b1b1d; }
  .level, .range { stroke: #d8d8d8; }
  .ahead { fill: #4fc592; }
  .behind { fill: #ff7b86; }
}
";

impl Bars {
    /// Returns the picture.
    pub(crate) fn picture(&self) -> String {
        let mut body = String::new();
        let mut top = TOP;
        let mut work = "";
        for bar in &self.bars {
            if bar.work != work {
                work = &bar.work;
                body += &text("work", 0.0, top + ROW - 7.0, "start", work);
                top += ROW;
            }
            body += &draw(bar, top);
            top += ROW;
        }
        let level = x(0.0);
        let line = line("level", (level, TOP - 8.0), (level, top + 4.0));
        let heads = [
            text("dim", level, TOP - 16.0, "middle", "the best peer"),
            text("dim", RIGHT, TOP - 16.0, "end", "better →"),
            text(
                "work",
                0.0,
                20.0,
                "start",
                "Ours against the best peer: medians, and the range of the rounds",
            ),
        ];
        top += ROW;
        for run in &self.runs {
            body += &text("dim", 0.0, top + ROW - 7.0, "start", run);
            top += ROW;
        }
        let height = top + 10.0;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\">\n\
             <title>Ours against the best peer</title>\n<style>\n{STYLE}</style>\n{}{line}{body}</svg>\n",
            heads.concat()
        )
    }
}

/// Draws one bar, its range, its label and its words.
fn draw(bar: &Bar, top: f64) -> String {
    let baseline = top + ROW - 7.0;
    let end = bar.doublings(bar.ratio);
    let (from, to) = (x(end.min(0.0)), x(end.max(0.0)));
    let class = match bar.verdict.as_str() {
        verdict @ ("ahead" | "behind") => verdict,
        _level_or_unsure => "unsure",
    };
    let y = top + (ROW - BAR) / 2.0;
    let width = (to - from).max(2.0);
    let mut drawn = text("label", LABELS, baseline, "end", &bar.label());
    drawn += &format!(
        "<rect class=\"{class}\" x=\"{from:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{BAR}\"/>\n"
    );
    if let Some((lowest, highest)) = bar.range.filter(|(lowest, _)| *lowest > 0.0) {
        let ends = [lowest, highest].map(|ratio| x(bar.doublings(ratio)));
        drawn += &whisker(ends, top + ROW / 2.0);
    }
    let words = format!("{} {}", bar.words(), bar.peer);
    drawn + &text("words", WORDS, baseline, "start", &words)
}

/// Draws a range: a line with an end at both sides.
fn whisker(ends: [f64; 2], y: f64) -> String {
    const HALF: f64 = 4.0;
    let [first, last] = ends;
    let mut drawn = line("range", (first, y), (last, y));
    for end in ends {
        drawn += &line("range", (end, y - HALF), (end, y + HALF));
    }
    drawn
}

/// Returns where so many doublings are, across.
fn x(doublings: f64) -> f64 {
    let inside = doublings.clamp(LEAST_DOUBLINGS, MOST_DOUBLINGS);
    let unit = (RIGHT - LEFT) / (MOST_DOUBLINGS - LEAST_DOUBLINGS);
    LEFT + (inside - LEAST_DOUBLINGS) * unit
}

fn line(class: &str, from: (f64, f64), to: (f64, f64)) -> String {
    let ((x1, y1), (x2, y2)) = (from, to);
    format!(
        "<line class=\"{class}\" x1=\"{x1:.1}\" y1=\"{y1:.1}\" x2=\"{x2:.1}\" y2=\"{y2:.1}\"/>\n"
    )
}

fn text(class: &str, x: f64, y: f64, anchor: &str, words: &str) -> String {
    let words = escape(words);
    format!(
        "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\">{words}</text>\n"
    )
}

fn escape(words: &str) -> String {
    words
        .replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chart::bar::tests::bars;

    #[test]
    fn a_bar_begins_at_level_and_goes_where_it_is_better() {
        let picture = bars().picture();
        let level = x(0.0);
        let ahead = format!("class=\"ahead\" x=\"{level:.1}\"");
        assert!(picture.contains(&ahead), "{ahead} is not in\n{picture}");
        let behind = format!("class=\"behind\" x=\"{:.1}\"", x(-(1.25_f64.log2())));
        assert!(picture.contains(&behind), "{behind} is not in\n{picture}");
        assert_eq!(picture.matches("<rect").count(), 2);
        // One line for level, three for the one range that is known.
        assert_eq!(picture.matches("<line").count(), 4);
    }

    #[test]
    fn words_are_escaped_and_every_element_is_closed() {
        let picture = bars().picture();
        assert!(picture.contains("CPU &lt;s&gt; ↓"), "{picture}");
        let opened = picture.matches("<text").count();
        assert_eq!(picture.matches("</text>").count(), opened);
        assert!(picture.ends_with("</svg>\n"));
    }

    #[test]
    fn what_is_off_the_scale_ends_at_its_edge() {
        assert!((x(99.0) - RIGHT).abs() < f64::EPSILON);
        assert!((x(-99.0) - LEFT).abs() < f64::EPSILON);
    }
}
