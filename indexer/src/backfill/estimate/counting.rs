//! Ids counted, exactly where that is cheap, and a few of them picked at random.

use plan::{
    DocumentId,
    index_plan::{IdQuery, IdSource},
};
use serde::Serialize;

use super::{EstimateError, Range, float};
use crate::{
    ambient,
    backfill::Backfills,
    graph::ids::count_ids,
    ledger::{Backfill, BackfillIds},
};

/// Pages of a query that are asked for at most: each is a request to the gateway.
const PAGES_OF_A_QUERY: u64 = 20;

/// Pages of the index that are read at most, to pick from: 100,000 ids, or 10,000 documents that a filter finds.
const PAGES_OF_THE_INDEX: u64 = 100;

/// How ids were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Every one.
    Exactly,
    /// The graph told a number, `totalCount`.
    Told,
    /// As many as the index holds now, which is more than were read.
    AsIndexed,
    /// As many as were read. There are more.
    AtLeast,
}

/// How many ids there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct IdCount {
    /// The number.
    pub count: u64,
    /// How it was found.
    pub counted: Counted,
    /// Ids that were read, of which the sample was picked.
    pub read: u64,
    /// What was no id among them.
    pub refused: u64,
    /// Pages that were read.
    #[serde(skip)]
    pages: u64,
    /// Whether a page is a request to the gateway.
    #[serde(skip)]
    asks: bool,
}

impl IdCount {
    /// Requests for all pages of ids.
    pub(super) fn pages(&self) -> Range {
        if !self.asks {
            return Range::exact(0.0);
        }
        let pages = if self.counted == Counted::Exactly {
            float(self.pages)
        } else {
            (float(self.count) * float(self.pages) / float(self.read.max(1))).ceil()
        };
        // The last page may be an empty one.
        Range { likely: pages, low: pages, high: pages + 1.0 }
    }

    /// What the number doesn't tell.
    pub(super) fn note(&self) -> Option<String> {
        let read = self.read;
        match self.counted {
            Counted::Exactly => None,
            Counted::Told if self.read >= self.count => None,
            Counted::Told => Some(format!("documents were picked from the first {read} ids")),
            Counted::AsIndexed => Some(format!(
                "the first {read} ids were read, and there are more: it was reckoned with as many as the index holds"
            )),
            Counted::AtLeast => Some(format!(
                "the first {read} ids were read, and there are more: all figures are the least that it takes"
            )),
        }
    }
}

/// So many ids out of all that pass by, each with the same chance.
struct Picked {
    most: usize,
    seen: u64,
    ids: Vec<DocumentId>,
}

impl Picked {
    fn new(most: usize) -> Self {
        Self { most, seen: 0, ids: Vec::new() }
    }

    /// Vitter's reservoir.
    fn pass(&mut self, id: DocumentId) {
        self.seen += 1;
        if self.ids.len() < self.most {
            self.ids.push(id);
            return;
        }
        let place = usize::try_from(ambient::below(self.seen)).unwrap_or(usize::MAX);
        if let Some(kept) = self.ids.get_mut(place) {
            *kept = id;
        }
    }
}

impl Backfills {
    /// Counts ids, and picks some.
    pub(super) async fn count(
        &self,
        ids: &BackfillIds,
        sample: usize,
    ) -> Result<(IdCount, Vec<DocumentId>), EstimateError> {
        let mut picked = Picked::new(sample.max(1));
        if let BackfillIds::Given(ids) = ids {
            let mut ids = ids.clone();
            ids.sort();
            ids.dedup();
            let count = ids.len() as u64;
            ids.into_iter().for_each(|id| picked.pass(id));
            let counted = Counted::Exactly;
            return Ok((
                IdCount { count, counted, read: count, refused: 0, pages: 0, asks: false },
                picked.ids,
            ));
        }
        let source = self.plan.backfill.ids.as_ref();
        let query = match (ids, source) {
            (BackfillIds::Enumerated, Some(IdSource::Query(query))) => Some(query),
            _ => None,
        };
        let most_pages = match (ids, source) {
            (BackfillIds::Enumerated, Some(IdSource::Query(_))) => PAGES_OF_A_QUERY,
            (BackfillIds::Enumerated, Some(IdSource::File)) => u64::MAX,
            _ => PAGES_OF_THE_INDEX,
        };
        let (mut backfill, mut pages, mut refused) = (Backfill::new(0, ids.clone()), 0, 0);
        let is_all = loop {
            let page = self.next_page(&backfill).await?;
            pages += 1;
            refused += page.refused.len() as u64;
            page.ids.into_iter().for_each(|id| picked.pass(id));
            match page.next {
                None => break true,
                Some(_) if pages >= most_pages => break false,
                next => backfill.cursor = next,
            }
        };
        let read = picked.seen;
        let (count, counted) =
            if is_all { (read, Counted::Exactly) } else { self.beyond(ids, query, read).await? };
        Ok((IdCount { count, counted, read, refused, pages, asks: query.is_some() }, picked.ids))
    }

    /// How many ids there are where not all of them were read.
    async fn beyond(
        &self,
        ids: &BackfillIds,
        query: Option<&IdQuery>,
        read: u64,
    ) -> Result<(u64, Counted), EstimateError> {
        if let BackfillIds::Found(filter) = ids {
            return Ok((self.found_in_all(filter).await?, Counted::Exactly));
        }
        if let Some(query) = query {
            // A number that isn't told, or can't be true, is none.
            let told = count_ids(&*self.graph, query).await.filter(|told| *told > read);
            if let Some(told) = told {
                return Ok((told, Counted::Told));
            }
        }
        let indexed = self.store.live_documents().await?;
        Ok(match query {
            None => (indexed.max(read), Counted::Exactly),
            Some(_) if indexed > read => (indexed, Counted::AsIndexed),
            Some(_) => (read, Counted::AtLeast),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_id_has_the_same_chance() {
        let mut of_first_half = 0;
        for _ in 0..200 {
            let mut picked = Picked::new(10);
            (0..1_000).for_each(|number| picked.pass(DocumentId::new(format!("{number:04}")).unwrap()));
            assert_eq!(picked.ids.len(), 10);
            of_first_half += picked.ids.iter().filter(|id| id.as_str() < "0500").count();
        }
        // 1,000 on average, with a standard deviation of 32.
        assert!((800..1_200).contains(&of_first_half), "{of_first_half}");
    }
}
