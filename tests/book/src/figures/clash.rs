//! Overlaps: a line through a text, a text over another.

use crate::figures::geometry::{Area, Point, distance, point};
use crate::figures::text;

/// The texts and lines of a picture so far.
#[derive(Debug, Default)]
pub(super) struct Clashes {
    texts: Vec<(Area, String)>,
    strokes: Vec<(Point, Point)>,
}

impl Clashes {
    /// Records a line of text that begins at `left` on the base line `y`.
    pub(super) fn text(&mut self, left: Point, width: f64, size: f64, line: &str) {
        let area = Area {
            at: point(left.x + width * 0.04, left.y - size * 0.68),
            width: width * 0.92,
            height: size * 0.78,
        };
        self.texts.push((area, text::plain(line)));
    }

    /// Records a line.
    pub(super) fn line(&mut self, points: &[Point]) {
        for pair in points.windows(2) {
            if let [from, to] = pair {
                self.strokes.push((*from, *to));
            }
        }
    }

    /// Describes every overlap.
    pub(super) fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        for (index, (area, line)) in self.texts.iter().enumerate() {
            if self.strokes.iter().any(|stroke| crosses(*stroke, *area)) {
                problems.push(format!("a line runs through \"{line}\""));
            }
            for (other, text) in self.texts.iter().skip(index + 1) {
                if overlap(*area, *other) {
                    problems.push(format!("\"{text}\" lies on \"{line}\""));
                }
            }
        }
        problems
    }
}

fn overlap(one: Area, two: Area) -> bool {
    let across = one.at.x < two.at.x + two.width && two.at.x < one.at.x + one.width;
    across && one.at.y < two.at.y + two.height && two.at.y < one.at.y + one.height
}

/// Checks points along the line that are no further apart than a thin letter is wide.
fn crosses((from, to): (Point, Point), area: Area) -> bool {
    let steps = (distance(from, to) / 3.0).ceil().max(1.0);
    let mut step = 0.0;
    while step <= steps {
        let share = step / steps;
        let x = from.x + (to.x - from.x) * share;
        let y = from.y + (to.y - from.y) * share;
        let corner = area.point(1.0, 1.0);
        if x > area.at.x && x < corner.x && y > area.at.y && y < corner.y {
            return true;
        }
        step += 1.0;
    }
    false
}
