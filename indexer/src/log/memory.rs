//! The reindex log in memory, with several partitions and several owners, for tests and simulations.
//!
//! Ownership moves as in a consumer group that rebalances eagerly: all shares are handed out anew at once, and whoever still
//! works under an older one is fenced. Every entry is kept for as long as the log lives.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;

use super::{
    Append, DeadLetterRow, Ends, Entry, KeptLetter, Lane, LetterNumber, Logged, Ownership, ReindexLog, Tenure,
};
use crate::{StateError, now_ms, source::Position, store::Document};

/// Shares that a member was given and didn't take up yet, at most: each but the last is fenced already.
const WAITING_SHARES: usize = 64;

/// The position before the first entry of a partition.
const BEFORE_ALL: i64 = -1;

/// The log. Clones are the connections of several processes to one log.
#[derive(Debug, Clone)]
pub struct MemoryLog(Arc<Mutex<Kept>>);

#[derive(Debug)]
struct Kept {
    /// The partitions of both lanes.
    lanes: [Vec<Partition>; 2],
    progress: BTreeMap<String, Position>,
    /// The oldest first.
    /// Those that nothing has settled.
    dead_letters: Vec<KeptLetter>,
    /// How many there ever were.
    letters: i64,
    /// Counts rebalances; a tenure of another generation is fenced.
    generation: u64,
    /// The tenures of this generation.
    tenures: Vec<Arc<MemoryTenure>>,
}

/// The entries of one partition, each at its index as position.
#[derive(Debug)]
struct Partition {
    entries: Vec<Entry>,
    committed: i64,
}

impl Partition {
    fn new() -> Self {
        Self { entries: Vec::new(), committed: BEFORE_ALL }
    }

    fn end(&self) -> i64 {
        position(self.entries.len()) - 1
    }
}

impl MemoryLog {
    /// An empty log with so many partitions, at least one, that nobody owns.
    pub fn new(partitions: usize) -> Self {
        let lane = || (0..partitions.max(1)).map(|_| Partition::new()).collect();
        Self(Arc::new(Mutex::new(Kept {
            lanes: [lane(), lane()],
            progress: BTreeMap::new(),
            dead_letters: Vec::new(),
            letters: 0,
            generation: 0,
            tenures: Vec::new(),
        })))
    }

    /// Hands all shares out anew, one tenure for each list of partitions. Every older tenure is revoked, and fenced at once:
    /// so it goes for processes that don't answer in time.
    pub fn rebalance(&self, shares: &[&[i32]]) -> Vec<Arc<MemoryTenure>> {
        let mut kept = self.kept();
        kept.generation += 1;
        kept.tenures.iter().for_each(|tenure| tenure.revoked.cancel());
        let tenure = |partitions: &&[i32]| {
            let committed = Lane::ALL.map(|lane| kept.committed(lane, partitions));
            Arc::new(MemoryTenure {
                log: self.clone(),
                generation: kept.generation,
                partitions: partitions.to_vec(),
                read: Mutex::new(committed.clone()),
                committed,
                appended: Notify::new(),
                revoked: CancellationToken::new(),
            })
        };
        let tenures: Vec<Arc<MemoryTenure>> = shares.iter().map(tenure).collect();
        kept.tenures.clone_from(&tenures);
        tenures
    }

    /// Asks all shares back, and leaves them their owners: who ends in time, before the next rebalance, commits what it did.
    pub fn ask_back(&self) {
        self.kept().tenures.iter().for_each(|tenure| tenure.revoked.cancel());
    }

    /// A process that takes part, and the way to give it shares.
    pub fn member() -> (mpsc::Sender<Arc<MemoryTenure>>, Member) {
        let (give, shares) = mpsc::channel(WAITING_SHARES);
        (give, Member(shares))
    }

    /// The partition of an id, the same in both lanes.
    pub fn partition_of(&self, entry: &Entry) -> i32 {
        self.kept().partition_of(entry)
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        // What is done under the lock doesn't panic.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    fn partition_of(&self, entry: &Entry) -> i32 {
        let mut hasher = DefaultHasher::new();
        entry.id.hash(&mut hasher);
        let partitions = self.lanes[0].len() as u64;
        i32::try_from(hasher.finish() % partitions).expect("a log has few partitions")
    }

    fn numbered(&self, lane: Lane) -> impl Iterator<Item = (i32, &Partition)> {
        (0..).zip(&self.lanes[lane.number()])
    }

    fn committed(&self, lane: Lane, of: &[i32]) -> Ends {
        let own = self.numbered(lane).filter(|(number, _)| of.contains(number));
        own.map(|(number, partition)| (number, partition.committed)).collect()
    }
}

#[async_trait]
impl ReindexLog for MemoryLog {
    async fn append(&self, append: Append) -> Result<(), StateError> {
        let mut kept = self.kept();
        for entry in append.entries {
            let partition = usize::try_from(kept.partition_of(&entry)).expect("partitions count from 0");
            kept.lanes[entry.lane.number()][partition].entries.push(entry);
        }
        for letter in append.dead_letters {
            kept.letters += 1;
            let row = DeadLetterRow {
                number: LetterNumber::of_row(kept.letters),
                source: letter.source,
                position: letter.position,
                code: letter.code.id.to_owned(),
                reason: letter.reason,
                at: now_ms(),
            };
            kept.dead_letters.push(KeptLetter { row, record: letter.record, original: letter.original });
        }
        kept.dead_letters.retain(|letter| !append.settled.contains(&letter.row.number));
        if let Some(progress) = append.progress {
            kept.progress.insert(progress.source, progress.position);
        }
        kept.tenures.iter().for_each(|tenure| tenure.appended.notify_one());
        Ok(())
    }

    async fn ends(&self, lane: Lane) -> Result<Ends, StateError> {
        Ok(self.kept().numbered(lane).map(|(number, partition)| (number, partition.end())).collect())
    }

    async fn lag(&self, lane: Lane) -> Result<u64, StateError> {
        let ends = self.ends(lane).await?;
        self.lag_through(lane, &ends).await
    }

    async fn lag_through(&self, lane: Lane, through: &Ends) -> Result<u64, StateError> {
        let kept = self.kept();
        let behind = kept.numbered(lane).map(|(number, partition)| {
            let end = through.get(&number).copied().unwrap_or(BEFORE_ALL).min(partition.end());
            u64::try_from(end - partition.committed).unwrap_or(0)
        });
        Ok(behind.sum())
    }

    async fn source_progress(&self, source: &str) -> Result<Option<Position>, StateError> {
        Ok(self.kept().progress.get(source).cloned())
    }

    async fn dead_letters(&self, limit: usize) -> Result<Vec<DeadLetterRow>, StateError> {
        Ok(self.kept().dead_letters.iter().rev().take(limit).map(|letter| letter.row.clone()).collect())
    }

    async fn read_dead_letters(&self, numbers: &[LetterNumber]) -> Result<Vec<KeptLetter>, StateError> {
        let kept = self.kept();
        let wanted = kept.dead_letters.iter().filter(|letter| numbers.contains(&letter.row.number));
        Ok(wanted.cloned().collect())
    }

    async fn dead_letter_count(&self) -> Result<u64, StateError> {
        Ok(self.kept().dead_letters.len() as u64)
    }
}

/// Some partitions of the log, until the next rebalance.
#[derive(Debug)]
pub struct MemoryTenure {
    log: MemoryLog,
    generation: u64,
    partitions: Vec<i32>,
    committed: [Ends; 2],
    read: Mutex<[Ends; 2]>,
    appended: Notify,
    revoked: CancellationToken,
}

impl MemoryTenure {
    /// The log, while the share is still this tenure's.
    fn own(&self) -> Result<MutexGuard<'_, Kept>, StateError> {
        let kept = self.log.kept();
        if kept.generation == self.generation {
            Ok(kept)
        } else {
            Err(StateError::Fenced("the log in memory".to_owned()))
        }
    }
}

#[async_trait]
impl Tenure for MemoryTenure {
    async fn prove(&self) -> Result<(), StateError> {
        self.own().map(drop)
    }

    fn is_executor(&self) -> bool {
        self.partitions.contains(&0)
    }

    async fn committed(&self, lane: Lane) -> Result<Ends, StateError> {
        Ok(self.committed[lane.number()].clone())
    }

    async fn read(&self, lane: Lane, limit: usize) -> Result<Vec<Logged>, StateError> {
        let kept = self.own()?;
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let mut page = Vec::new();
        for (number, partition) in kept.numbered(lane) {
            let Some(last) = read[lane.number()].get_mut(&number) else { continue };
            let next = usize::try_from(*last + 1).expect("positions count from 0");
            let entries = (*last + 1..).zip(&partition.entries[next..]);
            let fresh: Vec<Logged> = entries
                .take(limit - page.len())
                .map(|(position, entry)| Logged { partition: number, position, entry: entry.clone() })
                .collect();
            *last = fresh.last().map_or(*last, |logged| logged.position);
            page.extend(fresh);
        }
        Ok(page)
    }

    async fn appended(&self) {
        self.appended.notified().await;
    }

    /// The store in memory is the documents log as well; only who owns the share may append to it.
    async fn append(&self, _query: &str, documents: &[Document]) -> Result<Vec<Option<String>>, StateError> {
        self.own().map(|_| vec![None; documents.len()])
    }

    async fn commit(&self, lane: Lane, through: &Ends) -> Result<(), StateError> {
        let mut kept = self.own()?;
        for (number, partition) in (0..).zip(&mut kept.lanes[lane.number()]) {
            if let Some(through) = through.get(&number).filter(|_| self.partitions.contains(&number)) {
                partition.committed = partition.committed.max(*through);
            }
        }
        Ok(())
    }

    fn take_loss(&self) -> Option<String> {
        None
    }

    fn revoked(&self) -> &CancellationToken {
        &self.revoked
    }

    fn release(&self) {}
}

/// A process that takes part in the log: it works on the shares that it is given, one after another.
#[derive(Debug)]
pub struct Member(mpsc::Receiver<Arc<MemoryTenure>>);

#[async_trait]
impl Ownership for Member {
    async fn next_tenure(&mut self, stop: &CancellationToken) -> Result<Option<Arc<dyn Tenure>>, StateError> {
        let share = tokio::select! {
            biased;
            () = stop.cancelled() => None,
            share = self.0.recv() => share,
        };
        Ok(share.map(|share| share as Arc<dyn Tenure>))
    }
}

fn position(count: usize) -> i64 {
    i64::try_from(count).expect("fewer entries than 2^63")
}

#[cfg(test)]
mod tests {
    use plan::{DocumentId, code::kafka::SS304};

    use super::*;
    use crate::log::{Cause, DeadLetter, Progress};

    fn entries(ids: &[&str]) -> Append {
        let entry = |id: &&str| Entry::new(DocumentId::new(*id).unwrap(), Lane::Live, Cause::Event);
        Append { entries: ids.iter().map(entry).collect(), ..Append::default() }
    }

    #[tokio::test]
    async fn a_share_is_read_on_from_what_was_committed() {
        let log = MemoryLog::new(2);
        log.append(entries(&["a", "b", "c", "d", "e", "f", "g", "h"])).await.unwrap();
        let shares = log.rebalance(&[&[0], &[1]]);
        let mut read = Vec::new();
        for (share, partition) in shares.iter().zip(0..) {
            let page = share.read(Lane::Live, 100).await.unwrap();
            assert!(page.iter().all(|logged| logged.partition == log.partition_of(&logged.entry)));
            assert!(page.iter().map(|logged| logged.position).eq(0..position(page.len())));
            assert!(page.len() > 1 && page.iter().all(|logged| logged.partition == partition));
            assert_eq!(share.read(Lane::Live, 100).await.unwrap(), []);
            share.commit(Lane::Live, &[(0, 0), (1, 0)].into()).await.unwrap();
            read.extend(page);
        }
        assert_eq!((read.len(), log.lag(Lane::Live).await.unwrap()), (8, 6), "each commits what is its own");
        let whole = log.rebalance(&[&[0, 1]]).remove(0);
        let fenced = shares[0].commit(Lane::Live, &log.ends(Lane::Live).await.unwrap()).await;
        assert!(matches!(fenced, Err(StateError::Fenced(_))));
        assert_eq!(whole.committed(Lane::Live).await.unwrap(), Ends::from([(0, 0), (1, 0)]));
        let (one, rest) =
            (whole.read(Lane::Live, 1).await.unwrap(), whole.read(Lane::Live, 100).await.unwrap());
        assert_eq!((one.len(), rest.len()), (1, 5));
        whole.commit(Lane::Live, &log.ends(Lane::Live).await.unwrap()).await.unwrap();
        assert_eq!(log.lag(Lane::Live).await.unwrap(), 0);
    }

    #[tokio::test]
    async fn a_member_works_on_its_shares_until_it_is_stopped() {
        let (log, stop) = (MemoryLog::new(1), CancellationToken::new());
        let (give, mut member) = MemoryLog::member();
        give.send(log.rebalance(&[&[0]]).remove(0)).await.unwrap();
        let share = member.next_tenure(&stop).await.unwrap().unwrap();
        log.append(entries(&["a"])).await.unwrap();
        share.appended().await;
        assert!(share.is_executor() && share.prove().await.is_ok());
        stop.cancel();
        assert!(member.next_tenure(&stop).await.unwrap().is_none());
    }

    #[tokio::test]
    async fn what_sources_did_is_kept() {
        let log = MemoryLog::new(3);
        for number in 1..=3 {
            let letter = DeadLetter {
                source: "movies".to_owned(),
                position: number.to_string(),
                code: SS304,
                reason: "no key".to_owned(),
                record: Vec::new(),
                original: None,
            };
            let progress = Progress { source: "movies".to_owned(), position: Position::new(number, None) };
            let append = Append { dead_letters: vec![letter], progress: Some(progress), ..Append::default() };
            log.append(append).await.unwrap();
        }
        assert_eq!(log.source_position("movies").await.unwrap(), Some(3));
        assert_eq!(log.source_position("talent").await.unwrap(), None);
        let newest: Vec<i64> =
            log.dead_letters(2).await.unwrap().iter().map(|row| row.number.number).collect();
        assert_eq!((newest, log.dead_letter_count().await.unwrap()), (vec![3, 2], 3));
    }
}
