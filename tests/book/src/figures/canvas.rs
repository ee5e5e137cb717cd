//! The elements of figures: rectangles, lines with arrow heads, text.

use std::fmt::{Display, Write as _};

use crate::figures::clash::Clashes;
use crate::figures::geometry::{Area, Point, distance, point};
use crate::figures::text;

/// How a line of text is aligned at its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Anchor {
    /// It begins there.
    Start,
    /// Its middle is there.
    Middle,
    /// It ends there.
    End,
}

/// Which ends of a line have an arrow head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Heads {
    /// None: a line.
    None,
    /// The last one.
    End,
    /// Both.
    Both,
}

/// A picture that is being drawn.
#[derive(Debug)]
pub(super) struct Canvas {
    width: f64,
    height: f64,
    body: String,
    clashes: Clashes,
    /// Flaws in its look.
    problems: Vec<String>,
}

/// How much of a line its arrow head covers.
const HEAD: f64 = 9.0;
/// The radius of a corner of a line.
const BEND: f64 = 7.0;

impl Canvas {
    /// Creates an empty picture.
    pub(super) fn new(width: f64, height: f64) -> Self {
        Self {
            width,
            height,
            body: String::new(),
            clashes: Clashes::default(),
            problems: Vec::new(),
        }
    }

    /// Draws a rectangle.
    pub(super) fn rect(&mut self, area: Area, radius: f64, class: &str) {
        self.contains(area.at, "a box");
        self.contains(area.point(1.0, 1.0), "a box");
        let corners = [(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0), (0.0, 0.0)];
        let corners = corners.map(|(across, down)| area.point(across, down));
        self.clashes.line(&corners);
        let (x, y) = (short(area.at.x), short(area.at.y));
        let (width, height) = (short(area.width), short(area.height));
        let class = attribute(class);
        self.element(format_args!(
            "<rect x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\" rx=\"{radius}\"{class}/>"
        ));
    }

    /// Draws a line through `points`, with rounded corners.
    pub(super) fn line(&mut self, points: &[Point], class: &str, heads: Heads) {
        for place in points {
            self.contains(*place, "a line");
        }
        if !class.contains("life") {
            self.clashes.line(points);
        }
        let mut points = points.to_vec();
        let mut tips = Vec::new();
        if heads != Heads::None {
            tips.extend(shorten(&mut points));
        }
        if heads == Heads::Both {
            points.reverse();
            tips.extend(shorten(&mut points));
            points.reverse();
        }
        let class = attribute(class);
        self.element(format_args!("<path d=\"{}\"{class}/>", rounded(&points)));
        for tip in tips {
            self.element(format_args!(
                "<path d=\"{tip}\" class=\"h{}\"/>",
                class_tail(&class)
            ));
        }
    }

    /// Writes a line of text; `class` may say `s` for small.
    pub(super) fn text(&mut self, at: Point, anchor: Anchor, class: &str, line: &str) {
        let size = if class.split(' ').any(|word| word == "s") {
            text::SMALL
        } else {
            text::SIZE
        };
        let width = text::width(line, size);
        let (left, name) = match anchor {
            Anchor::Start => (at.x, ""),
            Anchor::Middle => (at.x - width / 2.0, " text-anchor=\"middle\""),
            Anchor::End => (at.x - width, " text-anchor=\"end\""),
        };
        if left < -1.0 || left + width > self.width + 1.0 || at.y > self.height - 2.0 {
            let line = text::plain(line);
            self.problem(format!("\"{line}\" leaves the picture"));
        }
        self.clashes.text(point(left, at.y), width, size, line);
        let (x, y) = (short(at.x), short(at.y));
        let class = attribute(class);
        let markup = text::markup(line);
        self.element(format_args!(
            "<text x=\"{x}\" y=\"{y}\"{name}{class}>{markup}</text>"
        ));
    }

    /// Records a flaw.
    pub(super) fn problem(&mut self, problem: String) {
        self.problems.push(problem);
    }

    /// Returns size, elements and problems.
    pub(super) fn finish(mut self) -> (f64, f64, String, Vec<String>) {
        self.problems.extend(self.clashes.problems());
        (self.width, self.height, self.body, self.problems)
    }

    fn contains(&mut self, place: Point, what: &str) {
        let inside = place.x >= 0.0 && place.y >= 0.0;
        if !inside || place.x > self.width || place.y > self.height {
            self.problem(format!(
                "{what} leaves the picture at {},{}",
                place.x, place.y
            ));
        }
    }

    fn element(&mut self, element: impl Display) {
        // Writing to a string cannot fail.
        let _ = writeln!(self.body, "{element}");
    }
}

/// Shortens a line by the length of an arrow head and returns the head.
fn shorten(points: &mut [Point]) -> Option<String> {
    let [.., before, end] = points else {
        return None;
    };
    let length = distance(*before, *end).max(f64::MIN_POSITIVE);
    let (across, down) = ((end.x - before.x) / length, (end.y - before.y) / length);
    let tip = *end;
    let back = point(tip.x - across * HEAD, tip.y - down * HEAD);
    let wing = HEAD * 0.45;
    let left = point(back.x - down * wing, back.y + across * wing);
    let right = point(back.x + down * wing, back.y - across * wing);
    *end = point(tip.x - across * (HEAD - 1.0), tip.y - down * (HEAD - 1.0));
    Some(format!("M{}L{}L{}Z", place(tip), place(left), place(right)))
}

fn rounded(points: &[Point]) -> String {
    let mut path = String::new();
    for (index, &here) in points.iter().enumerate() {
        let before = index.checked_sub(1).and_then(|index| points.get(index));
        let corner = before.zip(points.get(index + 1));
        // Writing to a string cannot fail.
        let _ = match (before, corner) {
            (None, _) => write!(path, "M{}", place(here)),
            (Some(_), None) => write!(path, "L{}", place(here)),
            (Some(_), Some((&before, &after))) => {
                let (enter, leave) = (towards(here, before), towards(here, after));
                write!(path, "L{}Q{} {}", place(enter), place(here), place(leave))
            }
        };
    }
    path
}

/// Returns the point a little way from a corner towards its neighbour.
fn towards(corner: Point, neighbour: Point) -> Point {
    let length = distance(corner, neighbour).max(f64::MIN_POSITIVE);
    let share = BEND.min(length / 2.0) / length;
    point(
        corner.x + (neighbour.x - corner.x) * share,
        corner.y + (neighbour.y - corner.y) * share,
    )
}

fn place(at: Point) -> String {
    format!("{},{}", short(at.x), short(at.y))
}

/// Writes a number with one digit after the point, or none.
fn short(number: f64) -> String {
    let text = format!("{number:.1}");
    text.strip_suffix(".0").map_or(text.clone(), str::to_owned)
}

fn attribute(class: &str) -> String {
    match class.trim() {
        "" => String::new(),
        class => format!(" class=\"{class}\""),
    }
}

/// The colour of an arrow head is that of its line, but it is never dashed.
fn class_tail(attribute: &str) -> String {
    let class = attribute
        .trim_start_matches(" class=\"")
        .trim_end_matches('"');
    let words = class
        .split(' ')
        .filter(|word| !word.is_empty() && *word != "dashed");
    words.map(|word| format!(" {word}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arrow_is_a_shorter_line_and_a_head() {
        let mut canvas = Canvas::new(100.0, 20.0);
        let points = [point(0.0, 10.0), point(50.0, 10.0)];
        canvas.line(&points, "client dashed", Heads::End);
        let (_, _, body, problems) = canvas.finish();
        let expected = "<path d=\"M0,10L42,10\" class=\"client dashed\"/>\n\
            <path d=\"M50,10L41,14.1L41,6\" class=\"h client\"/>\n";
        assert_eq!(body.replace("5.9", "6").replace("Z", ""), expected);
        assert_eq!(problems, Vec::<String>::new());
    }

    #[test]
    fn what_leaves_the_picture_is_found() {
        let mut canvas = Canvas::new(100.0, 20.0);
        canvas.text(point(90.0, 10.0), Anchor::Start, "", "too long");
        canvas.line(&[point(0.0, 0.0), point(0.0, 21.0)], "", Heads::None);
        let (.., problems) = canvas.finish();
        assert_eq!(
            problems,
            [
                "\"too long\" leaves the picture",
                "a line leaves the picture at 0,21"
            ]
        );
    }

    #[test]
    fn corners_are_round() {
        let points = [point(0.0, 0.0), point(50.0, 0.0), point(50.0, 4.0)];
        assert_eq!(rounded(&points), "M0,0L43,0Q50,0 50,2L50,4");
    }
}
