//! Points and rectangles of a picture, in pixels from its upper left corner.

/// A place in a picture.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Point {
    /// From the left.
    pub(super) x: f64,
    /// From above.
    pub(super) y: f64,
}

/// A rectangle.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Area {
    /// Its upper left corner.
    pub(super) at: Point,
    /// Its width.
    pub(super) width: f64,
    /// Its height.
    pub(super) height: f64,
}

impl Area {
    /// Returns the place at these shares of width and height.
    pub(super) fn point(&self, across: f64, down: f64) -> Point {
        point(
            self.at.x + self.width * across,
            self.at.y + self.height * down,
        )
    }
}

/// Creates a place.
pub(super) fn point(x: f64, y: f64) -> Point {
    Point { x, y }
}

/// Returns the distance of two places.
pub(super) fn distance(one: Point, two: Point) -> f64 {
    (one.x - two.x).hypot(one.y - two.y)
}
