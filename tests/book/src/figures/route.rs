//! The path of an arrow: from which side of a box to which side of another, with what corners.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use crate::figures::canvas::{Anchor, Canvas};
use crate::figures::geometry::{Area, Point, distance, point};
use crate::figures::source::{Style, number};
use crate::figures::text::LINE;

/// The words for an arrow besides the colours.
pub(super) const STYLE: [&str; 8] = [
    "dashed", "both", "straight", "below", "left", "near", "far", "large",
];

/// The direction in which a line leaves or enters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Axis {
    Across,
    Down,
}

/// One end of a part of a line.
#[derive(Clone, Copy, Debug)]
struct End {
    at: Point,
    axis: Option<Axis>,
}

/// The target that a word of an arrow names.
enum Named {
    Place(Point),
    Side(End),
    Box(Area),
}

/// Finds the corners of an arrow through `words`.
///
/// # Errors
///
/// Fails if a word names no box, side or place.
pub(super) fn points(
    boxes: &HashMap<String, Area>,
    words: &[&str],
    style: &Style,
) -> Result<Vec<Point>> {
    let mut named: Vec<Named> = Vec::new();
    let mut last = point(0.0, 0.0);
    for word in words {
        let name = resolve(boxes, word, last)?;
        last = middle(&name);
        named.push(name);
    }
    let mut points = Vec::new();
    for pair in named.windows(2) {
        let [from, to] = pair else { continue };
        let (from, to) = (end(from, to), end(to, from));
        points.push(from.at);
        if !style.has("straight") {
            points.extend(corners(from, to));
        }
        points.push(to.at);
    }
    points.dedup();
    Ok(points)
}

fn resolve(boxes: &HashMap<String, Area>, word: &str, last: Point) -> Result<Named> {
    if let Some(area) = boxes.get(word) {
        return Ok(Named::Box(*area));
    }
    if let Some((x, y)) = word.split_once(',') {
        let or_last = |word, last| if word == "=" { Ok(last) } else { number(word) };
        return Ok(Named::Place(point(
            or_last(x, last.x)?,
            or_last(y, last.y)?,
        )));
    }
    let (name, side) = word
        .rsplit_once('.')
        .with_context(|| format!("\"{word}\" is not drawn yet"))?;
    let area = boxes.get(name);
    side_of(
        *area.with_context(|| format!("\"{name}\" is not drawn yet"))?,
        side,
    )
}

/// Reads `left`, `top+10` and the like.
fn side_of(area: Area, side: &str) -> Result<Named> {
    let split = side.find(['+', '-']).unwrap_or(side.len());
    let (side, shift) = side.split_at(split);
    let shift = if shift.is_empty() {
        0.0
    } else {
        number(shift)?
    };
    let (across, down, axis) = match side {
        "top" => (0.5, 0.0, Axis::Down),
        "bottom" => (0.5, 1.0, Axis::Down),
        "left" => (0.0, 0.5, Axis::Across),
        "right" => (1.0, 0.5, Axis::Across),
        other => bail!("\"{other}\" is not a side"),
    };
    let mut at = area.point(across, down);
    match axis {
        Axis::Down => at.x += shift,
        Axis::Across => at.y += shift,
    }
    let axis = Some(axis);
    Ok(Named::Side(End { at, axis }))
}

fn middle(named: &Named) -> Point {
    match named {
        Named::Place(at) => *at,
        Named::Side(end) => end.at,
        Named::Box(area) => area.point(0.5, 0.5),
    }
}

/// Finds where a line to `other` leaves `this`: for a box, on the side that faces the other.
fn end(this: &Named, other: &Named) -> End {
    match this {
        Named::Place(at) => End {
            at: *at,
            axis: None,
        },
        Named::Side(end) => *end,
        Named::Box(area) => facing(*area, other),
    }
}

fn facing(area: Area, other: &Named) -> End {
    let (target, facing) = match other {
        Named::Place(_) | Named::Side(_) => {
            let at = middle(other);
            (
                Area {
                    at,
                    width: 0.0,
                    height: 0.0,
                },
                at,
            )
        }
        Named::Box(other) => (*other, other.point(0.5, 0.5)),
    };
    let across = common(area.at.x, area.width, target.at.x, target.width);
    let down = common(area.at.y, area.height, target.at.y, target.height);
    let centre = area.point(0.5, 0.5);
    match (across, down) {
        (_, Some(y)) => {
            let side = if facing.x > centre.x { 1.0 } else { 0.0 };
            let at = point(area.point(side, 0.0).x, y);
            End {
                at,
                axis: Some(Axis::Across),
            }
        }
        (x, None) => {
            let side = if facing.y > centre.y { 1.0 } else { 0.0 };
            let at = point(x.unwrap_or(centre.x), area.point(0.0, side).y);
            End {
                at,
                axis: Some(Axis::Down),
            }
        }
    }
}

/// Returns the middle of what two spans have in common.
fn common(one: f64, length: f64, other: f64, other_length: f64) -> Option<f64> {
    let (from, to) = (one.max(other), (one + length).min(other + other_length));
    (from <= to).then_some((from + to) / 2.0)
}

/// Finds the corners between two ends, so that the line leaves and enters at right angles.
fn corners(from: End, to: End) -> Vec<Point> {
    let (start, end) = (from.at, to.at);
    let (Some(leaves), Some(enters)) = (from.axis, to.axis) else {
        return Vec::new();
    };
    let (x, y) = ((start.x + end.x) / 2.0, (start.y + end.y) / 2.0);
    match (leaves, enters) {
        (Axis::Across, Axis::Across) if (start.y - end.y).abs() < 0.5 => Vec::new(),
        (Axis::Down, Axis::Down) if (start.x - end.x).abs() < 0.5 => Vec::new(),
        (Axis::Across, Axis::Across) => vec![point(x, start.y), point(x, end.y)],
        (Axis::Down, Axis::Down) => vec![point(start.x, y), point(end.x, y)],
        (Axis::Across, Axis::Down) => vec![point(end.x, start.y)],
        (Axis::Down, Axis::Across) => vec![point(start.x, end.y)],
    }
}

/// Writes the label of a line beside its longest part.
pub(super) fn label(canvas: &mut Canvas, points: &[Point], style: &Style, lines: &[String]) {
    let length = |pair: &&[Point]| match pair {
        [from, to] => distance(*from, *to),
        _ => 0.0,
    };
    let longest = points
        .windows(2)
        .max_by(|one, two| length(one).total_cmp(&length(two)));
    let Some([from, to]) = longest else { return };
    let share = if style.has("near") {
        0.25
    } else if style.has("far") {
        0.75
    } else {
        0.5
    };
    let x = from.x + (to.x - from.x) * share;
    let y = from.y + (to.y - from.y) * share;
    let count: f64 = lines.iter().map(|_| 1.0).sum();
    let upright = (to.y - from.y).abs() > (to.x - from.x).abs();
    let (x, mut y, anchor) = match (upright, style.has("left"), style.has("below")) {
        (true, true, _) => (x - 9.0, y + 5.0 - (count - 1.0) * LINE / 2.0, Anchor::End),
        (true, false, _) => (x + 9.0, y + 5.0 - (count - 1.0) * LINE / 2.0, Anchor::Start),
        (false, _, true) => (x, y + 18.0, Anchor::Middle),
        (false, _, false) => (x, y - 7.0 - (count - 1.0) * LINE, Anchor::Middle),
    };
    let class = if style.has("large") { "" } else { "s" };
    for line in lines {
        canvas.text(point(x, y), anchor, class, line);
        y += LINE;
    }
}
