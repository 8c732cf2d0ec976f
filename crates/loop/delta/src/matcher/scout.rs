//! Finds new lanes for the race.
//!
//! In: a race and where it stands. Out: lanes in it. Refuses nothing.
//!
//! Three things lead to a lane: places that agree with what comes next, by the suffix array; a place near the expected
//! one among them; and shifts next to the present one, where a table has got another entry. A new lane looks back
//! whether it would have been cheaper to take over earlier, across wrong bytes.

use super::price::{self, Price, Wrongs};
use super::race::{LANES_MAX, Lane, RUN_MAX, Race, Way};
use super::suffixes::{Needle, Place};

/// Shortest agreement that is looked for, in bytes: with 8, patches are up to a tenth larger.
const PLACE_BYTES_MIN: usize = 5;

/// How many of the places that a search finds become lanes.
const PLACES_TAKEN_MAX: usize = 2;

/// How far places are compared when it is to be said which are the best, in bytes.
const OUTLOOK_BYTES: usize = 64;

/// Where a lane that can win is right for this many bytes more, there is no search, in bytes.
const RUN_ENOUGH: usize = 24;

/// Where the cheapest way is a lane whose outlook costs less than this, no new copy pays, and there is no search.
const CALM: Price = price::COPY + price::WRONG_KNOWN * 2;

/// How far apart it is asked in calm stretches whether a search may pay, in bytes.
const CALM_BYTES: usize = 16;

/// After a search, this part of the longest agreement is passed without another: most of what agrees within it was seen.
const SKIP_PART: usize = 4;

/// A search that finds nothing as long as this is a miss, in bytes.
const MISS_BYTES: usize = PLACE_BYTES_MIN;

/// After so many misses in a row, searches are a byte further apart, up to a limit: compressed or encrypted data is
/// like nothing in the old file, and a long agreement is found a little later, too.
const MISSES_A_BYTE: usize = 256;
const MISSED_STEP_MAX: usize = 7;

/// How many bytes a new lane looks back.
const BACK_BYTES_MAX: usize = 1024;

/// How far apart neighbouring shifts are tried, in bytes.
const NEIGHBOURS_STEP_BYTES: usize = 32;

/// How far neighbouring shifts lie, in words: two entries of a table of relocations or symbols, and some.
const NEIGHBOUR_WORDS_MAX: i64 = 16;

/// How far apart neighbouring shifts lie, in bytes: entries of tables are whole words.
const NEIGHBOUR_BYTES: i64 = 4;

/// A lane whose outlook costs this much goes wrong all the time: in half of its words.
const TROUBLE: Price = price::WRONG_WORD * (OUTLOOK_BYTES / price::WORD_BYTES / 2) as Price;

impl Race<'_> {
    /// Looks for new lanes, unless those at hand do well.
    pub(super) fn search_if_due(&mut self) {
        if self.at < self.search_at {
            return;
        }
        let limit = self.best().cost + price::COPY_MAX;
        let running = self.lanes.iter().filter(|lane| lane.cost <= limit).map(|lane| lane.next).max();
        if let Some(next) = running.filter(|next| *next >= self.at + RUN_ENOUGH) {
            self.search_at = next - RUN_ENOUGH + 1;
            return;
        }
        if let Some(lane) = self.leader().copied().filter(|lane| lane.cost <= self.literals.cost)
            && self.outlook(lane.shift, self.at, lane.wrongs) < CALM
        {
            self.search_at = self.at + CALM_BYTES;
            return;
        }
        self.try_neighbours();
        let longest = self.search();
        self.misses = if longest < MISS_BYTES { self.misses + 1 } else { 0 };
        let patience = (self.misses / MISSES_A_BYTE).min(MISSED_STEP_MAX);
        self.search_at = self.at + self.options.search_step_bytes.max(1) + longest / SKIP_PART + patience;
    }

    /// Adds the best places that agree with what comes next; returns how long the longest one does.
    fn search(&mut self) -> usize {
        let mut places = std::mem::take(&mut self.places);
        let expected = self.pair.old_at(self.at, self.paths.shift(self.best().node)).unwrap_or(0);
        let next = self.pair.new.get(self.at..).unwrap_or_default();
        self.compared += self.suffixes.find(Needle::new(next, PLACE_BYTES_MIN, expected), &mut places);
        let longest = places.iter().map(|place| place.len).max().unwrap_or(0);
        let mut rated: Vec<(Price, i64)> = places.iter().filter_map(|place| self.rate(place)).collect();
        rated.sort_unstable();
        rated.dedup();
        for (_, shift) in rated.into_iter().take(PLACES_TAKEN_MAX) {
            self.add_lane(shift);
        }
        self.places = places;
        longest
    }

    /// Returns the shift of a place, and what the next bytes would cost there; nothing for what is in the race.
    fn rate(&mut self, place: &Place) -> Option<(Price, i64)> {
        let shift = i64::try_from(place.start).ok()? - i64::try_from(self.at).ok()?;
        if self.has_lane(shift) {
            return None;
        }
        let outlook = self.outlook(shift, self.at + place.len, Wrongs::default());
        let cost = price::copy(self.paths.seek(self.best().node, shift)) + outlook;
        // Beyond the outlook, longer is better, if only a little.
        let bonus = place.len.saturating_sub(OUTLOOK_BYTES).min(256) as Price;
        Some((cost.saturating_sub(bonus), shift))
    }

    /// Returns what the next bytes would cost under a shift; up to `right`, they are known to be right.
    fn outlook(&mut self, shift: i64, right: usize, mut wrongs: Wrongs) -> Price {
        let end = (self.at + OUTLOOK_BYTES).min(self.pair.new.len());
        let (mut cost, mut at) = (0, right);
        while at < end {
            let run = self.pair.run(at, shift, OUTLOOK_BYTES);
            self.compared += run as u64 + 1;
            at += run;
            if at < end {
                cost += wrongs.price(self.pair, at, shift);
                at += 1;
            }
        }
        cost
    }

    /// Tries shifts next to the one of the cheapest lane, when that one goes wrong all the time: in a table of addresses
    /// all of which have moved, an inserted entry leaves no equal bytes that a search could find.
    fn try_neighbours(&mut self) {
        if self.at < self.neighbours_at {
            return;
        }
        self.neighbours_at = self.at + NEIGHBOURS_STEP_BYTES;
        let Some(leader) = self.leader().map(|lane| lane.shift) else { return };
        let own = self.outlook(leader, self.at, Wrongs::default());
        if own < TROUBLE {
            return;
        }
        let mut best = (own / 2, leader);
        for words in (1..=NEIGHBOUR_WORDS_MAX).flat_map(|words| [words, -words]) {
            let shift = leader + words * NEIGHBOUR_BYTES;
            let cost = self.outlook(shift, self.at, Wrongs::default());
            if cost < best.0 {
                best = (cost, shift);
            }
        }
        if !self.has_lane(best.1) {
            self.add_lane(best.1);
        }
    }

    fn has_lane(&self, shift: i64) -> bool {
        self.lanes.iter().any(|lane| lane.shift == shift)
    }

    /// Adds a lane, which takes over from where that is the cheapest; where there are too many, one that has been of no
    /// use for long goes.
    pub(super) fn add_lane(&mut self, shift: i64) {
        let run = self.pair.run(self.at, shift, RUN_MAX);
        self.compared += run as u64;
        let entries = [self.entry(shift), self.entry_from_leader(shift)];
        let Some((cost, at, way)) = entries.into_iter().flatten().min_by_key(|(cost, ..)| *cost) else {
            return;
        };
        let Some(old) = self.pair.old_at(at, shift) else { return };
        let node = self.paths.add((at, old), way.node, way.end.unwrap_or(at));
        let next = self.at + run;
        let lane = Lane { shift, cost, node, next, wrongs: Wrongs::default(), keep: next };
        if self.lanes.len() < LANES_MAX {
            self.lanes.push(lane);
            return;
        }
        let leader = self.best().node;
        let others = self.lanes.iter_mut().filter(|lane| lane.node != leader);
        if let Some(worst) = others.min_by_key(|lane| lane.keep) {
            *worst = lane;
        }
    }

    /// Returns what a new lane costs that takes over from the leader since the last wrong byte: there is no mark for what
    /// has become the cheapest way since.
    fn entry_from_leader(&self, shift: i64) -> Option<(Price, usize, Way)> {
        let way = self.leader()?.way();
        let marked = self.marks.back().map_or(0, |mark| mark.at);
        let first = marked.max(self.paths.start(way.node).saturating_add(1)).min(self.at);
        let at = self.at - self.pair.run_back(self.at, shift, self.at - first);
        Some((way.cost + price::copy(self.paths.seek(way.node, shift)), at, way))
    }

    /// Returns what a new lane costs up to the present place, from where it best takes over, and which way.
    fn entry(&mut self, shift: i64) -> Option<(Price, usize, Way)> {
        let files = self.pair;
        let mut best: Option<(Price, usize, Way)> = None;
        let (mut paid, mut at, mut wrongs) = (0, self.at, Wrongs::default());
        let mut marks = self.marks.iter().rev();
        let mut mark = marks.next()?;
        let oldest = self.at.saturating_sub(BACK_BYTES_MAX);
        loop {
            let run = files.run_back(at, shift, at - oldest);
            self.compared += run as u64 + 1;
            at -= run;
            while mark.at > at {
                let Some(before) = marks.next() else { return best };
                mark = before;
            }
            let mut way = mark.way;
            if way.end.is_some() {
                way.cost += price::literals(mark.at, at);
            }
            let cost = way.cost + price::copy(self.paths.seek(way.node, shift)) + paid;
            if best.is_none_or(|(best, ..)| cost < best) {
                best = Some((cost, at, way));
            }
            // Going back further only pays while the wrong bytes cost less than a copy.
            if at <= oldest || paid > price::COPY_MAX || files.is_right(at - 1, shift).is_none() {
                return best;
            }
            at -= 1;
            paid += wrongs.price(files, at, shift);
        }
    }
}
