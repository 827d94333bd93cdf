//! The hits that come first, of all that a search finds: at no time are more kept than two pages.

use std::cmp::Ordering;

use crate::cursor::{Key, Position};

/// A hit before its document is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Found {
    pub(super) doc: i64,
    pub(super) id: String,
    pub(super) score: Option<f64>,
    /// What it is sorted by; then its id decides.
    pub(super) keys: Vec<Key>,
}

/// The first hits in their order.
pub(super) struct Page {
    /// Of each key, whether the greatest comes first. What is missing comes last either way.
    descending: Vec<bool>,
    /// Only what comes after this is taken.
    after: Option<Position>,
    most: usize,
    found: Vec<Found>,
    /// The last one that may still belong to the page: of what comes after it, nothing does.
    last: Option<Found>,
}

impl Page {
    pub(super) fn new(descending: Vec<bool>, after: Option<Position>, most: usize) -> Self {
        Self { descending, after, most, found: Vec::new(), last: None }
    }

    pub(super) fn offer(&mut self, found: Found) {
        let (keys, id) = (&found.keys, found.id.as_str());
        let is_before = |after: &Position| self.order(keys, id, &after.keys, &after.id).is_le();
        let is_past = |last: &Found| self.order(keys, id, &last.keys, &last.id).is_ge();
        if self.after.as_ref().is_some_and(is_before) || self.last.as_ref().is_some_and(is_past) {
            return;
        }
        self.found.push(found);
        if self.found.len() >= self.most * 2 {
            self.cut();
        }
    }

    /// The page, in order.
    pub(super) fn into_found(mut self) -> Vec<Found> {
        self.cut();
        self.found
    }

    fn cut(&mut self) {
        let mut found = std::mem::take(&mut self.found);
        found.sort_unstable_by(|one, two| self.order(&one.keys, &one.id, &two.keys, &two.id));
        found.truncate(self.most);
        self.last = found.last().filter(|_| found.len() == self.most).cloned();
        self.found = found;
    }

    fn order(&self, one: &[Key], one_id: &str, two: &[Key], two_id: &str) -> Ordering {
        let keys = one.iter().zip(two).zip(&self.descending);
        let by_keys = keys.map(|((one, two), descending)| order(one, two, *descending));
        by_keys.fold(Ordering::Equal, Ordering::then).then_with(|| one_id.cmp(two_id))
    }
}

fn order(one: &Key, two: &Key, descending: bool) -> Ordering {
    let ascending = match (one, two) {
        (Key::Missing, Key::Missing) => return Ordering::Equal,
        (Key::Missing, _) => return Ordering::Greater,
        (_, Key::Missing) => return Ordering::Less,
        (Key::Integer(one), Key::Integer(two)) => one.cmp(two),
        (Key::Text(one), Key::Text(two)) => one.cmp(two),
        // Keys of one place have one type; those of a forged cursor only must not do harm.
        (one, two) => number(one).total_cmp(&number(two)),
    };
    if descending { ascending.reverse() } else { ascending }
}

#[expect(clippy::cast_precision_loss, reason = "only a forged cursor has an integer where doubles are")]
fn number(key: &Key) -> f64 {
    match key {
        Key::Integer(integer) => *integer as f64,
        Key::Double(bits) => f64::from_bits(*bits),
        Key::Missing | Key::Text(_) => f64::NAN,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(id: &str, keys: &[Key]) -> Found {
        Found { doc: 1, id: id.to_owned(), score: None, keys: keys.to_vec() }
    }

    fn ids(page: Page) -> String {
        page.into_found().into_iter().map(|found| found.id).collect()
    }

    #[test]
    fn what_is_missing_comes_last_and_ids_decide() {
        for (descending, wanted) in [(false, "cabd"), (true, "abcd")] {
            let mut page = Page::new(vec![descending], None, 9);
            for (id, key) in [
                ("d", Key::Missing),
                ("b", Key::Double(0.5_f64.to_bits())),
                ("c", Key::Double((-1.0_f64).to_bits())),
                ("a", Key::Double(0.5_f64.to_bits())),
            ] {
                page.offer(found(id, &[key]));
            }
            assert_eq!(ids(page), wanted);
        }
    }

    #[test]
    fn pages_follow_each_other_in_whatever_order_hits_are_found() {
        let hits: Vec<Found> = (0..100_i64)
            .map(|number| {
                found(&format!("{number:02}"), &[Key::Integer(number * 37 % 7), Key::Text("x".into())])
            })
            .collect();
        let mut all = hits.clone();
        all.sort_by_key(|hit| match hit.keys[0] {
            Key::Integer(key) => (-key, hit.id.clone()),
            _ => unreachable!(),
        });
        let (mut after, mut seen) = (None, Vec::new());
        loop {
            let mut page = Page::new(vec![true, false], after, 8);
            hits.iter().rev().cloned().for_each(|hit| page.offer(hit));
            let page = page.into_found();
            let Some(last) = page.last() else { break };
            let (search, keys, id) = (String::new(), last.keys.clone(), last.id.clone());
            after = Some(Position { search, now_ms: 0, keys, id });
            seen.extend(page);
        }
        assert_eq!(seen, all);
    }
}
