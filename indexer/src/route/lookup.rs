//! Which roots a related entity's change touches: the reverse lookup in the own index, and the back-reference query.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use plan::{DocumentId, IdKind, SourcePlan, code::kafka as codes};
use serde_json::Value;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::{
    RouteError,
    fan_out::{FanOut, Finder},
    wide::Marks,
};
use crate::{
    StateError,
    graph::{
        Graph, GraphError,
        ids::{IdPages, PageError},
    },
    heartbeat,
    ledger::{FoundIn, figures::Meter},
    log::DeadLetter,
    store::Store,
};

/// Ids asked of the index at once.
pub(crate) const PAGE: usize = 1_000;

/// Keys that are asked about one by one where their roots fill a page, so that one with many doesn't take the others' room.
const FEW: usize = 16;

/// The first pause between two tries of a back-reference query. It doubles.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

/// The longest pause between two tries.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Failures of one key, while the query answers for others, after which the key is given up: about fifteen seconds.
const KEY_TRIES: u32 = 5;

/// How long a key fails before it is given up where nobody can tell whether the query answers at all, because it has not since
/// the start: long enough for a subgraph to start again.
const LONE_KEY: Duration = Duration::from_mins(3);

/// Answered keys that are remembered: enough that one of them is nearly always not among those that fail.
const WITNESSES: usize = 16;

/// Finds roots by the keys of related entities.
pub struct Lookup {
    /// The source's plan.
    pub source: SourcePlan,
    /// How the root's key is written.
    pub root_kind: IdKind,
    /// Codes of errors which say that the related entity doesn't exist.
    pub not_found_codes: Vec<String>,
    /// The index, by a version of each query that is fetched.
    pub indexes: Vec<LookedUp>,
    /// The gateway.
    pub graph: Arc<dyn Graph>,
    /// With `--once`: failures of the gateway in a row after which it is given up.
    pub give_up_after: Option<u32>,
    /// The keys that the back-reference query answered last. Where another key fails, they tell whose fault that is.
    pub answered: Mutex<VecDeque<DocumentId>>,
    /// Keys with too many roots.
    pub marks: Marks,
    /// Ids asked of the index at once.
    pub page: usize,
    /// Where it is noted what was found.
    pub meter: Arc<Meter>,
}

/// An index version in which roots are found by the keys that they hold.
pub struct LookedUp {
    /// Its documents.
    pub store: Arc<dyn Store>,
    /// Where they hold the keys.
    pub paths: Vec<String>,
}

/// A key that the back-reference query doesn't answer, although it answers others.
#[derive(Debug)]
pub struct Unanswered {
    /// The key.
    pub key: DocumentId,
    /// What the gateway says about it.
    pub reason: String,
}

/// A key that is being asked about.
struct Asked {
    key: DocumentId,
    /// The page to go on with.
    cursor: Option<Value>,
    failures: u32,
    /// How often in a row it failed while the query answered for others.
    alone: u32,
    /// Since when it fails while there are no others to compare it with.
    unvouched_since: Option<Instant>,
    reason: String,
}

impl Lookup {
    /// Whether the source needs lookups at all.
    pub fn is_needed(&self) -> bool {
        !self.source.reverse_lookup.is_empty() || self.source.back_reference.is_some()
    }

    /// Queues the documents in the index that hold any of the keys. A store that does not answer is waited for; after `stop`
    /// it is left unasked.
    pub(super) async fn in_index(
        &self,
        keys: &[DocumentId],
        found: &mut FanOut<'_>,
        stop: &CancellationToken,
    ) -> Result<(), StateError> {
        if self.source.reverse_lookup.is_empty() || keys.is_empty() {
            return Ok(());
        }
        let mut large = Vec::new();
        for (number, group) in keys.chunks(found.keys_at_once()).enumerate() {
            let Some(page) = self.page_of_index(group, None, stop).await? else { return Ok(()) };
            if !self.is_full(&page) {
                found.found_by(Finder::Group(number), group);
                self.follow(group, None, page, found, stop).await?;
                continue;
            }
            if group.len() == 1 || group.len() > FEW {
                large.push((Finder::Group(number), group, page));
                continue;
            }
            for key in group.chunks(1) {
                let Some(page) = self.page_of_index(key, None, stop).await? else { return Ok(()) };
                let finder = Finder::Key(key[0].clone());
                if self.is_full(&page) {
                    large.push((finder, key, page));
                    continue;
                }
                found.found_by(finder, key);
                self.follow(key, None, page, found, stop).await?;
            }
        }
        for (finder, group, page) in large {
            found.found_by(finder, group);
            self.follow(group, None, page, found, stop).await?;
        }
        Ok(())
    }

    /// Queues a page of the index, and those after it while there is room. `from` is where this page begins.
    async fn follow(
        &self,
        keys: &[DocumentId],
        mut from: Option<DocumentId>,
        mut page: Vec<DocumentId>,
        found: &mut FanOut<'_>,
        stop: &CancellationToken,
    ) -> Result<(), StateError> {
        loop {
            let next = page.last().filter(|_| self.is_full(&page)).cloned();
            if !found.queue(page, next.as_ref().map(ToString::to_string)).await? {
                found.set_aside(FoundIn::Index, keys, from.as_ref().map(DocumentId::as_str));
                return Ok(());
            }
            if next.is_none() {
                return Ok(());
            }
            let Some(following) = self.page_of_index(keys, next.as_ref(), stop).await? else { return Ok(()) };
            (from, page) = (next, following);
        }
    }

    /// Queues the documents in the index that hold any of the keys of one group, from a page on.
    pub(super) async fn group_in_index(
        &self,
        keys: &[DocumentId],
        from: Option<DocumentId>,
        found: &mut FanOut<'_>,
        stop: &CancellationToken,
    ) -> Result<(), StateError> {
        let Some(page) = self.page_of_index(keys, from.as_ref(), stop).await? else { return Ok(()) };
        self.follow(keys, from, page, found, stop).await
    }

    fn is_full(&self, page: &[DocumentId]) -> bool {
        page.len() == self.page
    }

    /// One page of the index, however long its server takes; `None` after `stop`.
    async fn page_of_index(
        &self,
        keys: &[DocumentId],
        after: Option<&DocumentId>,
        stop: &CancellationToken,
    ) -> Result<Option<Vec<DocumentId>>, StateError> {
        let (mut pause, mut failures) = (FIRST_PAUSE, 0);
        loop {
            heartbeat::beat();
            let asking = self.roots(keys, after);
            self.meter.asked_for_roots(FoundIn::Index);
            let error = match stop.run_until_cancelled(asking).await {
                None => return Ok(None),
                Some(Err(error)) if error.is_of_a_server() => error,
                Some(page) => return page.map(Some),
            };
            failures += 1;
            if self.give_up_after.is_some_and(|most| failures >= most || !error.is_passing()) {
                return Err(error);
            }
            if failures == 1 {
                let (source, code) = (&self.source.name, error.code().id);
                tracing::warn!(%source, code, "the reverse lookup failed and is tried again: {error}");
            }
            if stop.run_until_cancelled(tokio::time::sleep(pause)).await.is_none() {
                return Ok(None);
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The first page of the roots after an id, by their ids, that any version holds any of the keys of.
    async fn roots(
        &self,
        keys: &[DocumentId],
        after: Option<&DocumentId>,
    ) -> Result<Vec<DocumentId>, StateError> {
        let mut roots = BTreeSet::new();
        for LookedUp { store, paths } in &self.indexes {
            roots.extend(store.lookup(paths, keys, after, self.page).await?);
        }
        // What stands behind a page of all is on the next one.
        Ok(roots.into_iter().take(self.page).collect())
    }

    /// Queues the roots that the graph names for the keys, each from a page on: edges that the index can't know yet. A gateway
    /// that is down is waited for; a key that alone fails again and again is given up, so that it doesn't hold up the others.
    /// After `stop` keys are left unasked.
    pub(super) async fn in_graph(
        &self,
        keys: Vec<(DocumentId, Option<Value>)>,
        found: &mut FanOut<'_>,
        stop: &CancellationToken,
    ) -> Result<Vec<Unanswered>, RouteError> {
        let Some(pages) = self.pages() else { return Ok(Vec::new()) };
        let asked = |(key, cursor)| Asked {
            key,
            cursor,
            failures: 0,
            alone: 0,
            unvouched_since: None,
            reason: String::new(),
        };
        let mut waiting: Vec<Asked> = keys.into_iter().map(asked).collect();
        let mut given_up = Vec::new();
        let (mut pause, mut unreachable) = (FIRST_PAUSE, 0);
        loop {
            let (mut failed, mut answered, mut retry_after) = (Vec::new(), false, None);
            let mut unasked = waiting.into_iter();
            for mut asked in unasked.by_ref() {
                let asking = stop.run_until_cancelled(self.ask(&pages, &mut asked, found));
                let Some(result) = asking.await else { return Ok(given_up) };
                let Err(error) = result? else {
                    (answered, unreachable) = (true, 0);
                    self.note_answered(&asked.key);
                    continue;
                };
                let is_about_the_gateway = error.is_about_the_gateway();
                retry_after = error.retry_after();
                self.note_failure(&mut asked, &error, unreachable);
                failed.push(asked);
                if is_about_the_gateway {
                    unreachable += 1;
                    self.give_up_once(unreachable, error)?;
                    break; // the others would fail alike
                }
                if unreachable > 0 {
                    (pause, unreachable) = (FIRST_PAUSE, 0);
                }
            }
            waiting = failed.into_iter().chain(unasked).collect();
            // While the gateway can't be reached, nobody is judged.
            if unreachable == 0 {
                given_up.extend(self.take_lost(&pages, &mut waiting, answered, stop).await?);
            }
            if waiting.is_empty() || stop.is_cancelled() {
                return Ok(given_up);
            }
            tokio::select! {
                biased;
                () = stop.cancelled() => return Ok(given_up),
                () = heartbeat::waiting(tokio::time::sleep(pause.max(retry_after.unwrap_or_default()))) => {}
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    /// The dead letter of a key that was given up.
    pub(super) fn dead_letter(&self, unanswered: &Unanswered) -> DeadLetter {
        let (source, Unanswered { key, reason }) = (&self.source.name, unanswered);
        tracing::error!(%source, code = codes::SS304.id, "the back-reference query fails for {key}: {reason}; kept as a dead letter");
        DeadLetter {
            source: source.clone(),
            position: format!("key {key}"),
            code: codes::SS304,
            reason: reason.clone(),
            record: key.as_str().as_bytes().to_vec(),
            original: None,
        }
    }

    fn pages(&self) -> Option<IdPages<'_>> {
        Some(IdPages {
            graph: &*self.graph,
            query: self.source.back_reference.as_ref()?,
            kind: self.root_kind,
            not_found_codes: &self.not_found_codes,
        })
    }

    /// Asks about one key to its last page, or to the first that fails.
    async fn ask(
        &self,
        pages: &IdPages<'_>,
        asked: &mut Asked,
        found: &mut FanOut<'_>,
    ) -> Result<Result<(), PageError>, StateError> {
        let key = std::slice::from_ref(&asked.key);
        found.found_by(Finder::Key(asked.key.clone()), key);
        loop {
            heartbeat::beat();
            let variable = asked.key.to_variable(self.source.id_kind);
            self.meter.asked_for_roots(FoundIn::Graph);
            let page = match pages.page(Some(variable), asked.cursor.as_ref()).await {
                Ok(page) => page,
                Err(error) => return Ok(Err(error)),
            };
            // What isn't an id can't be a document either.
            let roots = page.ids.into_iter().flatten().collect();
            if !found.queue(roots, page.next.as_ref().map(Value::to_string)).await? {
                let from = asked.cursor.as_ref().map(Value::to_string);
                found.set_aside(FoundIn::Graph, key, from.as_deref());
                return Ok(Ok(()));
            }
            asked.cursor = page.next;
            if asked.cursor.is_none() {
                return Ok(Ok(()));
            }
        }
    }

    fn note_answered(&self, key: &DocumentId) {
        let mut answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        if !answered.contains(key) {
            answered.push_front(key.clone());
            answered.truncate(WITNESSES);
        }
    }

    /// Says it once a key, and once while the gateway is down.
    fn note_failure(&self, asked: &mut Asked, error: &PageError, unreachable: u32) {
        let (source, key) = (&self.source.name, &asked.key);
        let is_about_the_gateway = error.is_about_the_gateway();
        let is_first = if is_about_the_gateway { unreachable == 0 } else { asked.failures == 0 };
        if is_first {
            tracing::warn!(%source, %key, "the back-reference query failed and is tried again: {error}");
        }
        if !is_about_the_gateway {
            asked.failures += 1;
            asked.reason = error.to_string();
        }
    }

    fn give_up_once(&self, failures: u32, error: PageError) -> Result<(), RouteError> {
        let error = GraphError::from(error);
        match self.give_up_after {
            Some(most) if failures >= most || error.is_systemic() => Err(error.into()),
            _ => Ok(()),
        }
    }

    /// Takes the keys that are given up from those that are tried again. Failures are the key's own where the query answered for
    /// another one beside each of them; as long as it doesn't, everything waits.
    async fn take_lost(
        &self,
        pages: &IdPages<'_>,
        waiting: &mut Vec<Asked>,
        answered: bool,
        stop: &CancellationToken,
    ) -> Result<Vec<Unanswered>, RouteError> {
        let failures = waiting.iter().map(|asked| asked.failures).max().unwrap_or(0);
        let is_vouched_for = match self.witness(waiting) {
            _ if answered => true,
            Some(witness) => {
                let key = witness.to_variable(self.source.id_kind);
                match stop.run_until_cancelled(pages.page(Some(key), None)).await {
                    Some(Ok(_)) => true,
                    Some(Err(error)) => {
                        self.give_up_once(failures, error)?;
                        // Nobody is answered: what failed until now says nothing about any key.
                        for asked in waiting {
                            (asked.alone, asked.unvouched_since) = (0, None);
                        }
                        return Ok(Vec::new());
                    }
                    None => return Ok(Vec::new()),
                }
            }
            None => self.give_up_after.is_some(),
        };
        let now = Instant::now();
        let is_lost = |asked: &mut Asked| match asked.failures {
            0 => false,
            _ if is_vouched_for => {
                asked.alone += 1;
                asked.alone >= KEY_TRIES
            }
            _ => now.duration_since(*asked.unvouched_since.get_or_insert(now)) >= LONE_KEY,
        };
        let lost = waiting
            .extract_if(.., |asked| is_lost(asked))
            .map(|Asked { key, reason, .. }| Unanswered { key, reason });
        Ok(lost.collect())
    }

    /// A key that was answered before, and is none of these.
    fn witness(&self, waiting: &[Asked]) -> Option<DocumentId> {
        let answered = self.answered.lock().unwrap_or_else(PoisonError::into_inner);
        answered.iter().find(|witness| waiting.iter().all(|asked| asked.key != **witness)).cloned()
    }
}
