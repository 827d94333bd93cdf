//! Dead letters are understood again by the provisioned plan, as if their events arrived now.
//!
//! The steps are a route's: ids, first lookup, barrier, second lookup, log. A dead letter goes only with the append that ends
//! them, so that a crash in between leaves it there; to replay it twice does no harm.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use plan::{
    Code, DocumentId, Record, SourcePlan,
    code::{backfill::SS603, kafka as codes},
};
use tokio_util::sync::CancellationToken;

use super::{ONCE_GIVES_UP_AFTER, RunError, routing};
use crate::{
    Index, StateError,
    endpoints::GraphEndpoint,
    graph::Graph,
    index::World,
    ledger::longest_deadline,
    log::{Append, KeptLetter, Lane, LetterNumber},
    route::{
        LookedUp,
        barrier::{Barrier, Mark},
        fan_out::{Finder, Queued},
        look_up,
        lookup::Lookup,
        truncate,
        wide::Wide,
        wishes::{Key, Wishes},
    },
    source::{
        BadRecord, Original,
        decode::{RawRecord, RecordDecoder},
        line,
    },
};

/// Dead letters that are read, and looked up, together. A record of a topic has up to a megabyte.
const BATCH: usize = 100;

/// What became of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Everything that it asks for is in the log, and it is a dead letter no more.
    Replayed,
    /// It still can't be understood, and stays.
    Still {
        /// The diagnostic code.
        code: Code,
        /// What is wrong with it, in words.
        reason: String,
    },
    /// There is none of this number, or it was settled already.
    Missing,
}

/// Replays dead letters of one index, beside whatever processes run.
pub struct Replay {
    index: Index,
    graph: Arc<dyn Graph>,
}

/// Why a dead letter stays one.
type Refused = (Code, String);

/// Dead letters of one source that were understood, before their second lookup.
struct Batch {
    lookup: Lookup,
    /// Each with the keys that it asks about.
    letters: Vec<(LetterNumber, Vec<DocumentId>)>,
    keys: Vec<Key>,
    arrived: Mark,
    /// What the first lookup found and queued.
    queued: Queued,
    /// Keys that the graph doesn't answer, and what it says.
    unanswered: HashMap<DocumentId, String>,
}

impl Replay {
    /// Replays over the gateway at this address; asks it only where a source needs it.
    pub fn new(index: &Index, gateway: &GraphEndpoint) -> Result<Self, RunError> {
        Ok(Self::over(index, index.gateway(gateway)?))
    }

    /// As [`Replay::new`], over another gateway.
    pub fn over(index: &Index, graph: Arc<dyn Graph>) -> Self {
        Self { index: index.clone(), graph }
    }

    /// How long a replay waits at most between its two lookups: until every fetch has ended that may have read the graph before.
    pub async fn longest_wait(&self) -> Result<Duration, StateError> {
        let figures = self.index.ledger.figures().await?;
        Ok(Duration::from_millis(longest_deadline(&figures, self.index.plan.graph.deadline_ms)))
    }

    /// Whether the dead letters of a source are looked up, and so wait.
    pub fn looks_up(&self, source: &str) -> bool {
        let needs =
            |source: &SourcePlan| !source.reverse_lookup.is_empty() || source.back_reference.is_some();
        self.index.source(source).is_some_and(needs)
    }

    /// Understands dead letters again and appends what they ask for; tells what became of each, in the order of `numbers`.
    ///
    /// Errors: a server or the gateway doesn't answer. What was not settled by then stays a dead letter.
    pub async fn replay(&self, numbers: &[LetterNumber]) -> Result<Vec<Outcome>, RunError> {
        let longest = Arc::new(AtomicU64::new(0));
        let barrier = Barrier::Deadline(Arc::clone(&longest));
        let mut outcomes = HashMap::new();
        let mut waiting = Vec::new();
        for numbers in numbers.chunks(BATCH) {
            let letters = self.index.log.read_dead_letters(numbers).await?;
            let mut by_source: BTreeMap<String, Vec<KeptLetter>> = BTreeMap::new();
            for letter in letters {
                by_source.entry(letter.row.source.clone()).or_default().push(letter);
            }
            for (source, letters) in by_source {
                let Some(source) = self.index.source(&source) else {
                    outcomes.extend(letters.iter().map(|letter| (letter.row.number, sourceless(letter))));
                    continue;
                };
                waiting.extend(self.begin(source, letters, &barrier, &mut outcomes).await?);
            }
        }
        if let Some(last) = waiting.last() {
            self.pass(&barrier, &longest, last.arrived).await?;
        }
        for batch in waiting {
            self.end(batch, &mut outcomes).await?;
        }
        Ok(numbers.iter().map(|number| outcomes.remove(number).unwrap_or(Outcome::Missing)).collect())
    }

    /// Understands dead letters of one source and queues at once what they ask for. Those that ask for nothing else are
    /// settled; the others wait for their barrier.
    async fn begin(
        &self,
        source: &SourcePlan,
        letters: Vec<KeptLetter>,
        barrier: &Barrier,
        outcomes: &mut HashMap<LetterNumber, Outcome>,
    ) -> Result<Option<Batch>, RunError> {
        let arrived = barrier.now();
        let lookup = routing::lookup(&self.index, source, Arc::clone(&self.graph), Some(ONCE_GIVES_UP_AFTER));
        let (mut entries, mut settled, mut keys, mut asking) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for letter in letters {
            let number = letter.row.number;
            let wishes = match self.understand(source, &letter).await? {
                Ok(wishes) => wishes,
                Err((code, reason)) => {
                    outcomes.insert(number, Outcome::Still { code, reason });
                    continue;
                }
            };
            if wishes.is_truncated {
                truncate::pause(&*self.index.ledger, &source.name, &letter.row.position).await?;
            }
            entries.extend(wishes.entries);
            if wishes.keys.is_empty() {
                outcomes.insert(number, Outcome::Replayed);
                settled.push(number);
            } else {
                asking.push((number, wishes.keys.iter().map(|key| key.id.clone()).collect()));
                keys.extend(wishes.keys);
            }
        }
        let queued = entries.iter().map(|entry| (Finder::Any, entry.id.clone())).collect();
        self.index.log.append(Append { entries, settled, ..Append::default() }).await?;
        if asking.is_empty() {
            return Ok(None);
        }
        let unanswered = HashMap::new();
        let mut batch = Batch { lookup, letters: asking, keys, arrived, queued, unanswered };
        // What there is no room for now, there is none for after the barrier either.
        self.look_up(&mut batch).await?;
        Ok(Some(batch))
    }

    /// Waits until no fetch that began before `mark` can be written any more, whichever process does it. One that has just
    /// started tells its deadline a second later.
    async fn pass(&self, barrier: &Barrier, longest: &AtomicU64, mark: Mark) -> Result<(), StateError> {
        loop {
            let known = u64::try_from(self.longest_wait().await?.as_millis()).unwrap_or(u64::MAX);
            if longest.fetch_max(known, Ordering::Relaxed) >= known {
                return Ok(());
            }
            barrier.passed(mark).await;
        }
    }

    /// Looks up again, and settles what was answered.
    async fn end(
        &self,
        mut batch: Batch,
        outcomes: &mut HashMap<LetterNumber, Outcome>,
    ) -> Result<(), RunError> {
        let wide = self.look_up(&mut batch).await?;
        wide.ask(&batch.lookup.source.name, &*self.index.ledger, &CancellationToken::new()).await?;
        let mut settled = Vec::new();
        for (number, keys) in batch.letters {
            let reason = keys.iter().find_map(|key| batch.unanswered.get(key));
            let outcome = if let Some(reason) = reason {
                Outcome::Still { code: codes::SS304, reason: reason.clone() }
            } else {
                settled.push(number);
                Outcome::Replayed
            };
            outcomes.insert(number, outcome);
        }
        Ok(self.index.log.append(Append { settled, ..Append::default() }).await?)
    }

    /// Looks up, and gives the keys that there is no room for.
    async fn look_up(&self, batch: &mut Batch) -> Result<Wide, RunError> {
        let given_up = batch.unanswered.keys().cloned().collect();
        let log = &*self.index.log;
        // A command that is interrupted simply ends, so nothing needs to stop it.
        let stop = CancellationToken::new();
        let skipped = (&given_up, &Wide::default());
        let LookedUp { unanswered, wide } =
            look_up(&batch.lookup, log, &batch.keys, skipped, &mut batch.queued, &stop).await?;
        batch.unanswered.extend(unanswered.into_iter().map(|unanswered| (unanswered.key, unanswered.reason)));
        Ok(wide)
    }

    /// What a dead letter asks for by the plan of now, or why that still can't be told.
    async fn understand(
        &self,
        source: &SourcePlan,
        letter: &KeptLetter,
    ) -> Result<Result<Wishes, Refused>, RunError> {
        let mut wishes = Wishes::default();
        // The event was understood then; a key of it was not answered.
        if letter.row.code == codes::SS304.id && letter.original.is_none() {
            let text = String::from_utf8_lossy(&letter.record);
            return Ok(match DocumentId::parse(source.id_kind, &text) {
                Ok(key) => {
                    wishes.keys.push(Key { id: key, lane: Lane::Live, event_at: None, revision: None });
                    Ok(wishes)
                }
                Err(error) => Err((codes::SS302, error.to_string())),
            });
        }
        let content = match &letter.original {
            Some(original) => self.decode(source, original).await?,
            None => line::parse(&letter.record),
        };
        let record = match content {
            Ok(record) => record,
            Err(_) if letter.may_be_cut() => {
                let reason = "only the first 64 KiB of its line are kept".to_owned();
                return Ok(Err((codes::SS330, reason)));
            }
            Err(bad) => return Ok(Err((bad.code, bad.reason))),
        };
        let filter = routing::condition(source)?;
        let added = wishes.add(source, self.index.plan.key.kind, filter.as_ref(), &record);
        Ok(added.map(|_| wishes).map_err(|error| (error.code(), error.to_string())))
    }

    async fn decode(
        &self,
        source: &SourcePlan,
        original: &Original,
    ) -> Result<Result<Record, BadRecord>, StateError> {
        let decoder = match &self.index.world {
            World::Embedded(_) => RecordDecoder::new(source.encoding, None),
            #[cfg(feature = "kafka")]
            World::Shared(log) => log.decoder(source),
            #[cfg(test)]
            World::Simulated(_) => RecordDecoder::new(source.encoding, None),
        };
        let headers: Vec<(&str, Option<&[u8]>)> =
            original.headers.iter().map(|(name, value)| (name.as_str(), value.as_deref())).collect();
        let raw = RawRecord {
            key: original.key.as_deref(),
            value: original.value.as_deref(),
            headers: &headers,
            timestamp: original.timestamp,
        };
        Ok(decoder.decode(&raw).await?)
    }
}

/// The outcome of a dead letter that is of no source of the plan.
fn sourceless(letter: &KeptLetter) -> Outcome {
    let reason = match letter.row.source.as_str() {
        "" => "it says nothing of a source: it was not written by studio-search".to_owned(),
        name if letter.row.code == SS603.id => {
            format!("{name} found no id in it; start a backfill again")
        }
        name => format!("the plan has no source {name:?} any more"),
    };
    Outcome::Still { code: codes::SS330, reason }
}

#[cfg(test)]
mod tests;
