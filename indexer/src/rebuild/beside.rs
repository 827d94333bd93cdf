//! Index versions of another query than the served one's: the same documents, fetched by plans of their own in the same batch.
//!
//! A batch asks by the served query first. What that says decides what is held and what is gone, and a document of which it says
//! nothing yet is asked for by no other query. The others follow one after the other in the batch's place at the gateway, so that
//! no more requests are in flight than the limit says. All of it is one fetch: one version, taken before the first request, and
//! one deadline. What they find is written before the served version is.
//!
//! A document that the served version has then and another doesn't is *lacking* there. That holds up nobody: it is noted once the
//! served version is written, and fetched anew.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use plan::IndexPlan;
use tokio::time::Instant;

use super::{
    batch::{Batches, Fate, Ticket},
    behind::weigh,
    deadline::Deadline,
    judge::Verdict,
};
use crate::{
    StateError,
    graph::{GraphError, request::DocumentRequests},
    index::OtherQuery,
    ledger::versions::Lack,
    store::{Document, Outcome, versions::note_lacks},
};

/// Requests of another query that may fail in a row before it is left alone, and what it is not asked for is lacking.
const FAILURES: u32 = 5;

/// How long it is left alone then. The served version's documents wait for its answers no more often than that.
const REST: Duration = Duration::from_secs(30);

/// How long a write to versions that aren't served may take. It holds up the served one for so long.
const PATIENCE: Duration = Duration::from_secs(5);

/// Another query that is fetched beside the served one.
pub struct Beside {
    query: OtherQuery,
    requests: DocumentRequests,
    health: Mutex<Health>,
}

/// How the requests of another query fare.
#[derive(Default)]
struct Health {
    /// Those that failed since the last one that was answered.
    failures: u32,
    /// Until when it is left alone, and why.
    rests: Option<(Instant, String)>,
}

/// What another query says about a document of a batch.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// What is to be written.
    document: Option<Document>,
    /// Why its versions don't hold the document as the graph has it.
    lacks: Option<String>,
}

impl Beside {
    /// Nothing failed yet.
    pub fn new(query: OtherQuery) -> Self {
        let requests = DocumentRequests::new(Arc::clone(&query.plan));
        Self { query, requests, health: Mutex::default() }
    }

    fn plan(&self) -> &Arc<IndexPlan> {
        &self.query.plan
    }

    fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why it isn't asked now.
    fn rests(&self) -> Option<String> {
        let health = self.health();
        let (until, why) = health.rests.as_ref()?;
        (Instant::now() < *until).then(|| why.clone())
    }

    /// What becomes of documents whose request failed: they are asked for again, alone where each answers for itself, or they are
    /// lacking. An error is the batch's as a whole: the gateway wants fewer requests, or smaller ones.
    fn fail(
        &self,
        error: GraphError,
        asked: &[usize],
        verdicts: &mut [Verdict],
        told: &mut [Told],
    ) -> Result<(), GraphError> {
        let is_passing = {
            let mut health = self.health();
            health.failures += 1;
            let is_passing = health.failures < FAILURES && !error.is_systemic();
            if !is_passing {
                health.rests = Some((Instant::now() + REST, error.to_string()));
            }
            is_passing
        };
        match &error {
            GraphError::TooLarge(_) if asked.len() > 1 => return Err(error),
            GraphError::Busy { .. } if is_passing => return Err(error),
            _ => {}
        }
        for at in asked {
            if is_passing && asked.len() > 1 {
                verdicts[*at] = Verdict::Again { alone: true };
            } else {
                told[*at].lacks = Some(error.to_string());
            }
        }
        Ok(())
    }

    /// Takes what this query says about a document beside what the served one says. `is_alone`: nothing else was asked for with it.
    fn take(ticket: &Ticket, own: Verdict, served: &mut Verdict, is_alone: bool, fetched_at: i64) -> Told {
        let document = |body, missing| {
            let (id, version) = (ticket.id.clone(), ticket.version);
            Some(Document { id, version, body, fetched_at, missing })
        };
        let lacks = |reason: &str| Told { document: None, lacks: Some(reason.to_owned()) };
        match own {
            Verdict::Found { body, missing, hold } => {
                Told { document: document(Some(body), missing), lacks: hold.map(|cause| cause.message) }
            }
            // Gone is what is gone by both: an answer that misses a document says nothing about the other one.
            Verdict::Gone | Verdict::Ignored
                if matches!(served, Verdict::Found { .. } | Verdict::Held(_)) =>
            {
                lacks("the graph answers its query with null, and the served one with a document")
            }
            Verdict::Gone => Told { document: document(None, Vec::new()), lacks: None },
            Verdict::Ignored => Told::default(),
            Verdict::Held(cause) => lacks(&cause.message),
            Verdict::Again { .. } if is_alone => lacks("the answer says nothing about it"),
            again @ (Verdict::Behind | Verdict::Again { .. }) => {
                *served = again;
                Told::default()
            }
        }
    }
}

impl Batches {
    /// How many documents one batch may ask for: no query needs a second request for it.
    pub(super) fn max_batch(&self) -> usize {
        let others = self.others.iter().map(|other| other.requests.max_batch());
        others.fold(self.requests.max_batch(), usize::min)
    }

    /// Asks by all other queries for the documents of which the served one says what is the matter. Where one of them says nothing
    /// yet, neither does the batch: its verdict is another one then. An error is the gateway's, and everything is asked for again.
    pub(super) async fn ask_others(
        &self,
        tickets: &[Ticket],
        verdicts: &mut [Verdict],
        fetched_at: i64,
        deadline: Deadline,
    ) -> Result<Vec<Vec<Told>>, GraphError> {
        // What is left is for the writes: no answer of another query is worth that the served one comes too late.
        let now = Instant::now();
        let until = now + deadline.at.saturating_duration_since(now) / 2;
        let mut all = Vec::with_capacity(self.others.len());
        for other in &self.others {
            let is_said = |at: &usize| !matches!(verdicts[*at], Verdict::Behind | Verdict::Again { .. });
            let asked: Vec<usize> = (0..tickets.len()).filter(is_said).collect();
            let mut told: Vec<Told> = tickets.iter().map(|_| Told::default()).collect();
            for asked in asked.chunks(other.requests.max_batch()) {
                if let Some(why) = other.rests() {
                    asked.iter().for_each(|at| told[*at].lacks = Some(why.clone()));
                    continue;
                }
                let ids: Vec<_> = asked.iter().map(|at| tickets[*at].id.clone()).collect();
                let own = match self.fetch(&other.requests, other.plan(), &ids, until).await {
                    Ok(own) => own,
                    Err(error) => {
                        other.fail(error, asked, verdicts, &mut told)?;
                        continue;
                    }
                };
                *other.health() = Health::default();
                for (at, own) in asked.iter().zip(own) {
                    let (ticket, served) = (&tickets[*at], &mut verdicts[*at]);
                    let own = weigh(other.plan(), ticket, own, &self.meter.metrics);
                    told[*at] = Beside::take(ticket, own, served, asked.len() == 1, fetched_at);
                }
            }
            all.push(told);
        }
        Ok(all)
    }

    /// Writes what the other queries found of documents of which the batch says what is the matter; gives what each of them lacks.
    pub(super) async fn write_others(
        &self,
        told: Vec<Vec<Told>>,
        verdicts: &[Verdict],
        is_live: bool,
        deadline: Deadline,
    ) -> Result<Vec<Vec<Option<String>>>, StateError> {
        let until = deadline.at.min(Instant::now() + PATIENCE);
        let mut all = Vec::with_capacity(told.len());
        for (other, told) in self.others.iter().zip(told) {
            let (mut documents, mut written, mut lacks) = (Vec::new(), Vec::new(), Vec::new());
            for (at, (Told { document, lacks: reason }, verdict)) in
                told.into_iter().zip(verdicts).enumerate()
            {
                let is_said = !matches!(verdict, Verdict::Behind | Verdict::Again { .. });
                if let Some(document) = document.filter(|_| is_said) {
                    documents.push(document);
                    written.push(at);
                }
                lacks.push(reason);
            }
            let OtherQuery { plan, store, .. } = &other.query;
            let count = documents.len();
            let query = &plan.fetch.query_hash;
            let outcomes = match self.append_and_write(query, &**store, documents, is_live, until).await {
                Err(error) if error.is_of_a_server() => vec![Outcome::Again(error.to_string()); count],
                outcomes => outcomes?,
            };
            for (at, outcome) in written.into_iter().zip(outcomes) {
                match outcome {
                    Outcome::Written | Outcome::Superseded => {}
                    Outcome::Rejected(reason) | Outcome::Again(reason) => lacks[at] = Some(reason),
                }
            }
            all.push(lacks);
        }
        Ok(all)
    }

    /// Notes what versions beside the served one lack of the documents whose entries are complete. What is held is fetched again
    /// for all anyway.
    pub(super) async fn note_lacks(
        &self,
        lacks: Vec<Vec<Option<String>>>,
        tickets: &[Ticket],
        fates: &[Fate],
        held: &[bool],
    ) -> Result<(), StateError> {
        for (other, lacks) in self.others.iter().zip(lacks) {
            let is_complete = |at: usize| matches!(fates[at], Fate::Searchable | Fate::Complete) && !held[at];
            let lack = |(at, reason): (usize, Option<String>)| {
                let Ticket { id, version, .. } = &tickets[at];
                let reason = reason.filter(|_| is_complete(at))?;
                Some(Lack { id: id.clone(), version: *version, reason })
            };
            let lacks: Vec<Lack> = lacks.into_iter().enumerate().filter_map(lack).collect();
            if lacks.is_empty() {
                continue;
            }
            for number in &other.query.versions {
                note_lacks(&*self.ledger, *number, lacks.clone()).await?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
