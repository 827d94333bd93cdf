//! Dead letters that are settled: a row a partition of their topic, in which single records can't be deleted.

use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};

use super::{
    layout::{Kind, letters_row},
    meta::ATTEMPTS,
};
use crate::ledger::settled::{Ranges, Reach, Settled};

#[derive(Serialize, Deserialize)]
struct LettersRow {
    kind: Kind,
    /// The partition.
    number: i32,
    body: LettersBody,
}

#[derive(Serialize, Deserialize)]
struct LettersBody {
    settled: Ranges,
}

/// All that are settled.
pub(super) async fn settled(rows: &Rows) -> Result<Settled, ElasticError> {
    let page =
        Page { query: Kind::Letters.and(&[]), sort: vec!["number"], after: Vec::new(), limit: usize::MAX };
    let mut settled = Settled::default();
    for row in rows.find::<LettersRow>(page).await? {
        settled.insert_all(row.number, &row.body.settled);
    }
    Ok(settled)
}

/// Adds to what is settled, and forgets what their topic has deleted.
pub(super) async fn settle(rows: &Rows, settled: &Settled, reach: &Reach) -> Result<(), ElasticError> {
    for (partition, ranges) in settled.partitions() {
        settle_in(rows, partition, ranges, reach).await?;
    }
    Ok(())
}

async fn settle_in(rows: &Rows, partition: i32, more: &Ranges, reach: &Reach) -> Result<(), ElasticError> {
    let id = letters_row(partition);
    for _ in 0..ATTEMPTS {
        let (mut settled, when) = match rows.get::<LettersRow>(&id).await? {
            Some((row, stamp)) => (row.body.settled, When::Unchanged(stamp)),
            None => (Ranges::default(), When::Missing),
        };
        if let Some(range) = reach.get(&partition) {
            settled.trim(range);
        }
        settled.add_all(more);
        let row = LettersRow { kind: Kind::Letters, number: partition, body: LettersBody { settled } };
        if rows.write(Write::put(&id, &row, when)).await? {
            return Ok(());
        }
    }
    Err(rows.contended(&id))
}
