//! What happened lately: a row with a ring of steps for each document and process that did something to it, and a row for the
//! newest audit of each kind.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use plan::DocumentId;
use search::elastic::{ElasticError, Page, Rows, When, Write};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    layout::{Kind, audit_row, history_row},
    meta::ATTEMPTS,
};
use crate::{
    audit::AuditRow,
    history::{self, DOCUMENTS, Step},
    now_ms,
};

/// How often documents are forgotten that nothing happened to for longest.
const SWEEP: Duration = Duration::from_mins(1);

#[derive(Serialize, Deserialize)]
struct HistoryRow {
    kind: Kind,
    id: DocumentId,
    process: String,
    at: i64,
    body: HistoryBody,
}

#[derive(Serialize, Deserialize)]
struct HistoryBody {
    steps: Vec<Step>,
}

#[derive(Serialize, Deserialize)]
struct AuditBody {
    kind: Kind,
    body: AuditRow,
}

/// The steps of documents.
pub(super) struct Histories {
    rows: Rows,
    swept_at: Mutex<Option<Instant>>,
}

impl Histories {
    /// The steps among these rows.
    pub(super) fn new(rows: Rows) -> Self {
        Self { rows, swept_at: Mutex::default() }
    }

    /// Adds to the rings that this process keeps; nobody else writes them.
    pub(super) async fn note(
        &self,
        process: &str,
        noted: Vec<(DocumentId, Vec<Step>)>,
    ) -> Result<(), ElasticError> {
        let names: Vec<String> = noted.iter().map(|(id, _)| history_row(id, process)).collect();
        let there = self.rows.get_many::<HistoryRow>(&names).await?;
        let mut there: HashMap<String, HistoryRow> = there.into_iter().collect();
        let written = noted.into_iter().zip(names).map(|((id, more), name)| {
            let before = there.remove(&name).map(|row| row.body.steps).unwrap_or_default();
            let steps = history::ring(before, more);
            let at = steps.last().map_or(0, |step| step.at);
            let body = HistoryBody { steps };
            let row = HistoryRow { kind: Kind::History, id, process: process.to_owned(), at, body };
            Write::put(name, &row, When::Always)
        });
        self.rows.write_all(&written.collect::<Vec<_>>()).await?;
        if self.is_time_to_sweep() {
            self.sweep().await?;
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

    /// Deletes the oldest rows where there are more than are kept.
    async fn sweep(&self) -> Result<(), ElasticError> {
        if self.rows.count(&Kind::History.and(&[])).await? <= DOCUMENTS {
            return Ok(());
        }
        let oldest = Page { query: Kind::History.and(&[]), sort: vec!["at"], after: Vec::new(), limit: 1 };
        let oldest = self.rows.find::<HistoryRow>(oldest).await?.first().map_or(0, |row| row.at);
        let (mut early, mut late) = (oldest, now_ms());
        // Each question halves the time in which the oldest row that stays was written: some thirty for a week.
        while late - early > 1 {
            let middle = early.midpoint(late);
            let newer = self.rows.count(&Kind::History.and(&[since(middle)])).await?;
            if newer > DOCUMENTS { early = middle } else { late = middle }
        }
        let old = json!({ "range": { "at": { "lt": late } } });
        self.rows.delete_found(&Kind::History.and(&[old])).await
    }

    /// The steps of a document.
    pub(super) async fn of(&self, id: &DocumentId) -> Result<Vec<Step>, ElasticError> {
        let query = Kind::History.and(&[json!({ "term": { "id": id } })]);
        let page = Page { query, sort: vec!["at", "process"], after: Vec::new(), limit: usize::MAX };
        let rings = self.rows.find::<HistoryRow>(page).await?;
        Ok(history::in_order(rings.into_iter().map(|row| row.body.steps)))
    }
}

fn since(at: i64) -> Value {
    json!({ "range": { "at": { "gte": at } } })
}

/// The newest audit of each kind.
pub(super) async fn audits(rows: &Rows) -> Result<Vec<AuditRow>, ElasticError> {
    let names: Vec<String> = crate::audit::AuditKind::ALL.iter().map(|kind| audit_row(*kind)).collect();
    let found = rows.get_many::<AuditBody>(&names).await?;
    Ok(found.into_iter().map(|(_, row)| row.body).collect())
}

/// Writes how far an audit is, unless what is there is newer or further.
pub(super) async fn save_audit(rows: &Rows, audit: &AuditRow) -> Result<(), ElasticError> {
    let name = audit_row(audit.kind);
    for _ in 0..ATTEMPTS {
        let when = match rows.get::<AuditBody>(&name).await? {
            Some((there, _)) if !there.body.gives_way_to(audit) => return Ok(()),
            Some((_, stamp)) => When::Unchanged(stamp),
            None => When::Missing,
        };
        let row = AuditBody { kind: Kind::Audit, body: audit.clone() };
        if rows.write(Write::put(&name, &row, when)).await? {
            return Ok(());
        }
    }
    Err(rows.contended(&name))
}
