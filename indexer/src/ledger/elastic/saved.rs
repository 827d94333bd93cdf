//! Saved searches in the ledger's index, and the matches that wait to be posted: a row each.

use async_trait::async_trait;
use plan::{DocumentId, DocumentVersion};
use search::elastic::{ElasticError, Page, When, Write};
use serde::{Deserialize, Serialize};

use super::{
    ElasticLedger,
    layout::{Kind, SAVED, match_row, saved_row},
    meta::ATTEMPTS,
    told,
};
use crate::{
    StateError,
    ledger::{BegunMatch, SavedSearch, SavedSearches},
};

#[derive(Serialize, Deserialize)]
struct SavedRow {
    kind: Kind,
    name: String,
    at: i64,
    body: SavedBody,
}

#[derive(Serialize, Deserialize)]
struct SavedBody {
    filter: String,
}

#[derive(Serialize, Deserialize)]
struct MatchRow {
    kind: Kind,
    name: String,
    id: DocumentId,
    version: DocumentVersion,
    at: i64,
}

#[derive(Serialize, Deserialize)]
struct RevisionRow {
    kind: Kind,
    body: RevisionBody,
}

#[derive(Serialize, Deserialize)]
struct RevisionBody {
    revision: u64,
}

impl ElasticLedger {
    /// Counts a change of the saved searches, once it is there to be read.
    async fn count_change(&self) -> Result<(), ElasticError> {
        for _ in 0..ATTEMPTS {
            let (revision, when) = match self.rows.get::<RevisionRow>(SAVED).await? {
                Some((row, stamp)) => (row.body.revision + 1, When::Unchanged(stamp)),
                None => (1, When::Missing),
            };
            let row = RevisionRow { kind: Kind::Meta, body: RevisionBody { revision } };
            if self.rows.write(Write::put(SAVED, &row, when)).await? {
                return Ok(());
            }
        }
        Err(self.rows.contended(SAVED))
    }
}

#[async_trait]
impl SavedSearches for ElasticLedger {
    async fn saved_searches(&self) -> Result<Vec<SavedSearch>, StateError> {
        let query = Kind::Saved.and(&[]);
        let page = Page { query, sort: vec!["name"], after: Vec::new(), limit: usize::MAX };
        let rows: Vec<SavedRow> = self.rows.find(page).await.map_err(told)?;
        let search =
            |row: SavedRow| SavedSearch { name: row.name, filter: row.body.filter, saved_at: row.at };
        Ok(rows.into_iter().map(search).collect())
    }

    async fn saved_revision(&self) -> Result<u64, StateError> {
        let row = self.rows.get::<RevisionRow>(SAVED).await.map_err(told)?;
        Ok(row.map_or(0, |(row, _)| row.body.revision))
    }

    async fn save_search(&self, search: SavedSearch) -> Result<(), StateError> {
        let SavedSearch { name, filter, saved_at } = search;
        let id = saved_row(&name);
        let row = SavedRow { kind: Kind::Saved, name, at: saved_at, body: SavedBody { filter } };
        self.rows.write(Write::put(id, &row, When::Always)).await.map_err(told)?;
        self.count_change().await.map_err(told)
    }

    async fn remove_search(&self, name: &str) -> Result<bool, StateError> {
        let id = saved_row(name);
        let was_there = self.rows.get::<SavedRow>(&id).await.map_err(told)?.is_some();
        self.rows.write(Write::delete(id, When::Always)).await.map_err(told)?;
        self.count_change().await.map_err(told)?;
        Ok(was_there)
    }

    async fn note_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        let note = |BegunMatch { search, id, version, at }: BegunMatch| {
            let name = match_row(&search, &id);
            let row = MatchRow { kind: Kind::Match, name: search, id, version, at };
            Write::put(name, &row, When::Newer(version.get()))
        };
        let writes: Vec<Write> = matches.into_iter().map(note).collect();
        self.rows.write_all(&writes).await.map(drop).map_err(told)
    }

    async fn waiting_matches(
        &self,
        after: Option<&BegunMatch>,
        limit: usize,
    ) -> Result<Vec<BegunMatch>, StateError> {
        let after = after.map_or_else(Vec::new, |after| {
            vec![after.at.into(), after.id.as_str().into(), after.search.as_str().into()]
        });
        let page = Page { query: Kind::Match.and(&[]), sort: vec!["at", "id", "name"], after, limit };
        let rows: Vec<MatchRow> = self.rows.find(page).await.map_err(told)?;
        let begun =
            |MatchRow { name, id, version, at, .. }: MatchRow| BegunMatch { search: name, id, version, at };
        Ok(rows.into_iter().map(begun).collect())
    }

    async fn waiting_match_count(&self) -> Result<u64, StateError> {
        self.rows.count(&Kind::Match.and(&[])).await.map_err(told)
    }

    async fn settle_matches(&self, matches: Vec<BegunMatch>) -> Result<(), StateError> {
        let forget = |BegunMatch { search, id, version, .. }: &BegunMatch| {
            Write::delete(match_row(search, id), When::NotOlder(version.get()))
        };
        let deletes: Vec<Write> = matches.iter().map(forget).collect();
        self.rows.write_all(&deletes).await.map(drop).map_err(told)
    }
}
