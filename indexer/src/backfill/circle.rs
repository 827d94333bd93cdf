//! Pages of an ids query that never end: a cursor that leads back, one that isn't used at all, or nothing but empty pages.
//!
//! Brent's way to find a cycle, which keeps one page in mind and so takes no memory, however long the cycle is: pages are compared
//! with the one that was the newest when their number last doubled.

use std::hash::{DefaultHasher, Hash, Hasher};

use plan::DocumentId;

/// Ids that must have come back in the same order before pages with ever new cursors are taken for a circle. An id may be listed
/// more than once, as the movies of one person after another are.
const CAME_BACK: u64 = 3_000;

/// Empty pages in a row, each with a next one. Some gateways filter what a page holds, but not so much of it.
const EMPTY: u32 = 1_000;

/// What is remembered of an enumeration on its way.
#[derive(Debug, Default)]
pub(crate) struct Circle {
    kept: Option<Kept>,
    /// Pages since the kept one, and how many there are to be before another is kept.
    steps: u64,
    until: u64,
    empty: u32,
}

#[derive(Debug)]
struct Kept {
    cursor: String,
    ids: u64,
    /// What came between the kept page and its last return.
    block: Block,
    /// What came since.
    since: Block,
    /// Ids that came as they had come before.
    came_back: u64,
}

/// Pages in a row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct Block {
    hash: u64,
    ids: u64,
}

impl Block {
    fn add(&mut self, ids: &[DocumentId], hash: u64) {
        self.hash = self.hash.rotate_left(5).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash;
        self.ids += ids.len() as u64;
    }
}

impl Circle {
    /// Notes a page that another follows, with the cursor of that one; true where the pages go round.
    pub(crate) fn closes(&mut self, ids: &[DocumentId], next: &str) -> bool {
        self.empty = if ids.is_empty() { self.empty + 1 } else { 0 };
        if self.empty >= EMPTY {
            return true;
        }
        let hash = hash_of(ids);
        if let Some(kept) = &mut self.kept {
            kept.since.add(ids, hash);
            if kept.cursor == next {
                return true;
            }
            if kept.ids == hash && !ids.is_empty() {
                let is_again = kept.since == kept.block;
                kept.came_back = if is_again { kept.came_back + kept.block.ids } else { 0 };
                kept.block = std::mem::take(&mut kept.since);
                if kept.came_back >= CAME_BACK {
                    return true;
                }
            }
        }
        self.steps += 1;
        if self.steps >= self.until {
            (self.steps, self.until) = (0, (self.until * 2).max(1));
            let (block, since) = (Block::default(), Block::default());
            self.kept = Some(Kept { cursor: next.to_owned(), ids: hash, block, since, came_back: 0 });
        }
        false
    }
}

fn hash_of(ids: &[DocumentId]) -> u64 {
    let mut hasher = DefaultHasher::new();
    ids.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(number: u64, size: u64) -> Vec<DocumentId> {
        (0..size).map(|at| DocumentId::new(format!("m{}", number * size + at)).unwrap()).collect()
    }

    /// How many pages it takes to notice; `None` where it isn't in so many.
    fn noticed(most: u64, pages: impl Fn(u64) -> (Vec<DocumentId>, String)) -> Option<u64> {
        let mut circle = Circle::default();
        (0..most).find(|number| {
            let (ids, next) = pages(*number);
            circle.closes(&ids, &next)
        })
    }

    #[test]
    fn a_cursor_that_leads_back_is_noticed_whatever_the_way_is() {
        for (before, round) in [(0, 1), (0, 2), (3, 2), (5, 7), (100, 33)] {
            let cursor =
                |number: u64| if number < before { number } else { before + (number - before) % round };
            let most = 3 * (before + round) + 3;
            let found = noticed(most, |number| (page(number, 2), format!("c{}", cursor(number))));
            assert!(found.is_some(), "{before} pages, then {round} again and again: not in {most}");
        }
    }

    #[test]
    fn pages_that_come_back_under_new_cursors_are_noticed() {
        for round in [1, 2, 7] {
            let found = noticed(200, |number| (page(number % round, 500), number.to_string()));
            assert!(found.is_some_and(|pages| pages < 100), "{round}: {found:?}");
        }
        assert_eq!(noticed(2_000, |number| (Vec::new(), number.to_string())), Some(999));
    }

    #[test]
    fn an_enumeration_that_ends_one_day_is_not_a_circle() {
        assert_eq!(noticed(20_000, |number| (page(number, 3), number.to_string())), None);
        // Every movie of one person after another: the busiest one comes all the time, on pages of one.
        let of_talents = |number: u64| if number.is_multiple_of(7) { page(0, 1) } else { page(number, 1) };
        assert_eq!(noticed(20_000, |number| (of_talents(number), number.to_string())), None);
        // Some pages are filtered to nothing.
        let some = |number: u64| if number.is_multiple_of(900) { page(number, 1) } else { Vec::new() };
        assert_eq!(noticed(20_000, |number| (some(number), number.to_string())), None);
    }
}
