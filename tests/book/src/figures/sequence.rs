//! Sequence diagrams: the messages of several parties, with time running downwards. The layout is computed here.
//!
//! ```text
//! sequence 600
//! actor client client : Client                 a name, a colour, the text in the head
//! actor up 500 upstream : Upstream              the same, at a place of its own
//! client -> up STYLE : `GET /`                  a message (slow: it takes time; lost: it ends on the way)
//! note up STYLE : text | text                   a box on the line of one
//! note client..up : text                        a box across the lines of several
//! beside up STYLE : text                        text beside the line of one (left: on the other side)
//! gap 20
//! ```

use anyhow::{Context, Result, bail, ensure};

use crate::figures::canvas::{Anchor, Canvas, Heads};
use crate::figures::geometry::{Area, point};
use crate::figures::source::{Command, Source, Style, number};
use crate::figures::text::{self, LINE, SMALL};

/// The words for messages and notes besides the colours.
const STYLE: [&str; 6] = ["dashed", "slow", "lost", "left", "both", "large"];
/// The height of the heads.
const HEAD: f64 = 32.0;
/// The height by which a slow message descends.
const SLOPE: f64 = 16.0;

/// A party of the sequence.
struct Actor {
    name: String,
    x: f64,
    colour: String,
    label: String,
}

/// A sequence in progress: nothing is drawn until the height is known.
struct Sequence {
    actors: Vec<Actor>,
    width: f64,
    y: f64,
    strokes: Vec<Stroke>,
}

enum Stroke {
    Message {
        from: (f64, f64),
        to: (f64, f64),
        class: String,
        heads: Heads,
    },
    Cross {
        at: (f64, f64),
    },
    Box {
        area: Area,
        class: String,
    },
    Text {
        at: (f64, f64),
        anchor: Anchor,
        class: &'static str,
        line: String,
    },
}

/// Draws a source of the kind `sequence`.
///
/// # Errors
///
/// Fails if a command cannot be understood; its line is named.
pub(super) fn draw(source: &Source) -> Result<Canvas> {
    let mut sequence = Sequence {
        actors: actors(source)?,
        width: number(source.kind.word(1)?)?,
        y: HEAD + 14.0,
        strokes: Vec::new(),
    };
    sequence.spread();
    for command in &source.commands {
        let outcome = sequence.command(command);
        outcome.with_context(|| format!("line {}", command.line))?;
    }
    Ok(sequence.paint())
}

fn actors(source: &Source) -> Result<Vec<Actor>> {
    let commands = source.commands.iter();
    let mut actors = Vec::new();
    for command in commands.filter(|command| command.word(0).is_ok_and(|word| word == "actor")) {
        let x = command.words.get(2).and_then(|word| number(word).ok());
        let style = command.style(if x.is_some() { 3 } else { 2 }, &[])?;
        actors.push(Actor {
            name: command.word(1)?.to_owned(),
            x: x.unwrap_or(0.0),
            colour: style.colour().to_owned(),
            label: command.text.join(" "),
        });
    }
    ensure!(!actors.is_empty(), "the sequence has no actor");
    Ok(actors)
}

impl Sequence {
    /// Distributes the actors without a place of their own evenly.
    fn spread(&mut self) {
        let count: f64 = self.actors.iter().map(|_| 1.0).sum();
        let room = self.width / count;
        let mut x = room / 2.0;
        for actor in &mut self.actors {
            if actor.x == 0.0 {
                actor.x = x;
            }
            x += room;
        }
    }

    fn command(&mut self, command: &Command) -> Result<()> {
        match command.word(0)? {
            "actor" => Ok(()),
            "gap" => {
                self.y += number(command.word(1)?)?;
                Ok(())
            }
            "note" => self.note(command),
            "beside" => self.beside(command),
            _ if command.words.get(1).is_some_and(|word| word == "->") => self.message(command),
            other => bail!("\"{other}\" is not a command"),
        }
    }

    fn x(&self, name: &str) -> Result<f64> {
        let actor = self.actors.iter().find(|actor| actor.name == name);
        Ok(actor
            .with_context(|| format!("there is no actor \"{name}\""))?
            .x)
    }

    fn message(&mut self, command: &Command) -> Result<()> {
        let style = command.style(3, &STYLE)?;
        let (from, to) = (self.x(command.word(0)?)?, self.x(command.word(2)?)?);
        self.y += 6.0;
        let end = if style.has("lost") {
            from + (to - from) * 0.6
        } else {
            to
        };
        let middle = f64::midpoint(from, end);
        for line in &command.text {
            self.y += LINE;
            self.text((middle, self.y - 3.0), Anchor::Middle, "s halo", line);
        }
        self.y += 4.0;
        let start = self.y;
        if style.has("slow") {
            self.y += SLOPE;
        }
        self.strokes.push(Stroke::Message {
            from: (from, start),
            to: (end, self.y),
            class: class(&style),
            heads: if style.has("both") {
                Heads::Both
            } else {
                Heads::End
            },
        });
        if style.has("lost") {
            self.strokes.push(Stroke::Cross { at: (end, self.y) });
        }
        self.y += 8.0;
        Ok(())
    }

    fn note(&mut self, command: &Command) -> Result<()> {
        let style = command.style(2, &STYLE)?;
        let who = command.word(1)?;
        let (first, last) = who.split_once("..").unwrap_or((who, who));
        let (left, right) = (self.x(first)?, self.x(last)?);
        let widths = command.text.iter().map(|line| text::width(line, SMALL));
        let needed = widths.fold(0.0, f64::max) + 18.0;
        let width = needed.max(right - left + if first == last { 0.0 } else { 60.0 });
        let count: f64 = command.text.iter().map(|_| 1.0).sum();
        let middle = f64::midpoint(left, right);
        let margin = width / 2.0 + 1.0;
        let middle = middle.clamp(margin, (self.width - margin).max(margin));
        self.y += 8.0;
        let area = Area {
            at: point(middle - width / 2.0, self.y),
            width,
            height: count * LINE + 8.0,
        };
        self.strokes.push(Stroke::Box {
            area,
            class: format!("note {}", class(&style)),
        });
        for line in &command.text {
            self.y += LINE;
            self.text((middle, self.y - 1.0), Anchor::Middle, "s", line);
        }
        self.y += 16.0;
        Ok(())
    }

    fn beside(&mut self, command: &Command) -> Result<()> {
        let style = command.style(2, &STYLE)?;
        let x = self.x(command.word(1)?)?;
        let (x, anchor) = if style.has("left") {
            (x - 10.0, Anchor::End)
        } else {
            (x + 10.0, Anchor::Start)
        };
        for line in &command.text {
            self.y += LINE;
            self.text((x, self.y), anchor, "s halo", line);
        }
        self.y += 4.0;
        Ok(())
    }

    fn text(&mut self, at: (f64, f64), anchor: Anchor, class: &'static str, line: &str) {
        let line = line.to_owned();
        self.strokes.push(Stroke::Text {
            at,
            anchor,
            class,
            line,
        });
    }

    /// Draws heads and life lines, and then messages and notes.
    fn paint(self) -> Canvas {
        let bottom = self.y + 10.0;
        let mut canvas = Canvas::new(self.width, bottom + 2.0);
        for actor in &self.actors {
            let line = [point(actor.x, HEAD + 2.0), point(actor.x, bottom)];
            canvas.line(&line, &format!("life {}", actor.colour), Heads::None);
            let width = (text::width(&actor.label, text::SIZE) + 24.0).max(80.0);
            let at = point((actor.x - width / 2.0).max(1.0), 2.0);
            canvas.rect(
                Area {
                    at,
                    width,
                    height: HEAD,
                },
                6.0,
                &actor.colour,
            );
            let middle = point(at.x + width / 2.0, 23.0);
            canvas.text(middle, Anchor::Middle, "", &actor.label);
        }
        for stroke in self.strokes {
            stroke.paint(&mut canvas);
        }
        canvas
    }
}

impl Stroke {
    fn paint(self, canvas: &mut Canvas) {
        match self {
            Self::Message {
                from,
                to,
                class,
                heads,
            } => {
                let ends = [point(from.0, from.1), point(to.0, to.1)];
                canvas.line(&ends, &class, heads);
            }
            Self::Cross { at: (x, y) } => {
                for down in [-6.0, 6.0] {
                    let ends = [point(x - 6.0, y - down), point(x + 6.0, y + down)];
                    canvas.line(&ends, "error", Heads::None);
                }
            }
            Self::Box { area, class } => {
                // Hides the life lines behind it.
                canvas.rect(area, 5.0, "under");
                canvas.rect(area, 5.0, class.trim());
            }
            Self::Text {
                at: (x, y),
                anchor,
                class,
                line,
            } => {
                canvas.text(point(x, y), anchor, class, &line);
            }
        }
    }
}

fn class(style: &Style) -> String {
    let dashed = if style.has("dashed") { " dashed" } else { "" };
    format!("{}{dashed}", style.colour()).trim().to_owned()
}
