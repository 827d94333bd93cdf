//! One batch on its way: fetch, judge, append and write, settle in the ledger.
//!
//! The documents log of the embedded world is the store's own table, so that one write is both. What this returns about an id
//! is durable: a crash before that leaves its entries uncommitted, and they are fetched again.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plan::{
    Code, DocumentId, DocumentVersion, IndexPlan,
    code::{fetch as codes, store as store_codes},
};
use tokio::time::Instant;

use super::{
    behind::weigh,
    beside::{Beside, Told},
    deadline::Deadline,
    fetches::Fetches,
    gone::GoneGuard,
    judge::{Verdict, judge},
    places::Place,
    refusals::RefusalGuard,
    unchanged::Unchanged,
    verify::{Interest, note_contents},
};
use crate::{
    StateError,
    graph::{Graph, GraphError, request::DocumentRequests, response::Answer},
    history::{Because, FetchResult, What},
    ledger::{Hold, HoldCause, Ledger, figures::Meter},
    log::{Lane, Tenure},
    now_ms,
    revision::Wants,
    saved::Watch,
    store::{Document, Outcome, Store},
};

/// An id with the fetch that was started for it.
#[derive(Debug, Clone)]
pub struct Ticket {
    /// The document.
    pub id: DocumentId,
    /// The fetch's number.
    pub fetch: u64,
    /// The fetch's version.
    pub version: DocumentVersion,
    /// Whether an event told of its deletion.
    pub deleted: bool,
    /// What the document must show, so that it is no older than its events.
    pub wants: Wants,
    /// How many answers in a row did not.
    pub behind: u32,
    /// Why its content matters.
    pub interest: Interest,
    /// Whether it is to be written, whatever the index is known to hold.
    pub is_doubted: bool,
    /// Its content, once it is answered, where that matters.
    pub content: Option<u64>,
    /// The lane whose turn it was.
    pub lane: Lane,
}

/// What became of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// Its entries are complete, and its document is searchable.
    Searchable,
    /// Its entries are complete: held, superseded, or left alone.
    Complete,
    /// Its entries wait for a newer answer.
    Behind,
    /// Its entries wait for another fetch.
    Again {
        /// By itself.
        alone: bool,
    },
}

/// How a batch ended.
#[derive(Debug)]
pub struct BatchEnd {
    /// When it began.
    pub started: Instant,
    /// How long the gateway took.
    pub took: Duration,
    /// Its ids and their fates.
    pub fates: Vec<(Ticket, Fate)>,
    /// What the gateway as a whole did.
    pub gateway: Result<(), GraphError>,
    /// What the store as a whole did. It is a server's error; one of the state file ends the process.
    pub store: Result<(), StateError>,
    /// Why the index must not go on: too many documents are gone.
    pub alarm: Option<(Code, String)>,
}

/// What every batch needs.
pub struct Batches {
    /// The plan.
    pub plan: Arc<IndexPlan>,
    /// The requests of the plan.
    pub requests: DocumentRequests,
    /// Other queries that are fetched beside it.
    pub others: Vec<Beside>,
    /// The gateway.
    pub graph: Arc<dyn Graph>,
    /// The share of the log that the ids belong to, with its documents log.
    pub tenure: Arc<dyn Tenure>,
    /// The documents and the index.
    pub store: Arc<dyn Store>,
    /// Holds.
    pub ledger: Arc<dyn Ledger>,
    /// Saved searches, which documents are held against.
    pub(crate) saved: Watch,
    /// Fetches under way.
    pub fetches: Arc<Fetches>,
    /// The guard against an emptied index.
    pub gone: Mutex<GoneGuard>,
    /// The guard against a mapping that fits no more.
    pub refusals: Mutex<RefusalGuard>,
    /// What the index is known to hold.
    pub unchanged: Unchanged,
    /// Counters.
    pub meter: Arc<Meter>,
}

impl Batches {
    /// Takes one batch all the way; its place goes to the next as soon as the gateway has answered. An error is the state's,
    /// and ends the process.
    #[tracing::instrument(name = "rebuild", skip_all, fields(index = &*self.plan.name, documents = tickets.len()))]
    pub async fn run(&self, mut tickets: Vec<Ticket>, mut place: Place) -> Result<BatchEnd, StateError> {
        let started = Instant::now();
        let deadline = Deadline::after(Duration::from_millis(self.plan.graph.deadline_ms));
        let fetched_at = now_ms();
        let ids: Vec<DocumentId> = tickets.iter().map(|ticket| ticket.id.clone()).collect();
        let answered = self.fetch(&self.requests, &self.plan, &ids, deadline.at).await;
        let (mut took, mut alarm, mut store) = (started.elapsed(), None, Ok(()));
        let (fates, gateway) = match answered {
            Ok(verdicts) if !deadline.is_over() => {
                alarm = self.alarmed(&tickets, &verdicts).map(|reason| (codes::SS406, reason));
                if alarm.is_some() {
                    (again(&tickets), Ok(()))
                } else {
                    let weigh = |(ticket, verdict)| weigh(&self.plan, ticket, verdict, &self.meter.metrics);
                    let mut verdicts: Vec<Verdict> = tickets.iter().zip(verdicts).map(weigh).collect();
                    let told = self.ask_others(&tickets, &mut verdicts, fetched_at, deadline).await;
                    took = started.elapsed();
                    match told {
                        Err(error) => (again(&tickets), Err(error)),
                        Ok(told) => {
                            note_contents(&mut tickets, &verdicts);
                            place.answered(tickets.len(), verdicts.iter().map(Verdict::bytes).sum());
                            let settled =
                                self.settle_all(&tickets, verdicts, told, fetched_at, deadline).await?;
                            store = settled.store;
                            // A machine that slept meanwhile wrote after all; what it read is older than somebody was promised.
                            let fates = if deadline.is_over() { again(&tickets) } else { settled.fates };
                            (fates, Ok(()))
                        }
                    }
                }
            }
            // Too late to be written: someone may have been promised that this fetch is over.
            Ok(_) => {
                let reason = "its answer came after `graph.deadline`".to_owned();
                let late = GraphError::Unavailable { reason, retry_after: None };
                (again(&tickets), Err(late))
            }
            Err(error) => (self.without_answer(&tickets, &error).await?, Err(error)),
        };
        if let Err(error) = &gateway {
            let because = || Because::new(error.code(), &error.to_string());
            let result = |fate: &Fate| match fate {
                Fate::Again { .. } | Fate::Behind => FetchResult::Again,
                Fate::Searchable | Fate::Complete => FetchResult::Held,
            };
            self.note(&tickets, fetched_at, |at| (result(&fates[at]), Some(because())));
        }
        self.fetches.end(tickets.iter().map(|ticket| ticket.fetch));
        let fates = tickets.into_iter().zip(fates).collect();
        Ok(BatchEnd { started, took, fates, gateway, store, alarm })
    }

    /// One request for these documents by one query: a verdict on each.
    pub(super) async fn fetch(
        &self,
        requests: &DocumentRequests,
        plan: &IndexPlan,
        ids: &[DocumentId],
        until: Instant,
    ) -> Result<Vec<Verdict>, GraphError> {
        let started = Instant::now();
        Meter::add(&self.meter.requests, 1);
        Meter::add(&self.meter.fetched, ids.len());
        let sent = tokio::time::timeout_at(until, self.graph.send(&requests.documents(ids))).await;
        let answered = match sent {
            Ok(Ok(body)) => Answer::parse(&body).map(|answer| judge(plan, ids, &answer)),
            Ok(Err(error)) => Err(error),
            Err(_) => {
                Err(GraphError::Unavailable { reason: "it did not answer in time".into(), retry_after: None })
            }
        };
        self.meter.metrics.fetched(&answered, started.elapsed());
        answered
    }

    /// Notes what became of these fetches, for `trace`.
    fn note(
        &self,
        tickets: &[Ticket],
        fetched_at: i64,
        became: impl Fn(usize) -> (FetchResult, Option<Because>),
    ) {
        let Some(Ticket { lane, .. }) = tickets.first() else { return };
        let took_ms = now_ms().saturating_sub(fetched_at);
        let step = |(at, ticket): (usize, &Ticket)| {
            let (result, because) = became(at);
            (ticket.id.clone(), What::Fetch { version: ticket.version, took_ms, result, because })
        };
        self.meter.history.note(*lane, tickets.iter().enumerate().map(step));
    }

    /// Asks the guard whether the gone documents may be believed.
    fn alarmed(&self, tickets: &[Ticket], verdicts: &[Verdict]) -> Option<String> {
        let unexplained = tickets
            .iter()
            .zip(verdicts)
            .filter(|(ticket, verdict)| **verdict == Verdict::Gone && !ticket.deleted)
            .count();
        let mut guard = self.gone.lock().unwrap_or_else(PoisonError::into_inner);
        let believed = guard.admit(tickets.len(), unexplained, Instant::now());
        (!believed).then(|| {
            let share = self.plan.errors.max_gone * 100.0;
            format!("more than {share} % of the documents fetched in ten minutes came back as null without a delete event")
        })
    }

    /// Without an answer nothing is held, except where one document alone is the cause.
    async fn without_answer(&self, tickets: &[Ticket], error: &GraphError) -> Result<Vec<Fate>, StateError> {
        match (error, tickets) {
            (error, [ticket]) if error.is_of_documents() => {
                self.hold(ticket, error).await?;
                Ok(vec![Fate::Complete])
            }
            // One of them may be to blame; alone, each answers for itself.
            (GraphError::NotGraphql(_) | GraphError::Rejected(_), _) => {
                Ok(vec![Fate::Again { alone: true }; tickets.len()])
            }
            _ => Ok(again(tickets)),
        }
    }

    /// Holds a document for a failure of its own request.
    pub async fn hold(&self, ticket: &Ticket, error: &GraphError) -> Result<(), StateError> {
        Meter::add(&self.meter.held, 1);
        self.meter.metrics.documents("held", 1);
        self.ledger.hold(vec![hold(ticket, HoldCause::from(error))]).await
    }

    /// Writes what the other queries found, then what the served one did, and notes what was not written beside it.
    async fn settle_all(
        &self,
        tickets: &[Ticket],
        verdicts: Vec<Verdict>,
        told: Vec<Vec<Told>>,
        fetched_at: i64,
        deadline: Deadline,
    ) -> Result<Settled, StateError> {
        if told.is_empty() {
            return self.settle(tickets, verdicts, fetched_at, deadline).await;
        }
        let held: Vec<bool> = verdicts.iter().map(Verdict::is_held).collect();
        let lacks = self.write_others(told, &verdicts, is_live(tickets), deadline).await?;
        let settled = self.settle(tickets, verdicts, fetched_at, deadline).await?;
        self.note_lacks(lacks, tickets, &settled.fates, &held).await?;
        Ok(settled)
    }

    /// Writes what was found and what is gone, then records holds and releases. What the store couldn't take for now is
    /// neither held nor released.
    async fn settle(
        &self,
        tickets: &[Ticket],
        verdicts: Vec<Verdict>,
        fetched_at: i64,
        deadline: Deadline,
    ) -> Result<Settled, StateError> {
        let mut documents = Vec::new();
        let mut written_by = Vec::new();
        let mut rejects = 0;
        let mut gone = vec![false; tickets.len()];
        let mut results = vec![FetchResult::Held; tickets.len()];
        let mut holds = Vec::new();
        let mut completed = Vec::new();
        let mut fates = vec![Fate::Complete; tickets.len()];
        for (at, (ticket, verdict)) in tickets.iter().zip(verdicts).enumerate() {
            let mut document = |body, missing| {
                let (id, version) = (ticket.id.clone(), ticket.version);
                documents.push(Document { id, version, body, fetched_at, missing });
                written_by.push(at);
            };
            match verdict {
                Verdict::Found { body, hold: None, .. } if self.unchanged.is_there(ticket, &body) => {
                    completed.push((ticket.id.clone(), ticket.version));
                    fates[at] = Fate::Searchable;
                    results[at] = FetchResult::Unchanged;
                    Meter::add(&self.meter.unchanged, 1);
                    self.meter.metrics.documents("unchanged", 1);
                }
                Verdict::Found { body, missing, hold: cause } => {
                    document(Some(body), missing);
                    match cause {
                        Some(cause) => holds.push(hold(ticket, cause)),
                        None => completed.push((ticket.id.clone(), ticket.version)),
                    }
                }
                Verdict::Gone => {
                    document(None, Vec::new());
                    completed.push((ticket.id.clone(), ticket.version));
                    Meter::add(&self.meter.gone, 1);
                    gone[at] = true;
                }
                Verdict::Ignored => {
                    completed.push((ticket.id.clone(), ticket.version));
                    results[at] = FetchResult::Ignored;
                }
                Verdict::Held(cause) => holds.push(hold(ticket, cause)),
                Verdict::Behind => {
                    fates[at] = Fate::Behind;
                    results[at] = FetchResult::Again;
                }
                Verdict::Again { alone } => {
                    fates[at] = Fate::Again { alone };
                    results[at] = FetchResult::Again;
                }
            }
        }
        let mut store = Ok(());
        let outcomes = match self.keep(documents, is_live(tickets), deadline).await {
            Err(error) if error.is_of_a_server() => {
                let outcomes = vec![Outcome::Again(error.to_string()); written_by.len()];
                store = Err(error);
                outcomes
            }
            outcomes => outcomes?,
        };
        let is_their_fault = self.believes(tickets, &written_by, &outcomes);
        let mut given_back = Vec::new();
        for (at, outcome) in written_by.into_iter().zip(outcomes) {
            match outcome {
                Outcome::Written => {
                    fates[at] = Fate::Searchable;
                    results[at] = if gone[at] { FetchResult::Gone } else { FetchResult::Written };
                    Meter::add(&self.meter.written, 1);
                    self.meter.metrics.documents(if gone[at] { "gone" } else { "written" }, 1);
                }
                Outcome::Superseded => {
                    results[at] = FetchResult::Superseded;
                    Meter::add(&self.meter.superseded, 1);
                    self.meter.metrics.documents("superseded", 1);
                }
                Outcome::Again(reason) => {
                    given_back.push(at);
                    if store.is_ok() {
                        store = Err(StateError::Unreachable { what: "the store".to_owned(), reason });
                    }
                }
                Outcome::Rejected(reason) if !is_their_fault => {
                    given_back.push(at);
                    store = Err(StateError::Refusing { id: tickets[at].id.to_string(), reason });
                }
                Outcome::Rejected(reason) => {
                    let ticket = &tickets[at];
                    completed.retain(|(id, _)| *id != ticket.id);
                    holds.push(hold(ticket, rejected(reason)));
                    results[at] = FetchResult::Held;
                    rejects += 1;
                }
            }
        }
        for at in &given_back {
            fates[*at] = Fate::Again { alone: false };
            results[*at] = FetchResult::Again;
        }
        let is_given_back = |id: &DocumentId| given_back.iter().any(|at| tickets[*at].id == *id);
        completed.retain(|(id, _)| !is_given_back(id));
        holds.retain(|hold| !is_given_back(&hold.id));
        Meter::add(&self.meter.held, holds.len());
        self.meter.metrics.documents("held", holds.len() - rejects);
        self.meter.metrics.documents("rejected", rejects);
        {
            let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = tickets.iter().zip(&fates).zip(&gone);
            for ((ticket, fate), gone) in
                ended.filter(|((_, fate), _)| !matches!(fate, Fate::Again { .. } | Fate::Behind))
            {
                refusals.finish(&ticket.id, matches!(fate, Fate::Searchable) && !gone);
            }
        }
        self.note(tickets, fetched_at, |at| {
            let held = || holds.iter().find(|hold| hold.id == tickets[at].id);
            let because = match (results[at], &store) {
                (FetchResult::Again, Err(error)) => Some(Because::new(error.code(), &error.to_string())),
                _ => held().map(|hold| Because::from(&hold.cause)),
            };
            (results[at], because)
        });
        self.ledger.hold(holds).await?;
        self.ledger.release(completed).await?;
        Ok(Settled { fates, store })
    }

    /// Asks the guard whether the documents that the store refuses are to blame for it.
    fn believes(&self, tickets: &[Ticket], written_by: &[usize], outcomes: &[Outcome]) -> bool {
        let refused =
            written_by.iter().zip(outcomes).filter(|(_, outcome)| matches!(outcome, Outcome::Rejected(_)));
        let refused: Vec<DocumentId> = refused.map(|(at, _)| tickets[*at].id.clone()).collect();
        let written = outcomes.iter().filter(|outcome| matches!(outcome, Outcome::Written)).count();
        let mut guard = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        guard.admit(written, &refused, Instant::now())
    }

    /// Notes what documents begin to match, appends them to their log and writes them to the index. What is not acknowledged by
    /// the deadline is given up, its fate unknown: by then someone may count on this fetch being over.
    #[tracing::instrument(name = "write", skip_all, fields(documents = documents.len()))]
    async fn keep(
        &self,
        documents: Vec<Document>,
        is_live: bool,
        deadline: Deadline,
    ) -> Result<Vec<Outcome>, StateError> {
        let noting = self.saved.note(&*self.store, &documents);
        tokio::time::timeout_at(deadline.at, noting).await.unwrap_or_else(|_| Err(late()))?;
        let sent = self.unchanged.send(&documents, is_live);
        let (query, store) = (&self.plan.fetch.query_hash, &*self.store);
        let outcomes = self.append_and_write(query, store, documents, is_live, deadline.at).await?;
        self.unchanged.acknowledge(sent, &outcomes);
        Ok(outcomes)
    }

    /// Appends documents of a query to their log and writes them; until then, or their fate is unknown.
    pub(super) async fn append_and_write(
        &self,
        query: &str,
        store: &dyn Store,
        documents: Vec<Document>,
        is_live: bool,
        until: Instant,
    ) -> Result<Vec<Outcome>, StateError> {
        let kept = async {
            let refusals = self.tenure.append(query, &documents).await?;
            let appended = documents.into_iter().zip(&refusals).filter(|(_, refusal)| refusal.is_none());
            let appended: Vec<Document> = appended.map(|(document, _)| document).collect();
            let written = match is_live {
                _ if appended.is_empty() => Vec::new(),
                true => store.write(appended).await?,
                false => store.write_patiently(appended).await?,
            };
            let mut written = written.into_iter();
            let outcomes = refusals.into_iter().map(|refusal| match refusal {
                Some(reason) => Outcome::Rejected(reason),
                None => written.next().expect("the store answers for each document"),
            });
            Ok(outcomes.collect())
        };
        tokio::time::timeout_at(until, kept).await.unwrap_or_else(|_| Err(late()))
    }
}

/// Whether somebody waits for a batch, which is of one lane.
pub(super) fn is_live(tickets: &[Ticket]) -> bool {
    tickets.first().is_some_and(|ticket| ticket.lane == Lane::Live)
}

/// What became of a batch that was answered.
struct Settled {
    fates: Vec<Fate>,
    store: Result<(), StateError>,
}

/// What was not acknowledged in time, its fate unknown.
fn late() -> StateError {
    let reason = "the write was not acknowledged within `graph.deadline`".to_owned();
    StateError::Unreachable { what: "the store".to_owned(), reason }
}

fn again(tickets: &[Ticket]) -> Vec<Fate> {
    vec![Fate::Again { alone: false }; tickets.len()]
}

fn hold(ticket: &Ticket, cause: HoldCause) -> Hold {
    Hold { id: ticket.id.clone(), version: ticket.version, cause, wants: ticket.wants.clone() }
}

fn rejected(reason: String) -> HoldCause {
    HoldCause { subgraph: None, code: store_codes::SS507.id.to_owned(), path: None, message: reason }
}
