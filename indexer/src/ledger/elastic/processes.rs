//! The figures of processes: a row each, which goes when its process ends, or a while after it was killed.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::layout::{Kind, figures_row};
use crate::{
    ledger::{Figures, figures::FIGURES_ARE_FRESH_MS},
    now_ms,
};

/// How often a process deletes what others left behind, and how old that is.
const SWEEP: Duration = Duration::from_mins(1);
const LEFT_BEHIND_MS: i64 = 60_000;

/// The figures of all processes.
pub(super) struct Processes {
    rows: Rows,
    swept_at: Mutex<Option<Instant>>,
}

#[derive(Serialize, Deserialize)]
struct FiguresRow {
    kind: Kind,
    process: String,
    at: i64,
    body: Figures,
}

impl Processes {
    /// The figures among these rows.
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, swept_at: Mutex::default() }
    }

    /// Writes those of one process.
    pub(super) async fn publish(&self, figures: &Figures) -> Result<(), ElasticError> {
        let (process, at) = (figures.process.clone(), figures.at);
        let row = FiguresRow { kind: Kind::Figures, process, at, body: figures.clone() };
        self.rows.write(Write::put(figures_row(&figures.process), &row, When::Always)).await?;
        if self.is_time_to_sweep() {
            self.rows.delete_found(&older_than(at - LEFT_BEHIND_MS)).await?;
        }
        Ok(())
    }

    fn is_time_to_sweep(&self) -> bool {
        let mut swept_at = self.swept_at.lock().unwrap_or_else(PoisonError::into_inner);
        let is_time = swept_at.is_none_or(|at| at.elapsed() >= SWEEP);
        if is_time {
            *swept_at = Some(Instant::now());
        }
        is_time
    }

    /// Takes those of one process back.
    pub(super) async fn withdraw(&self, process: &str) -> Result<(), ElasticError> {
        self.rows.write(Write::delete(figures_row(process), When::Always)).await.map(drop)
    }

    /// Those that were published lately.
    pub(super) async fn list(&self) -> Result<Vec<Figures>, ElasticError> {
        let lately = json!({ "range": { "at": { "gte": now_ms() - FIGURES_ARE_FRESH_MS } } });
        let query = Kind::Figures.and(&[lately]);
        let page = Page { query, sort: vec!["process"], after: Vec::new(), limit: usize::MAX };
        let rows: Vec<FiguresRow> = self.rows.find(page).await?;
        Ok(rows.into_iter().map(|row| row.body).collect())
    }
}

fn older_than(at: i64) -> Value {
    Kind::Figures.and(&[json!({ "range": { "at": { "lt": at } } })])
}
