//! Files, or packages, with an arrow from each to those that it needs, and the cycles among them.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

/// From one node to another, by their numbers.
pub(crate) type Arrow = (usize, usize);

/// One mention that makes an arrow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mention {
    /// What is mentioned: `Type`, `Type::method` or `function`.
    pub(crate) name: String,
    /// The line, from 1, in the file that the arrow starts at.
    pub(crate) line: usize,
}

/// Nodes and arrows.
#[derive(Default)]
pub(crate) struct Graph {
    names: Vec<String>,
    arrows: BTreeMap<Arrow, BTreeSet<Mention>>,
}

impl Graph {
    /// The number of the node with this name, which is added if it is new.
    pub(crate) fn node(&mut self, name: &str) -> usize {
        if let Some(node) = self.names.iter().position(|known| known == name) {
            return node;
        }
        self.names.push(name.to_owned());
        self.names.len() - 1
    }

    /// Records a mention. A node that mentions itself makes no arrow.
    pub(crate) fn mention(&mut self, arrow: Arrow, name: String, line: usize) {
        if arrow.0 != arrow.1 {
            self.arrows.entry(arrow).or_default().insert(Mention { name, line });
        }
    }

    /// The name of a node.
    pub(crate) fn name(&self, node: usize) -> &str {
        &self.names[node]
    }

    /// Every arrow by the names of its ends, with what makes it.
    #[cfg(test)]
    pub(crate) fn arrows(&self) -> impl Iterator<Item = (&str, &str, &BTreeSet<Mention>)> {
        self.arrows.iter().map(|((from, to), mentions)| (self.name(*from), self.name(*to), mentions))
    }

    /// Strongly connected components of more than one node, the largest first.
    pub(crate) fn cycles(&self) -> Vec<Cycle> {
        let all: BTreeSet<usize> = (0..self.names.len()).collect();
        let arrows: BTreeSet<Arrow> = self.arrows.keys().copied().collect();
        let mut cycles: Vec<Cycle> = components(&all, &arrows)
            .into_iter()
            .map(|nodes| Cycle { arrows: inside(&nodes, &arrows), nodes })
            .collect();
        cycles.sort_by_key(|cycle| std::cmp::Reverse(cycle.nodes.len()));
        cycles
    }

    /// Short ways around, one a line, each with the mentions that make it. They are found one after the other: the
    /// shortest is listed, and its arrow with the fewest mentions is taken as cut, until no cycle is left.
    pub(crate) fn ways_around(&self, cycle: &Cycle) -> Vec<String> {
        let mut left = cycle.arrows.clone();
        let mut lines = Vec::new();
        while let Some(way) = shortest(&cycle.nodes, &left) {
            let cut = way.iter().min_by_key(|arrow| self.arrows[arrow].len()).expect("a way has arrows");
            left.remove(cut);
            lines.push(way.iter().map(|arrow| self.described(*arrow)).collect::<Vec<_>>().join("; "));
        }
        lines
    }

    /// `a.rs -> b.rs: Type::method at line 12 (and 3 more)`.
    fn described(&self, arrow: Arrow) -> String {
        let mentions = &self.arrows[&arrow];
        let first = mentions.first().expect("an arrow has a mention");
        let more = match mentions.len() - 1 {
            0 => String::new(),
            more => format!(" (and {more} more)"),
        };
        format!("{} -> {}: {} at line {}{more}", self.name(arrow.0), self.name(arrow.1), first.name, first.line)
    }
}

/// Nodes that all need one another, directly or through others.
pub(crate) struct Cycle {
    pub(crate) nodes: BTreeSet<usize>,
    /// The arrows from one of them to another.
    pub(crate) arrows: BTreeSet<Arrow>,
}

fn inside(nodes: &BTreeSet<usize>, arrows: &BTreeSet<Arrow>) -> BTreeSet<Arrow> {
    arrows.iter().filter(|(from, to)| nodes.contains(from) && nodes.contains(to)).copied().collect()
}

fn next(arrows: &BTreeSet<Arrow>, node: usize) -> impl Iterator<Item = usize> {
    arrows.range((node, 0)..=(node, usize::MAX)).map(|(_, to)| *to)
}

/// What can be reached from a node, without it unless it lies on a cycle.
fn reached(arrows: &BTreeSet<Arrow>, node: usize) -> BTreeSet<usize> {
    let mut reached = BTreeSet::new();
    let mut open: Vec<usize> = next(arrows, node).collect();
    while let Some(node) = open.pop() {
        if reached.insert(node) {
            open.extend(next(arrows, node));
        }
    }
    reached
}

fn components(nodes: &BTreeSet<usize>, arrows: &BTreeSet<Arrow>) -> Vec<BTreeSet<usize>> {
    let reach: BTreeMap<usize, BTreeSet<usize>> = nodes.iter().map(|node| (*node, reached(arrows, *node))).collect();
    let both_ways = |node: usize| -> BTreeSet<usize> {
        reach[&node].iter().filter(|other| reach[other].contains(&node)).copied().collect()
    };
    let components: BTreeSet<BTreeSet<usize>> = nodes.iter().map(|node| both_ways(*node)).collect();
    components.into_iter().filter(|component| component.len() > 1).collect()
}

/// The shortest way from a node back to itself, as arrows.
fn shortest(nodes: &BTreeSet<usize>, arrows: &BTreeSet<Arrow>) -> Option<Vec<Arrow>> {
    nodes.iter().filter_map(|start| way_back(*start, arrows)).min_by_key(Vec::len)
}

fn way_back(start: usize, arrows: &BTreeSet<Arrow>) -> Option<Vec<Arrow>> {
    let mut came_from: BTreeMap<usize, usize> = BTreeMap::new();
    let mut open = VecDeque::from([start]);
    while let Some(node) = open.pop_front() {
        for to in next(arrows, node) {
            if to == start {
                let mut way = vec![(node, start)];
                let mut at = node;
                while let Some(from) = came_from.get(&at) {
                    way.push((*from, at));
                    at = *from;
                }
                way.reverse();
                return Some(way);
            }
            if let Entry::Vacant(unseen) = came_from.entry(to) {
                unseen.insert(node);
                open.push_back(to);
            }
        }
    }
    None
}
