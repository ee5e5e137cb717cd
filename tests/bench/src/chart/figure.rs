//! The chart as the source of a figure of the book, which draws it in its own style.

use crate::chart::bar::{Bar, Bars};

/// The width of the figure.
const WIDTH: u32 = 760;

impl Bars {
    /// Returns the source: the head, and a command for each bar.
    pub(crate) fn figure(&self) -> String {
        let runs = self.runs.join(" And: ");
        let mut text = format!(
            "Title: Ours against the best of the others; a bar to the right is better. The run: {runs}.\n\
             Alt: {}\n\nbars {WIDTH}\n",
            self.alternative()
        );
        let mut work = "";
        for bar in &self.bars {
            if bar.work != work {
                work = &bar.work;
                text += &format!("group : {work}\n");
            }
            text += &command(bar);
        }
        text
    }

    /// Returns the chart in words, for readers who do not see it.
    fn alternative(&self) -> String {
        let words: Vec<String> = self
            .bars
            .iter()
            .map(|bar| {
                let manner = bar.better.word();
                format!("{} ({manner} is better): {:.2}", bar.title, bar.ratio)
            })
            .collect();
        format!(
            "A bar chart of ratios around the line at which both are equal. {}.",
            words.join("; ")
        )
    }
}

fn command(bar: &Bar) -> String {
    let better = bar.better.word();
    let range = bar.range.filter(|(lowest, _)| *lowest > 0.0);
    let range = range.map(|(lowest, highest)| format!(" {lowest:.2} {highest:.2}"));
    let (ratio, range, label) = (bar.ratio, range.unwrap_or_default(), bar.label());
    format!("bar {ratio:.2} {better}{range} : {label}\n")
}

#[cfg(test)]
mod tests {
    use crate::chart::bar::tests::bars;

    #[test]
    fn each_bar_is_a_command_below_its_work() {
        let figure = bars().figure();
        let (head, commands) = figure.split_once("\n\nbars 760\n").unwrap();
        assert!(
            head.contains("The run: 2026-11-30; medians of 5 rounds;"),
            "{head}"
        );
        assert!(
            head.contains("bulk, GB/s (more is better): 2.00;"),
            "{head}"
        );
        assert_eq!(
            commands,
            "group : Relay\nbar 2.00 more 1.50 2.50 : bulk, GB/s ↑\nbar 1.25 less : CPU <s> ↓\n"
        );
    }
}
