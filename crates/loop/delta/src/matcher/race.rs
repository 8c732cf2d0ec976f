//! Finds the cheapest way to describe the new file: a shortest path by price.
//!
//! In: both files, and the sorted suffixes of the old one. Out: the copies of the cheapest way that was found. Refuses
//! nothing.
//!
//! At each place of the new file several ways are in the race: one that codes literals, and one for each *lane*, which
//! copies under a certain shift. Right bytes are free, so nothing happens until some lane meets a wrong byte: then it
//! pays for it, literals may start, and every lane that is right from there on for a few bytes may take over the
//! cheapest way, for the price of a new copy. Where new lanes come from is the matter of the [scout](super::scout).

use std::collections::VecDeque;

use super::pair::Pair;
use super::paths::{Paths, ROOT};
use super::price::{self, Price, UNPAYABLE, Wrongs};
use super::suffixes::{Place, Suffixes};
use super::{Copy, MatchOptions};

/// How many shifts are in the race at once. With 48 patches are hardly smaller.
pub(super) const LANES_MAX: usize = 24;

/// A lane that is right for this many bytes may take over, in bytes.
const RUN_ENTRY: usize = 4;

/// Where the leading lane is right for this many bytes more, the hopeless ones sleep until it is not, in bytes.
const RUN_SLEEP: usize = 32;

/// How far a lane looks ahead at once, in bytes: bounds what is compared in vain when it is dropped.
pub(super) const RUN_MAX: usize = 16 * 1024;

/// How many of the last changes of the cheapest way are kept for lanes that look back.
const MARKS_MAX: usize = 1024;

/// How much longer a lane is kept that once led, in bytes: code returns to the shift of its neighbours.
const LED_BONUS_BYTES: usize = 512;

/// Up to how many bytes longer still it is kept, one for each byte for which it led.
const LED_BYTES_MAX: usize = 64 * 1024;

/// A way in the race.
#[derive(Debug, Clone, Copy)]
pub(super) struct Way {
    pub(super) cost: Price,
    /// Its last copy.
    pub(super) node: u32,
    /// Where that copy ends; nothing while it goes on.
    pub(super) end: Option<usize>,
}

/// A way that copies.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lane {
    pub(super) shift: i64,
    pub(super) cost: Price,
    pub(super) node: u32,
    /// The next place where it may be wrong; up to there it is right, or sleeps.
    pub(super) next: usize,
    /// What it was wrong in.
    pub(super) wrongs: Wrongs,
    /// Up to where it is worth being kept.
    pub(super) keep: usize,
}

impl Lane {
    pub(super) fn way(&self) -> Way {
        Way { cost: self.cost, node: self.node, end: None }
    }
}

/// The cheapest way from a place on, up to the next such mark.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) at: usize,
    pub(super) way: Way,
}

/// The race.
pub(super) struct Race<'a> {
    pub(super) pair: Pair<'a>,
    pub(super) suffixes: &'a Suffixes<'a>,
    pub(super) options: MatchOptions,
    pub(super) paths: Paths,
    pub(super) lanes: Vec<Lane>,
    pub(super) literals: Way,
    pub(super) marks: VecDeque<Mark>,
    /// How far the race has come.
    pub(super) at: usize,
    /// Where the next search is due.
    pub(super) search_at: usize,
    /// Where neighbouring shifts are tried next.
    pub(super) neighbours_at: usize,
    /// How many searches in a row found nothing of use.
    pub(super) misses: usize,
    /// What the last search found; kept for its memory.
    pub(super) places: Vec<Place>,
    /// How many bytes were compared.
    pub(super) compared: u64,
}

impl<'a> Race<'a> {
    pub(super) fn new(pair: Pair<'a>, suffixes: &'a Suffixes<'a>, options: MatchOptions) -> Self {
        let mut race = Self {
            pair,
            suffixes,
            options,
            paths: Paths::new(),
            lanes: Vec::with_capacity(LANES_MAX),
            literals: Way { cost: 0, node: ROOT, end: Some(0) },
            marks: VecDeque::with_capacity(MARKS_MAX),
            at: 0,
            search_at: 0,
            neighbours_at: 0,
            misses: 0,
            places: Vec::new(),
            compared: 0,
        };
        race.mark();
        race.add_lane(0);
        race
    }

    /// Runs to the end of the new file; returns the copies of the cheapest way.
    pub(super) fn run(&mut self) -> Vec<Copy> {
        let end = self.pair.new.len();
        while self.at < end {
            self.search_if_due();
            let next = self.lanes.iter().map(|lane| lane.next).min().unwrap_or(end);
            self.go_on(next.min(self.search_at.max(self.at + 1)).min(end));
            self.wake();
            if self.at < end && self.lanes.iter().any(|lane| lane.next <= self.at) {
                self.pass_wrong_byte();
            }
            if self.paths.is_crowded() {
                self.sweep();
            }
        }
        let best = self.best();
        self.paths.copies(best.node, best.end.unwrap_or(end))
    }

    /// Returns the cheapest lane.
    pub(super) fn leader(&self) -> Option<&Lane> {
        self.lanes.iter().min_by_key(|lane| lane.cost)
    }

    /// Returns the cheapest way.
    pub(super) fn best(&self) -> Way {
        let leader = self.leader().map(Lane::way).filter(|way| way.cost <= self.literals.cost);
        leader.unwrap_or(self.literals)
    }

    /// Goes on to a place up to which no lane is wrong.
    fn go_on(&mut self, to: usize) {
        // Literals that cost more than ending the best copy here are given up; they start afresh from a copy.
        let is_hopeless = self.leader().is_some_and(|lane| self.literals.cost > lane.cost + price::LITERALS);
        if is_hopeless {
            self.literals.cost = UNPAYABLE;
        } else {
            self.literals.cost += (self.at..to).map(|at| price::literal(self.pair.new, at)).sum::<Price>();
        }
        self.at = to;
    }

    /// Lanes that looked only so far ahead, or slept, look again.
    fn wake(&mut self) {
        let mut woken = [false; LANES_MAX];
        for (lane, woken) in self.lanes.iter_mut().zip(&mut woken) {
            if lane.next <= self.at && self.pair.is_right(self.at, lane.shift) == Some(true) {
                let run = self.pair.run(self.at, lane.shift, RUN_MAX);
                self.compared += run as u64;
                lane.next = self.at + run;
                *woken = run >= RUN_ENTRY;
            }
        }
        self.take_over(woken);
    }

    /// Passes a byte that is wrong in some lanes.
    fn pass_wrong_byte(&mut self) {
        let (at, pair) = (self.at, self.pair);
        for lane in self.lanes.iter().filter(|lane| lane.next <= at) {
            if lane.cost + price::LITERALS < self.literals.cost {
                self.literals = Way { cost: lane.cost + price::LITERALS, node: lane.node, end: Some(at) };
            }
        }
        self.lanes.retain(|lane| lane.next > at || pair.is_right(at, lane.shift).is_some());
        self.literals.cost = (self.literals.cost + price::literal(pair.new, at)).min(UNPAYABLE);
        let mut fresh = [false; LANES_MAX];
        for (lane, fresh) in self.lanes.iter_mut().zip(&mut fresh).filter(|(lane, _)| lane.next <= at) {
            let price = lane.wrongs.price(pair, at, lane.shift);
            lane.cost = (lane.cost + price).min(UNPAYABLE);
            let run = pair.run(at + 1, lane.shift, RUN_MAX);
            self.compared += run as u64 + 1;
            lane.next = at + 1 + run;
            // In a table of addresses that have all moved, no four bytes are right.
            *fresh = run >= RUN_ENTRY || price <= price::WRONG_KNOWN;
        }
        self.at = at + 1;
        self.take_over(fresh);
        self.mark();
        self.sleep();
    }

    /// Lets the lanes that are told go on the cheapest way from here, where that is cheaper than their own.
    fn take_over(&mut self, which: [bool; LANES_MAX]) {
        if which.iter().all(|which| !which) {
            return;
        }
        let (leader, literals, at) = (self.leader().map(Lane::way), self.literals, self.at);
        for (lane, _) in self.lanes.iter_mut().zip(which).filter(|(_, which)| *which) {
            let ways = leader.into_iter().chain([literals]);
            let priced = ways.map(|way| (way.cost + price::copy(self.paths.seek(way.node, lane.shift)), way));
            let Some((cost, way)) = priced.min_by_key(|(cost, _)| *cost) else { continue };
            if cost < lane.cost
                && let Some(old) = self.pair.old_at(at, lane.shift)
            {
                lane.node = self.paths.add((at, old), way.node, way.end.unwrap_or(at));
                lane.cost = cost;
            }
        }
    }

    /// Remembers the cheapest way, for lanes that look back.
    fn mark(&mut self) {
        let (at, way) = (self.at, self.best());
        if way.end.is_none()
            && let Some(lane) = self.lanes.iter_mut().find(|lane| lane.node == way.node)
        {
            let led = at.saturating_sub(self.paths.start(way.node));
            lane.keep = lane.next + LED_BONUS_BYTES + led.min(LED_BYTES_MAX);
        }
        if self.marks.len() == MARKS_MAX {
            self.marks.pop_front();
        }
        self.marks.push_back(Mark { at, way });
    }

    /// While the leader goes on right for long, lanes that cannot win pay nothing and are not looked at: if they are
    /// right when the leader is wrong, they take over from it like new ones.
    fn sleep(&mut self) {
        let Some(leader) = self.leader().copied().filter(|lane| lane.next >= self.at + RUN_SLEEP) else {
            return;
        };
        for lane in self.lanes.iter_mut().filter(|lane| lane.cost > leader.cost + price::COPY_MAX) {
            if lane.next < leader.next {
                lane.cost = UNPAYABLE;
                lane.next = leader.next;
            }
        }
    }

    fn sweep(&mut self) {
        let mut ways: Vec<&mut u32> = self.lanes.iter_mut().map(|lane| &mut lane.node).collect();
        ways.push(&mut self.literals.node);
        ways.extend(self.marks.iter_mut().map(|mark| &mut mark.way.node));
        self.paths.sweep(ways);
    }
}
