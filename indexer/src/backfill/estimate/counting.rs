//! Ids counted, exactly where that is cheap, and a few of them picked at random.

use plan::{
    DocumentId,
    index_plan::{IdQuery, IdSource},
};
use serde::Serialize;

use super::{EstimateError, Range, float};
use crate::{
    backfill::Backfills,
    graph::ids::count_ids,
    ledger::{Backfill, BackfillIds},
    reservoir::Reservoir,
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
    /// As many as a topic has records, some of which may name the same id.
    AtMost,
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
            Counted::AtMost => {
                Some("an id that several records of the topic name was counted as often".to_owned())
            }
            Counted::AtLeast => Some(format!(
                "the first {read} ids were read, and there are more: all figures are the least that it takes"
            )),
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
        let mut picked = Reservoir::new(sample.max(1));
        if let BackfillIds::Given(ids) = ids {
            let mut ids = ids.clone();
            ids.sort();
            ids.dedup();
            let count = ids.len() as u64;
            ids.into_iter().for_each(|id| picked.pass(id));
            let counted = Counted::Exactly;
            return Ok((
                IdCount { count, counted, read: count, refused: 0, pages: 0, asks: false },
                picked.into_kept(),
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
        let read = picked.seen();
        let (count, counted) = match (ids, source) {
            (BackfillIds::Enumerated, Some(IdSource::Topic(topic))) => {
                (self.records(topic).await?.max(read), Counted::AtMost)
            }
            _ if is_all => (read, Counted::Exactly),
            _ => self.beyond(ids, query, read).await?,
        };
        Ok((IdCount { count, counted, read, refused, pages, asks: query.is_some() }, picked.into_kept()))
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
