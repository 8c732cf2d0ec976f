//! In which order an image is worked through, so that copies find their old bytes still there.
//!
//! In: both images and copies. Out: regions of pages, in the order in which they are made. Refuses nothing.
//!
//! Code that moves up by a little reads the page in front of the one that it makes: worked from its end, it never needs what
//! was overwritten; code that moves down, from its start. Where parts of an image move differently, each is a region.

use std::ops::Range;

use warden_patch::chart::Copy;
use warden_patch::flash::head::Order;

use super::plan::Ground;

/// Pages that are made one after the other, in one direction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) pages: Range<usize>,
    pub(super) order: Order,
}

/// A way through an image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// All of it in one direction.
    Straight(Order),
    /// Each region in the direction that suits it; first those whose old bytes others need least.
    ByRegion,
}

/// All ways that are tried.
pub(super) const WAYS: [Way; 3] =
    [Way::Straight(Order::Forward), Way::Straight(Order::Backward), Way::ByRegion];

/// Shorter regions join the one in front of them, in pages: each change of direction costs a segment.
const REGION_PAGES_MIN: usize = 3;

/// Returns the regions of a way, in the order in which they are made.
pub(super) fn regions(ground: &Ground<'_>, way: Way, copies: &[Copy]) -> Vec<Region> {
    let whole = 0..ground.pages();
    match way {
        Way::Straight(order) => vec![Region { pages: whole, order }],
        Way::ByRegion => sorted(ground, &by_direction(ground, copies), copies),
    }
}

/// Cuts the image where the direction changes in which it moves.
fn by_direction(ground: &Ground<'_>, copies: &[Copy]) -> Vec<Region> {
    let mut down = vec![0_i64; ground.pages()];
    for (page, copy) in pieces(ground, copies) {
        if let Some(down) = down.get_mut(page) {
            *down += (i64::from(copy.old) - i64::from(copy.new)).signum() * i64::from(copy.len);
        }
    }
    let mut regions: Vec<Region> = Vec::new();
    for (page, down) in down.into_iter().enumerate() {
        let order = match (down, regions.last()) {
            (1.., _) | (0, None) => Order::Forward,
            (..0, _) => Order::Backward,
            (0, Some(last)) => last.order,
        };
        match regions.last_mut() {
            Some(last) if last.order == order || last.pages.len() < REGION_PAGES_MIN => {
                last.pages.end = page + 1;
                // What is too short for a region of its own takes the direction of what follows.
                last.order = order;
            }
            Some(_) | None => regions.push(Region { pages: page..page + 1, order }),
        }
    }
    regions.dedup_by(|next, last| {
        let is_one = next.order == last.order;
        if is_one {
            last.pages.end = next.pages.end;
        }
        is_one
    });
    regions
}

/// Returns the copies, cut at the pages of the new image, each with its page.
fn pieces<'c>(ground: &Ground<'_>, copies: &'c [Copy]) -> impl Iterator<Item = (usize, Copy)> + 'c {
    let page_bytes = super::narrow(ground.page_bytes);
    copies.iter().flat_map(move |copy| {
        let end = copy.new + copy.len;
        let pages = copy.new / page_bytes..end.div_ceil(page_bytes);
        pages.map(move |page| {
            let start = copy.new.max(page * page_bytes);
            let len = end.min((page + 1) * page_bytes) - start;
            (page as usize, Copy { new: start, old: copy.old + (start - copy.new), len })
        })
    })
}

/// Puts the region first whose overwriting takes the fewest bytes away from the others, and so on.
fn sorted(ground: &Ground<'_>, regions: &[Region], copies: &[Copy]) -> Vec<Region> {
    let mut reads: Vec<(usize, usize, u64)> = Vec::new();
    let of = |page: usize| regions.partition_point(|region| region.pages.end <= page);
    for (page, copy) in pieces(ground, copies) {
        let from = of(copy.old as usize / ground.page_bytes);
        reads.push((of(page), from, u64::from(copy.len)));
    }
    let mut numbers: Vec<usize> = (0..regions.len()).collect();
    let mut order = Vec::new();
    while !numbers.is_empty() {
        let taken = |number: usize| -> u64 {
            let needed =
                reads.iter().filter(|(by, from, _)| *from == number && *by != number && numbers.contains(by));
            needed.map(|(_, _, len)| *len).sum()
        };
        let best = numbers.iter().copied().min_by_key(|number| (taken(*number), *number)).unwrap_or(0);
        numbers.retain(|number| *number != best);
        order.push(best);
    }
    order.into_iter().filter_map(|number| regions.get(number).cloned()).collect()
}
