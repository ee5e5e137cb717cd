//! A graph of named nodes, and its circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// Named nodes with arrows between them.
#[derive(Debug, Default)]
pub(crate) struct Graph {
    arrows: BTreeMap<String, BTreeSet<String>>,
}

impl Graph {
    /// Adds a node.
    pub(crate) fn add_node(&mut self, name: &str) {
        self.arrows.entry(name.to_owned()).or_default();
    }

    /// Adds an arrow and, if they are new, its two nodes.
    pub(crate) fn add_arrow(&mut self, from: &str, to: &str) {
        self.add_node(to);
        let targets = self.arrows.entry(from.to_owned()).or_default();
        targets.insert(to.to_owned());
    }

    /// Returns the number of nodes.
    pub(crate) fn nodes(&self) -> usize {
        self.arrows.len()
    }

    /// Returns the number of arrows.
    pub(crate) fn arrows(&self) -> usize {
        self.arrows.values().map(BTreeSet::len).sum()
    }

    /// Returns a shortest circle through each node that is not part of an earlier one; its first node is its last one, too.
    pub(crate) fn circles(&self) -> Vec<Vec<String>> {
        let (mut known, mut circles) = (BTreeSet::new(), Vec::new());
        for node in self.arrows.keys() {
            if known.contains(node) {
                continue;
            }
            if let Some(circle) = self.shortest_circle(node) {
                known.extend(circle.iter().cloned());
                circles.push(circle);
            }
        }
        circles
    }

    /// Searches breadth first, so that the first way back to `start` is a shortest one.
    fn shortest_circle(&self, start: &str) -> Option<Vec<String>> {
        let mut came_from: BTreeMap<&str, &str> = BTreeMap::new();
        let mut queue = VecDeque::from([start]);
        while let Some(node) = queue.pop_front() {
            for next in self.arrows.get(node).into_iter().flatten() {
                if next == start {
                    return Some(way_back(&came_from, start, node));
                }
                if !came_from.contains_key(next.as_str()) {
                    came_from.insert(next, node);
                    queue.push_back(next);
                }
            }
        }
        None
    }
}

/// Returns the circle that ends with the arrow from `last` to `start`.
fn way_back(came_from: &BTreeMap<&str, &str>, start: &str, last: &str) -> Vec<String> {
    let mut circle = vec![start.to_owned()];
    let mut node = last;
    while node != start {
        circle.push(node.to_owned());
        node = came_from.get(node).copied().unwrap_or(start);
    }
    circle.push(start.to_owned());
    circle.reverse();
    circle
}

#[test]
fn a_circle_is_found_and_named_in_its_order() {
    let mut graph = Graph::default();
    for (from, to) in [("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("d", "b")] {
        graph.add_arrow(from, to);
    }
    assert_eq!((graph.nodes(), graph.arrows()), (4, 5));
    let circles = graph.circles();
    assert_eq!(circles.first().unwrap().join(" "), "b c b");
}

#[test]
fn an_arrow_to_itself_is_a_circle() {
    let mut graph = Graph::default();
    graph.add_arrow("a", "b");
    assert!(graph.circles().is_empty());
    graph.add_arrow("b", "b");
    assert_eq!(graph.circles(), [["b", "b"]]);
}
