//! One fetch of an id at a time, and one more for whatever arrived meanwhile: the contract of Kubernetes' workqueue.
//!
//! An id is idle, queued, running, or running with entries waiting ("dirty"). A burst costs one fetch; an entry that
//! arrives while its id is being fetched costs one more and is never completed by the running one, which may have read the
//! graph before the change.

use std::{
    collections::{BTreeSet, HashMap, HashSet, VecDeque},
    time::Duration,
};

use plan::DocumentId;
use tokio::time::Instant;

use super::behind;
use crate::{
    log::{Cause, Ends, Entry, Lane, Logged},
    revision::Wants,
};

/// The shortest time between two fetch starts of one id. A hot id costs two fetches a second, however many events it gets;
/// longer would save fetches and cost freshness of ids that change all the time.
pub const REFETCH_INTERVAL: Duration = Duration::from_millis(500);

/// What an entry needs to be completed, without its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Waiting {
    /// The lane to complete it in.
    pub lane: Lane,
    /// Its partition there.
    pub partition: i32,
    /// Its position in the partition.
    pub position: i64,
    /// When the change happened.
    pub event_at: Option<i64>,
    /// Whether a backfill asked for it, by enumeration or by name.
    pub is_of_backfill: bool,
    /// Whether its event told of a deletion.
    pub deleted: bool,
    /// Whether it is of a live event that told no version, so that nobody can say whether an answer is as new.
    pub is_unversioned: bool,
    /// Whether somebody asked for it who may not believe what the index holds: anybody but an event.
    pub is_doubted: bool,
}

/// Ids that are to be fetched together. `alone` batches hold one id each.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The ids, each now running.
    pub ids: Vec<DocumentId>,
    /// The lane whose turn it was.
    pub lane: Lane,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing to do. Kept only until its refetch interval is over.
    Idle,
    /// In the queue of this lane, or cooling before it gets there.
    Queued(Turn),
    /// Being fetched.
    Running,
}

/// Which queue an id waits in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Turn {
    lane: Lane,
    alone: bool,
}

#[derive(Debug)]
struct Slot {
    phase: Phase,
    waiting: Vec<Waiting>,
    running: Vec<Waiting>,
    /// What the entries that wait, and those that run, want the document to show.
    wants: [Wants; 2],
    last_start: Option<Instant>,
    /// Answers in a row that were older than what is wanted.
    behind: u32,
    /// Not before this time, as the last answer was too old.
    until: Option<Instant>,
    strikes: Strikes,
}

impl Slot {
    /// When it may be fetched again.
    fn ready(&self) -> Option<Instant> {
        self.last_start.map(|start| start + REFETCH_INTERVAL).max(self.until)
    }
}

/// Indices into [`Slot::wants`].
const WAITING: usize = 0;
const RUNNING: usize = 1;

/// Failures of an id's requests that the gateway as a whole can't be blamed for.
#[derive(Debug, Clone, Copy, Default)]
struct Strikes {
    count: u32,
    /// How many requests had succeeded when it failed last.
    successes: Option<u64>,
}

/// How often an id is to blame for a failed request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Blame {
    /// In all, since it was answered last.
    pub count: u32,
    /// Whether this failure was counted.
    pub is_new: bool,
}

/// The state of every id that has something to do. Its owner bounds how many entries it lets in.
#[derive(Debug, Default)]
pub struct Coalescer {
    slots: HashMap<DocumentId, Slot>,
    /// By lane, then shared and alone. An id whose turn changed leaves a stale place behind, which `take` passes over.
    queues: [[VecDeque<DocumentId>; 2]; 2],
    /// Ids whose refetch interval ends at this time.
    cooling: BTreeSet<(Instant, DocumentId)>,
}

impl Coalescer {
    /// Takes an entry in. It will be completed by a fetch that starts after this call.
    pub fn arrive(&mut self, Logged { partition, position, entry }: Logged, now: Instant) {
        let is_of_backfill = entry.is_of_backfill();
        let Entry { id, lane, event_at, deleted, wants, cause } = entry;
        let slot = self.slots.entry(id.clone()).or_insert_with(|| Slot {
            phase: Phase::Idle,
            waiting: Vec::new(),
            running: Vec::new(),
            wants: Default::default(),
            last_start: None,
            behind: 0,
            until: None,
            strikes: Strikes::default(),
        });
        if cause == Cause::Replay {
            slot.behind = behind::TRIES; // it was tried so often before it was held, and is written as it is answered
        }
        let is_told = lane == Lane::Live && matches!(cause, Cause::Event | Cause::Lookup);
        let is_unversioned = is_told && wants.is_empty();
        slot.wants[WAITING].merge(wants);
        slot.waiting.push(Waiting {
            lane,
            partition,
            position,
            event_at,
            is_of_backfill,
            deleted,
            is_unversioned,
            is_doubted: !matches!(cause, Cause::Event | Cause::Lookup | Cause::Verification),
        });
        let turn = Turn { lane, alone: false };
        match slot.phase {
            Phase::Idle => self.enqueue(&id, turn, now),
            // A person waits for it now.
            Phase::Queued(Turn { lane: before, alone })
                if lane == Lane::Live && (before == Lane::Backfill || slot.until.is_some()) =>
            {
                if let Some(until) = slot.ready().filter(|_| slot.until.take().is_some()) {
                    self.cooling.remove(&(until, id.clone()));
                }
                self.enqueue(&id, Turn { alone, ..turn }, now);
            }
            Phase::Queued(_) | Phase::Running => {}
        }
    }

    /// Lets ids whose refetch interval is over be taken.
    pub fn wake(&mut self, now: Instant) {
        while self.cooling.first().is_some_and(|(at, _)| *at <= now)
            && let Some((_, id)) = self.cooling.pop_first()
        {
            let Some(slot) = self.slots.get_mut(&id) else { continue };
            match slot.phase {
                Phase::Idle => drop(self.slots.remove(&id)),
                Phase::Queued(turn) => {
                    slot.until = None;
                    self.queues[turn.lane.number()][usize::from(turn.alone)].push_back(id);
                }
                Phase::Running => {}
            }
        }
    }

    /// Takes at most `max` ids to be fetched together, of those that are awake, at most `backfill` of them where it is the backfill lane's turn.
    /// Live ids go first; ids that must go alone form batches of one.
    pub fn take(&mut self, max: usize, backfill: usize, now: Instant) -> Option<Batch> {
        for lane in Lane::ALL {
            let limit = if lane == Lane::Backfill { max.min(backfill) } else { max };
            for (alone, limit) in [(true, limit.min(1)), (false, limit)] {
                let turn = Turn { lane, alone };
                let mut ids = Vec::new();
                while ids.len() < limit
                    && let Some(id) = self.queues[lane.number()][usize::from(alone)].pop_front()
                {
                    if let Some(slot) =
                        self.slots.get_mut(&id).filter(|slot| slot.phase == Phase::Queued(turn))
                    {
                        slot.phase = Phase::Running;
                        slot.running = std::mem::take(&mut slot.waiting);
                        slot.wants[RUNNING] = std::mem::take(&mut slot.wants[WAITING]);
                        slot.last_start = Some(now);
                        ids.push(id);
                    }
                }
                if !ids.is_empty() {
                    return Some(Batch { ids, lane });
                }
            }
        }
        None
    }

    /// Ends the fetch of an id and gives the entries that it completes. What arrived meanwhile is queued again.
    pub fn finish(&mut self, id: &DocumentId, now: Instant) -> Vec<Waiting> {
        let Some(slot) = self.slots.get_mut(id) else { return Vec::new() };
        let completed = std::mem::take(&mut slot.running);
        slot.phase = Phase::Idle;
        slot.wants[RUNNING] = Wants::default();
        slot.behind = 0;
        slot.strikes = Strikes::default();
        match next_lane(&slot.waiting) {
            Some(lane) => self.enqueue(id, Turn { lane, alone: false }, now),
            None => self.forget_when_cool(id, now),
        }
        completed
    }

    /// Counts a failed request against an id. Only a failure after which others succeeded counts: while
    /// nobody is answered, nobody is to blame. `successes` is how many requests succeeded so far.
    pub fn strike(&mut self, id: &DocumentId, successes: u64) -> Blame {
        let Some(slot) = self.slots.get_mut(id) else { return Blame { count: 0, is_new: false } };
        let is_new = slot.strikes.successes.is_some_and(|before| before < successes);
        slot.strikes.count += u32::from(is_new);
        slot.strikes.successes = Some(successes);
        Blame { count: slot.strikes.count, is_new }
    }

    /// Ends the fetch of an id that said nothing about it. All its entries wait for another fetch.
    pub fn give_back(&mut self, id: &DocumentId, alone: bool, now: Instant) {
        self.wait_again(id, alone, None, now);
    }

    /// Ends the fetch of an id whose answer was older than what is wanted. Its entries wait for another fetch, which begins after
    /// a pause, or earlier where something live arrives.
    pub fn postpone(&mut self, id: &DocumentId, now: Instant) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let until = now + behind::pause_after(slot.behind);
        slot.behind += 1;
        slot.strikes = Strikes::default();
        self.wait_again(id, false, Some(until), now);
    }

    fn wait_again(&mut self, id: &DocumentId, alone: bool, until: Option<Instant>, now: Instant) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        let mut waiting = std::mem::take(&mut slot.running);
        waiting.append(&mut slot.waiting);
        let wants = std::mem::take(&mut slot.wants[RUNNING]);
        slot.wants[WAITING].merge(wants);
        slot.phase = Phase::Idle;
        slot.last_start = slot.last_start.filter(|_| until.is_some());
        slot.until = until;
        let lane = next_lane(&waiting).unwrap_or(Lane::Live);
        slot.waiting = waiting;
        self.enqueue(id, Turn { lane, alone }, now);
    }

    /// Gives up what backfills wait for up to these positions, and gives the entries that are complete by that. What else waits for
    /// such an id is fetched as before.
    pub fn drop_stopped(&mut self, stopped: &Ends) -> Vec<Waiting> {
        let is_dropped = |entry: &mut Waiting| {
            let through = stopped.get(&entry.partition);
            entry.is_of_backfill && through.is_some_and(|through| entry.position <= *through)
        };
        let mut dropped = Vec::new();
        for slot in self.slots.values_mut().filter(|slot| matches!(slot.phase, Phase::Queued(_))) {
            dropped.extend(slot.waiting.extract_if(.., is_dropped));
            if slot.waiting.is_empty() {
                // The stale place in its queue is passed over.
                slot.phase = Phase::Idle;
                slot.wants[WAITING] = Wants::default();
            }
        }
        let cooling: HashSet<&DocumentId> = self.cooling.iter().map(|(_, id)| id).collect();
        self.slots.retain(|id, slot| slot.phase != Phase::Idle || cooling.contains(id));
        dropped
    }

    /// What the running fetch of an id will complete.
    pub fn running(&self, id: &DocumentId) -> &[Waiting] {
        self.slots.get(id).map_or(&[], |slot| &slot.running)
    }

    /// What the document of a running fetch must show, and how many answers in a row did not.
    pub fn wanted(&self, id: &DocumentId) -> (Wants, u32) {
        self.slots.get(id).map_or_else(Default::default, |slot| (slot.wants[RUNNING].clone(), slot.behind))
    }

    /// When an id that is cooling can be taken.
    pub fn next_wake(&self) -> Option<Instant> {
        self.cooling.first().map(|(at, _)| *at)
    }

    fn enqueue(&mut self, id: &DocumentId, turn: Turn, now: Instant) {
        let Some(slot) = self.slots.get_mut(id) else { return };
        slot.phase = Phase::Queued(turn);
        match slot.ready().filter(|ready| *ready > now) {
            Some(cool) => drop(self.cooling.insert((cool, id.clone()))),
            None => self.queues[turn.lane.number()][usize::from(turn.alone)].push_back(id.clone()),
        }
    }

    fn forget_when_cool(&mut self, id: &DocumentId, now: Instant) {
        let cool = self.slots.get(id).and_then(|slot| slot.last_start).map(|start| start + REFETCH_INTERVAL);
        match cool.filter(|cool| *cool > now) {
            Some(cool) => drop(self.cooling.insert((cool, id.clone()))),
            None => drop(self.slots.remove(id)),
        }
    }
}

fn next_lane(waiting: &[Waiting]) -> Option<Lane> {
    waiting.iter().map(|entry| entry.lane).min()
}

#[cfg(test)]
mod tests {
    use plan::DocumentId;
    use proptest::prelude::*;

    use super::*;

    fn id(n: u8) -> DocumentId {
        DocumentId::new(format!("m{n}")).unwrap()
    }

    fn logged(position: i64, n: u8, lane: Lane) -> Logged {
        Logged { partition: 0, position, entry: Entry::new(id(n), lane, Cause::Event) }
    }

    #[test]
    fn a_burst_costs_one_fetch_and_what_arrives_meanwhile_one_more() {
        let (mut coalescer, start) = (Coalescer::default(), Instant::now());
        for position in 1..=100 {
            coalescer.arrive(logged(position, 1, Lane::Live), start);
        }
        assert_eq!(coalescer.take(25, 25, start).unwrap().ids, [id(1)]);
        coalescer.arrive(logged(101, 1, Lane::Live), start);
        assert_eq!(coalescer.take(25, 25, start), None, "one fetch of an id at a time");
        let completed = coalescer.finish(&id(1), start);
        assert_eq!(completed.len(), 100, "the running fetch never completes what arrived after it started");
        assert_eq!(coalescer.take(25, 25, start), None, "a hot id waits for its interval");
        let cool = start + REFETCH_INTERVAL;
        assert_eq!(coalescer.next_wake(), Some(cool));
        coalescer.wake(cool);
        assert_eq!(coalescer.take(25, 25, cool).unwrap().ids, [id(1)]);
        assert_eq!(coalescer.finish(&id(1), cool).len(), 1);
    }

    #[test]
    fn live_goes_first_and_lifts_what_a_backfill_queued() {
        let (mut coalescer, now) = (Coalescer::default(), Instant::now());
        for n in 1..=3 {
            coalescer.arrive(logged(i64::from(n), n, Lane::Backfill), now);
        }
        coalescer.arrive(logged(4, 3, Lane::Live), now);
        assert_eq!(coalescer.take(25, 25, now), Some(Batch { ids: vec![id(3)], lane: Lane::Live }));
        assert_eq!(coalescer.take(25, 0, now), None, "no budget, no backfill");
        assert_eq!(coalescer.take(25, 1, now), Some(Batch { ids: vec![id(1)], lane: Lane::Backfill }));
    }

    #[test]
    fn an_id_is_blamed_only_while_others_are_answered() {
        let (mut coalescer, now) = (Coalescer::default(), Instant::now());
        coalescer.arrive(logged(1, 1, Lane::Live), now);
        let blame = |count, is_new| Blame { count, is_new };
        for _ in 0..5 {
            assert_eq!(coalescer.strike(&id(1), 7), blame(0, false), "nobody is answered");
        }
        assert_eq!(coalescer.strike(&id(1), 8), blame(1, true));
        assert_eq!(coalescer.strike(&id(1), 8), blame(1, false));
        assert_eq!(coalescer.strike(&id(1), 9), blame(2, true));
        coalescer.take(1, 1, now);
        coalescer.finish(&id(1), now);
        assert_eq!(coalescer.strike(&id(1), 20), blame(0, false), "an answer forgives");
    }

    #[test]
    fn a_suspect_goes_alone() {
        let (mut coalescer, now) = (Coalescer::default(), Instant::now());
        for n in 1..=3 {
            coalescer.arrive(logged(i64::from(n), n, Lane::Live), now);
        }
        let batch = coalescer.take(25, 25, now).unwrap();
        batch.ids.iter().for_each(|id| coalescer.give_back(id, true, now));
        for n in 1..=3 {
            assert_eq!(coalescer.take(25, 25, now).unwrap().ids, [id(n)]);
        }
    }

    proptest! {
        /// Under any order of arrivals, fetches, failures and time: each entry is completed exactly once, by a fetch that
        /// started after it arrived, and no id is fetched twice at a time.
        #[test]
        fn every_entry_is_completed_once_by_a_later_fetch(steps in prop::collection::vec((0u8..6, 0u8..4, any::<bool>()), 1..300)) {
            let mut coalescer = Coalescer::default();
            let mut now = Instant::now();
            let mut arrived_before: HashMap<i64, u64> = HashMap::new(); // entry -> fetch starts of its id at arrival
            let mut starts: HashMap<DocumentId, u64> = HashMap::new();
            let mut running: Vec<DocumentId> = Vec::new();
            let mut open = 0usize;
            let mut position = 0;
            let settle = |coalescer: &mut Coalescer, id: &DocumentId, starts: &HashMap<DocumentId, u64>, arrived: &mut HashMap<i64, u64>, now| {
                let completed = coalescer.finish(id, now);
                for entry in &completed {
                    let before = arrived.remove(&entry.position).expect("completed once");
                    assert!(starts[id] > before, "completed by a fetch that had already started");
                }
                completed.len()
            };
            for (what, n, flag) in steps {
                match what {
                    0 | 1 => {
                        position += 1;
                        open += 1;
                        arrived_before.insert(position, starts.get(&id(n)).copied().unwrap_or(0));
                        coalescer.arrive(logged(position, n, if flag { Lane::Live } else { Lane::Backfill }), now);
                    }
                    2 => {
                        coalescer.wake(now);
                        if let Some(batch) = coalescer.take(2, 2, now) {
                        for id in batch.ids {
                            prop_assert!(!running.contains(&id));
                            *starts.entry(id.clone()).or_default() += 1;
                            running.push(id);
                        }
                        }
                    }
                    3 if !running.is_empty() => {
                        let id = running.swap_remove(usize::from(n) % running.len());
                        open -= settle(&mut coalescer, &id, &starts, &mut arrived_before, now);
                    }
                    4 if !running.is_empty() => {
                        let id = running.swap_remove(usize::from(n) % running.len());
                        if flag { coalescer.postpone(&id, now) } else { coalescer.give_back(&id, n > 1, now) }
                    }
                    _ => now += Duration::from_millis(200),
                }
            }
            while open > 0 {
                now += behind::pause_after(behind::TRIES);
                for id in running.drain(..) {
                    open -= settle(&mut coalescer, &id, &starts, &mut arrived_before, now);
                }
                coalescer.wake(now);
                while let Some(batch) = coalescer.take(2, 2, now) {
                    for id in batch.ids {
                        *starts.entry(id.clone()).or_default() += 1;
                        running.push(id);
                    }
                }
                prop_assert!(!running.is_empty() || open == 0, "an entry was lost");
            }
        }
    }
}
