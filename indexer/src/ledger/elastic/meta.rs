//! What there is one of: the epoch, the state of the index, and what people want of its lane. All move by compare-and-set.

use plan::Epoch;
use search::elastic::{ElasticError, Rows, Stamp, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::layout::{BACKFILL_LANE, EPOCH, Kind, STATE};
use crate::ledger::{IndexState, LaneWishes};

/// How often a compare-and-set is begun anew. Each time somebody else has got on, so that even many get through.
pub(super) const ATTEMPTS: usize = 100;

#[derive(Serialize, Deserialize)]
struct MetaRow<T> {
    kind: Kind,
    body: T,
}

#[derive(Serialize, Deserialize)]
struct EpochBody {
    epoch: Epoch,
}

/// The condition of a write over what was read.
fn unchanged(stamp: Option<Stamp>) -> When {
    stamp.map_or(When::Missing, When::Unchanged)
}

/// Takes the epoch after the last one that was taken, and after `stored`; `None` when all are used.
pub(super) async fn take_epoch(rows: &Rows, stored: Epoch) -> Result<Option<Epoch>, ElasticError> {
    for _ in 0..ATTEMPTS {
        let (taken, stamp) = match rows.get::<MetaRow<EpochBody>>(EPOCH).await? {
            Some((row, stamp)) => (row.body.epoch, Some(stamp)),
            None => (Epoch::ZERO, None),
        };
        let Some(next) = taken.max(stored).next() else { return Ok(None) };
        let row = MetaRow { kind: Kind::Meta, body: EpochBody { epoch: next } };
        if rows.write(Write::put(EPOCH, &row, unchanged(stamp))).await? {
            return Ok(Some(next));
        }
    }
    Err(rows.contended(EPOCH))
}

/// The state of the index, and what tells whether it has changed since.
async fn read_state(rows: &Rows) -> Result<(IndexState, Option<Stamp>), ElasticError> {
    let Some((row, stamp)) = rows.get::<MetaRow<Value>>(STATE).await? else {
        return Ok((IndexState::Running, None));
    };
    let text = row.body.to_string();
    let state = serde_json::from_value(row.body).unwrap_or_else(|_| IndexState::unreadable(&text));
    Ok((state, Some(stamp)))
}

/// The state of the index.
pub(super) async fn state(rows: &Rows) -> Result<IndexState, ElasticError> {
    Ok(read_state(rows).await?.0)
}

/// Changes the state where it is `from`; says whether it was.
pub(super) async fn change_state(
    rows: &Rows,
    from: &IndexState,
    to: &IndexState,
) -> Result<bool, ElasticError> {
    for _ in 0..ATTEMPTS {
        let (now, stamp) = read_state(rows).await?;
        if now != *from {
            return Ok(false);
        }
        let row = MetaRow { kind: Kind::Meta, body: to };
        if rows.write(Write::put(STATE, &row, unchanged(stamp))).await? {
            return Ok(true);
        }
    }
    Err(rows.contended(STATE))
}

/// Changes the state, whatever it is.
pub(super) async fn set_state(rows: &Rows, state: &IndexState) -> Result<(), ElasticError> {
    let row = MetaRow { kind: Kind::Meta, body: state };
    rows.write(Write::put(STATE, &row, When::Always)).await.map(drop)
}

/// What people want of the backfill lane, and what tells whether it has changed since.
async fn read_wishes(rows: &Rows) -> Result<(LaneWishes, Option<Stamp>), ElasticError> {
    let row = rows.get::<MetaRow<LaneWishes>>(BACKFILL_LANE).await?;
    Ok(row.map_or_else(Default::default, |(row, stamp)| (row.body, Some(stamp))))
}

/// What people want of the backfill lane.
pub(super) async fn wishes(rows: &Rows) -> Result<LaneWishes, ElasticError> {
    Ok(read_wishes(rows).await?.0)
}

/// Changes what people want of the backfill lane where it is `from`; says whether it was.
pub(super) async fn change_wishes(
    rows: &Rows,
    from: &LaneWishes,
    to: &LaneWishes,
) -> Result<bool, ElasticError> {
    let (now, stamp) = read_wishes(rows).await?;
    if now != *from {
        return Ok(false);
    }
    let row = MetaRow { kind: Kind::Meta, body: to };
    rows.write(Write::put(BACKFILL_LANE, &row, unchanged(stamp))).await
}
