//! Wide fan-outs: a row for each source, which stays when nothing is left to be done, for it counts the runs.

use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::{
    layout::{Kind, fan_outs_row},
    meta::ATTEMPTS,
};
use crate::ledger::{FanOutStep, FanOuts, Fanning};

#[derive(Serialize, Deserialize)]
struct FanOutsRow {
    kind: Kind,
    id: String,
    ended: bool,
    body: FanOuts,
}

/// Those of which something is left to be done.
pub(super) async fn open(rows: &Rows) -> Result<Vec<FanOuts>, ElasticError> {
    let query = Kind::FanOuts.and(&[json!({ "term": { "ended": false } })]);
    let page = Page { query, sort: vec!["id"], after: Vec::new(), limit: usize::MAX };
    let rows: Vec<FanOutsRow> = rows.find(page).await?;
    Ok(rows.into_iter().map(|row| row.body).collect())
}

/// Takes a step; gives what they are then, or `None` where it was refused.
pub(super) async fn step(
    rows: &Rows,
    of: &Fanning,
    step: &FanOutStep,
) -> Result<Option<FanOuts>, ElasticError> {
    let name = fan_outs_row(of);
    for _ in 0..ATTEMPTS {
        let (mut fan_outs, when) = match rows.get::<FanOutsRow>(&name).await? {
            Some((row, stamp)) => (row.body, When::Unchanged(stamp)),
            None => (FanOuts::new(of.clone()), When::Missing),
        };
        let before = fan_outs.clone();
        if !fan_outs.take(step.clone()) {
            return Ok(None);
        }
        if fan_outs == before {
            return Ok(Some(fan_outs));
        }
        let (id, ended) = (name.clone(), fan_outs.is_idle());
        let row = FanOutsRow { kind: Kind::FanOuts, id, ended, body: fan_outs };
        if rows.write(Write::put(&name, &row, when)).await? {
            return Ok(Some(row.body));
        }
    }
    Err(rows.contended(&name))
}
