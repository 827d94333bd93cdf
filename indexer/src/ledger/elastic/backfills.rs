//! Backfills: a row each, numbered by whoever makes the row of a number first.

use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    layout::{Kind, backfill_row},
    meta::ATTEMPTS,
};
use crate::{
    ledger::{Backfill, BackfillIds, BackfillState},
    log::Ends,
};

#[derive(Serialize, Deserialize)]
struct BackfillRow {
    kind: Kind,
    number: i64,
    ended: bool,
    body: BackfillBody,
}

#[derive(Serialize, Deserialize)]
struct BackfillBody {
    state: BackfillState,
    ids: BackfillIds,
    cursor: Option<String>,
    enumerated: u64,
    through: Ends,
    error: Option<String>,
    started_at: i64,
    ended_at: Option<i64>,
}

/// Records the wish for a backfill under the next number.
pub(super) async fn start(rows: &Rows, ids: BackfillIds) -> Result<i64, ElasticError> {
    let number = list(rows, true).await?.last().map_or(1, |last| last.number + 1);
    let mut backfill = Backfill::new(number, ids);
    for _ in 0..ATTEMPTS {
        let (id, row) = (backfill_row(backfill.number), BackfillRow::from(backfill.clone()));
        if rows.write(Write::put(id, &row, When::Missing)).await? {
            return Ok(backfill.number);
        }
        backfill.number += 1;
    }
    Err(rows.contended(&backfill_row(backfill.number)))
}

/// Backfills, the oldest first; those that have ended only where they are wanted.
pub(super) async fn list(rows: &Rows, ended: bool) -> Result<Vec<Backfill>, ElasticError> {
    let is_open = [json!({ "term": { "ended": false } })];
    let query = Kind::Backfill.and(if ended { &[] } else { &is_open });
    let page = Page { query, sort: vec!["number"], after: Vec::new(), limit: usize::MAX };
    let rows: Vec<BackfillRow> = rows.find(page).await?;
    Ok(rows.into_iter().map(Backfill::from).collect())
}

/// Writes how far a backfill is, unless its row is further already.
pub(super) async fn save(rows: &Rows, backfill: &Backfill) -> Result<(), ElasticError> {
    let id = backfill_row(backfill.number);
    for _ in 0..ATTEMPTS {
        let Some((there, stamp)) = rows.get::<BackfillRow>(&id).await? else { return Ok(()) };
        if there.ended || there.body.enumerated > backfill.enumerated {
            return Ok(());
        }
        let row = BackfillRow::from(backfill.clone());
        if rows.write(Write::put(&id, &row, When::Unchanged(stamp))).await? {
            return Ok(());
        }
    }
    Err(rows.contended(&id))
}

impl From<Backfill> for BackfillRow {
    fn from(backfill: Backfill) -> Self {
        let Backfill { number, state, ids, cursor, enumerated, through, error, started_at, ended_at } =
            backfill;
        let ended = ended_at.is_some();
        let body = BackfillBody { state, ids, cursor, enumerated, through, error, started_at, ended_at };
        Self { kind: Kind::Backfill, number, ended, body }
    }
}

impl From<BackfillRow> for Backfill {
    fn from(row: BackfillRow) -> Self {
        let BackfillBody { state, ids, cursor, enumerated, through, error, started_at, ended_at } = row.body;
        let number = row.number;
        Self { number, state, ids, cursor, enumerated, through, error, started_at, ended_at }
    }
}
