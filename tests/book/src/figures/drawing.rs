//! Drawings: boxes, rows of cells, arrows and text at given places or in a grid.
//!
//! ```text
//! drawing 600x300                              width and height of the picture
//! box NAME 20,40 120x60 STYLE : text           a box at a place (left, top) with a size
//! grid 20,20 120x60 40,50                      a grid: where, size of a box, gaps
//! row : a ; b ; . ; c                          names the boxes of the grid's next row
//! box a STYLE : text                           a box of the grid
//! cells NAME 20,40 60,60,90x30 : a ; {client} b ; c | d ; e ; f
//! arrow a -> b.left+10 -> 40,= STYLE : label   from box to box, side or place
//! line a -> b                                  the same without a head
//! text 20,40 STYLE : text
//! ```
//!
//! A side is `top`, `right`, `bottom` or `left`, with a distance from its middle. `=` repeats a
//! coordinate of the place before. A cell is named `NAME[3]`, counted from 1 row by row.

use std::collections::HashMap;

use anyhow::{Context, Result, bail};

use crate::figures::canvas::{Anchor, Canvas, Heads};
use crate::figures::geometry::{Area, point};
use crate::figures::route;
use crate::figures::source::{Command, Source, Style, number, pair};
use crate::figures::text::{self, LINE};

/// The words for a box besides the colours.
const BOX: [&str; 7] = ["dashed", "round", "bare", "small", "top", "left", "sharp"];
/// The words for text.
const TEXT: [&str; 4] = ["middle", "right", "small", "bold"];

/// A drawing in progress.
struct Drawing {
    canvas: Canvas,
    boxes: HashMap<String, Area>,
    grid: Option<Grid>,
}

/// Where the boxes of the next row go.
#[derive(Clone, Copy)]
struct Grid {
    next: Area,
    gap: (f64, f64),
}

/// Draws a source of the kind `drawing`.
///
/// # Errors
///
/// Fails if a command cannot be understood; its line is named.
pub(super) fn draw(source: &Source) -> Result<Canvas> {
    let (width, height) = pair(source.kind.word(1)?, 'x')?;
    let mut drawing = Drawing {
        canvas: Canvas::new(width, height),
        boxes: HashMap::new(),
        grid: None,
    };
    for command in &source.commands {
        let outcome = drawing.command(command);
        outcome.with_context(|| format!("line {}", command.line))?;
    }
    Ok(drawing.canvas)
}

impl Drawing {
    fn command(&mut self, command: &Command) -> Result<()> {
        match command.word(0)? {
            "box" => self.draw_box(command),
            "grid" => self.set_grid(command),
            "row" => self.next_row(command),
            "cells" => self.draw_cells(command),
            "arrow" => self.draw_arrow(command, Heads::End),
            "line" => self.draw_arrow(command, Heads::None),
            "text" => self.write(command),
            other => bail!("\"{other}\" is not a command"),
        }
    }

    fn draw_box(&mut self, command: &Command) -> Result<()> {
        let name = command.word(1)?;
        let (area, rest) = match command.words.get(2).and_then(|word| pair(word, ',').ok()) {
            Some((x, y)) => (area((x, y), pair(command.word(3)?, 'x')?), 4),
            None => {
                let area = self.boxes.get(name);
                (
                    *area.with_context(|| format!("\"{name}\" has no place"))?,
                    2,
                )
            }
        };
        let style = command.style(rest, &BOX)?;
        self.boxes.insert(name.to_owned(), area);
        let radius = if style.has("round") {
            area.height / 2.0
        } else if style.has("sharp") {
            0.0
        } else {
            6.0
        };
        if !style.has("bare") {
            // A frame around other boxes has no fill, so that their colours stay visible.
            let frame = if style.has("top") { "frame " } else { "" };
            let class = format!("{frame}{}", classes(&style));
            self.canvas.rect(area, radius, &class);
        }
        self.label(area, &style, &command.text);
        Ok(())
    }

    fn set_grid(&mut self, command: &Command) -> Result<()> {
        let size = pair(command.word(2)?, 'x')?;
        self.grid = Some(Grid {
            next: area(pair(command.word(1)?, ',')?, size),
            gap: pair(command.word(3)?, ',')?,
        });
        Ok(())
    }

    fn next_row(&mut self, command: &Command) -> Result<()> {
        let grid = self.grid.as_mut().context("there is no grid")?;
        let mut area = grid.next;
        for name in command.text.iter().flat_map(|text| text.split(';')) {
            if name.trim() != "." {
                self.boxes.insert(name.trim().to_owned(), area);
            }
            area.at.x += area.width + grid.gap.0;
        }
        grid.next.at.y += grid.next.height + grid.gap.1;
        Ok(())
    }

    fn draw_cells(&mut self, command: &Command) -> Result<()> {
        let (name, style) = (command.word(1)?, command.style(4, &BOX)?);
        let (left, top) = pair(command.word(2)?, ',')?;
        let (widths, height) = command.word(3)?.split_once('x').context("no height")?;
        let (widths, height) = (cell_widths(widths)?, number(height)?);
        let (mut y, mut count) = (top, 0);
        for row in &command.text {
            let mut x = left;
            for (cell, width) in row.split(';').zip(&widths) {
                count += 1;
                let area = area((x, y), (*width, height));
                self.boxes.insert(format!("{name}[{count}]"), area);
                self.draw_cell(area, &style, cell.trim());
                x += width;
            }
            y += height;
        }
        let whole = area((left, top), (widths.iter().sum(), y - top));
        self.boxes.insert(name.to_owned(), whole);
        Ok(())
    }

    /// Draws a cell; a word in braces before its text is its colour, or `head`, or `none`.
    fn draw_cell(&mut self, area: Area, style: &Style, cell: &str) {
        let (mark, line) = match cell.strip_prefix('{').and_then(|cell| cell.split_once('}')) {
            Some((mark, line)) => (mark, line.trim()),
            None => ("", cell),
        };
        match mark {
            "none" => {}
            "head" => self.canvas.rect(area, 0.0, "head"),
            "" => self
                .canvas
                .rect(area, 0.0, &format!("cell {}", classes(style))),
            colour => self.canvas.rect(area, 0.0, colour),
        }
        if !line.is_empty() {
            self.label(area, style, &[line.to_owned()]);
        }
    }

    /// Writes the lines of a box: in its middle, or at its top, or from its left side.
    fn label(&mut self, area: Area, style: &Style, lines: &[String]) {
        let (anchor, x) = if style.has("left") || style.has("top") {
            (Anchor::Start, area.at.x + 10.0)
        } else {
            (Anchor::Middle, area.point(0.5, 0.0).x)
        };
        let mut y = if style.has("top") {
            area.at.y + LINE + 1.0
        } else {
            area.point(0.0, 0.5).y + 5.0 - LINE * (count(lines) - 1.0) / 2.0
        };
        for line in lines {
            let (class, line) = line_class(style, line);
            let size = if class.is_empty() {
                text::SIZE
            } else {
                text::SMALL
            };
            if text::width(line, size) > area.width - 4.0 {
                let line = text::plain(line);
                self.canvas
                    .problem(format!("\"{line}\" is wider than its box"));
            }
            self.canvas.text(point(x, y), anchor, class, line);
            y += LINE;
        }
        if count(lines) * LINE > area.height + 4.0 {
            let first = lines.first().map_or("", String::as_str);
            self.canvas
                .problem(format!("\"{first}\" is higher than its box"));
        }
    }

    fn draw_arrow(&mut self, command: &Command, heads: Heads) -> Result<()> {
        let ends = command.words.iter().skip(1).step_by(2);
        let dashes = command.words.iter().skip(2).step_by(2);
        let count = 1 + dashes.take_while(|word| *word == "->").count();
        let ends: Vec<&str> = ends.take(count).map(String::as_str).collect();
        let style = command.style(2 * count, &route::STYLE)?;
        let heads = if style.has("both") {
            Heads::Both
        } else {
            heads
        };
        let points = route::points(&self.boxes, &ends, &style)?;
        self.canvas.line(&points, &classes(&style), heads);
        route::label(&mut self.canvas, &points, &style, &command.text);
        Ok(())
    }

    fn write(&mut self, command: &Command) -> Result<()> {
        let (x, mut y) = pair(command.word(1)?, ',')?;
        let style = command.style(2, &TEXT)?;
        let anchor = if style.has("middle") {
            Anchor::Middle
        } else if style.has("right") {
            Anchor::End
        } else {
            Anchor::Start
        };
        for line in &command.text {
            let (class, line) = line_class(&style, line);
            let class = format!("{class} {}", style.colour());
            let bold = format!("*{line}*");
            let line = if style.has("bold") { &bold } else { line };
            self.canvas.text(point(x, y), anchor, class.trim(), line);
            y += LINE;
        }
        Ok(())
    }
}

/// A line that begins with `~` is small, and so is every line of a small style.
fn line_class<'line>(style: &Style, line: &'line str) -> (&'static str, &'line str) {
    match line.strip_prefix('~') {
        Some(line) => ("s dim", line.trim_start()),
        None if style.has("small") => ("s", line),
        None => ("", line),
    }
}

fn classes(style: &Style) -> String {
    let dashed = if style.has("dashed") { " dashed" } else { "" };
    format!("{}{dashed}", style.colour()).trim().to_owned()
}

fn area(at: (f64, f64), size: (f64, f64)) -> Area {
    Area {
        at: point(at.0, at.1),
        width: size.0,
        height: size.1,
    }
}

/// Reads `60,60,90` or `60*2,90`.
fn cell_widths(text: &str) -> Result<Vec<f64>> {
    let mut widths = Vec::new();
    for part in text.split(',') {
        let (width, times) = part.split_once('*').unwrap_or((part, "1"));
        let times: usize = times.parse().context("how many cells?")?;
        widths.extend(vec![number(width)?; times]);
    }
    Ok(widths)
}

fn count(lines: &[String]) -> f64 {
    lines.iter().map(|_| 1.0).sum()
}
