//! An index with its processes, its graph, and ways between them that can be broken, round after round.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Write},
    net::TcpStream,
    ops::Range,
    sync::Arc,
    thread::{self, sleep},
    time::{Duration, Instant},
};

use harness::{
    difference::Difference,
    eventually,
    folder::{Folder, Running},
    graph::RealGraph,
    link::Link,
    openmetrics,
    push::Push,
    random::Random,
    storm::{Storm, Subjects},
};
use serde_json::json;

use super::fault::{self, Fault, Pace, Spell};

/// Generous, for two shared cores: what takes this long has stopped.
const SETTLES: Duration = Duration::from_mins(3);

/// The exit code of a command that can't reach a server.
const UNREACHABLE: i32 = 69;

/// The name of a link that leads to the process itself.
pub(super) const INBOX: &str = "inbox";

/// How long the graph is changed after the last fault is over.
const AFTERWARDS: Duration = Duration::from_millis(300);

/// A place for one process, with ways of its own to every server.
pub(super) struct Seat {
    /// In the order of the world's names of links.
    pub(super) links: Vec<Link>,
    /// What its process finds in its environment: where the links are.
    pub(super) variables: Vec<(&'static str, String)>,
    /// Nobody sits here while it is killed.
    pub(super) run: Option<Running>,
    /// Whether its process began in this round.
    pub(super) is_new: bool,
}

/// A source whose events are pushed to whoever sits on the only seat.
pub(super) struct Inbox {
    pub(super) source: String,
    pub(super) push: Push,
}

pub(super) struct World {
    pub(super) folder: Folder,
    pub(super) graph: Arc<RealGraph>,
    pub(super) subgraphs: BTreeMap<&'static str, Link>,
    pub(super) seats: Vec<Seat>,
    pub(super) inboxes: Vec<Inbox>,
    pub(super) pace: Pace,
    /// Between two changes of the graph.
    pub(super) pause: Duration,
}

/// What is remembered from round to round.
struct Memory {
    seed: u64,
    subjects: Subjects,
    /// The highest version that each document was seen with.
    versions: BTreeMap<String, u64>,
    /// How long each round took to converge.
    times: Vec<Duration>,
    /// In how many rounds a wide fan-out was on its way when the faults were over.
    fanned_out: usize,
}

impl World {
    /// Backfills, goes through these rounds, and tells of each. The index is provisioned; afterwards every process still runs.
    pub(super) fn goes_through(&mut self, rounds: Range<u64>, seed: u64, tell: impl Fn(&str)) {
        tell(&format!("KILLS_SEED={seed}"));
        for seat in 0..self.seats.len() {
            self.sit(seat);
            let run = self.settled(seat);
            self.seats[seat].run = Some(run);
        }
        self.folder.succeed(&["backfill", "start", "index.yaml"]);
        self.folder.settles_within(SETTLES);
        let mut memory = Memory {
            seed,
            subjects: Subjects::of(&self.graph),
            versions: BTreeMap::new(),
            times: Vec::new(),
            fanned_out: 0,
        };
        for round in rounds {
            tell(&self.round(round, &mut memory));
        }
        memory.times.sort();
        let longest = memory.times.last().copied().unwrap_or_default();
        let median = memory.times.get(memory.times.len() / 2).copied().unwrap_or_default();
        let rounds = memory.times.len();
        let fanned_out = memory.fanned_out;
        tell(&format!(
            "{rounds} rounds converged in {median:.1?} (p50), {longest:.1?} (max); wide fan-outs were on their way in {fanned_out}"
        ));
        assert!(fanned_out > 0, "no round had a wide fan-out");
        self.folder.succeed(&["audit", "index.yaml", "--full"]);
    }

    /// Faults in a storm, then calm, and the index must equal the graph. Gives what happened.
    fn round(&mut self, round: u64, memory: &mut Memory) -> String {
        let mut random = Random::new(memory.seed.wrapping_mul(1_000_003).wrapping_add(round));
        let logged = self.folder.log().len();
        let spells = fault::spells(&self.pace, &mut random);
        let told: Vec<String> = spells.iter().map(|spell| spell.told(self.pace.links).to_string()).collect();
        let about = format!("KILLS_SEED={} round {round}: {}", memory.seed, told.join(", "));
        let _said = OnPanic(&about);
        let storm = Storm::over(&self.graph, memory.subjects.clone(), random.below(u64::MAX), self.pause);
        if random.below(3) == 0 {
            self.folder.succeed(&["backfill", "start", "index.yaml"]);
        }
        self.suffer(&spells);
        sleep(AFTERWARDS);
        let (subjects, changes) = storm.calm();
        memory.subjects = subjects;
        memory.fanned_out += usize::from(self.folder.status()["fan_outs"] != json!([]));
        let start = Instant::now();
        self.is_quiet();
        let (took, wanted) = (start.elapsed(), self.graph.documents());
        let found = self.folder.exported_versions();
        let documents = found.iter().map(|(id, (_, document))| (id.clone(), document.clone())).collect();
        let difference = Difference::between(&documents, &wanted);
        if let Some(id) = difference.first() {
            panic!("{difference}\n{}", self.evidence(id, logged));
        }
        for (id, (version, _)) in found {
            let before = memory.versions.insert(id.clone(), version).unwrap_or(0);
            assert!(
                before <= version,
                "{id}: {before} went back to {version}\n{}",
                self.evidence(&id, logged)
            );
        }
        memory.times.push(took);
        format!(
            "round {round}: {}; {changes} changes, converged in {took:.1?}: {} documents, 0 lost, 0 stale, 0 ghosts",
            told.join(", "),
            wanted.len()
        )
    }

    /// Lets each fault begin and end at its time. All are over when this returns.
    fn suffer(&mut self, spells: &[Spell]) {
        let mut turns: Vec<(Duration, Fault, bool)> = Vec::new();
        for spell in spells {
            turns.push((spell.begins, spell.fault, true));
            turns.push((spell.ends, spell.fault, false));
        }
        turns.sort_by_key(|(at, ..)| *at);
        let start = Instant::now();
        for (at, fault, begins) in turns {
            sleep(at.saturating_sub(start.elapsed()));
            if begins {
                self.begin(fault);
            } else {
                self.end(fault);
            }
        }
    }

    fn begin(&mut self, fault: Fault) {
        match fault {
            Fault::Killed { seat } => self.seated(seat).kill(),
            Fault::Frozen { seat } => {
                let run = self.seated(seat);
                run.freeze();
                self.seats[seat].run = Some(run);
            }
            Fault::Broken { seat, link, how } => self.seats[seat].links[link].fail(how),
            Fault::Apart { subgraph, how } => self.subgraphs[subgraph].fail(how),
        }
    }

    fn end(&mut self, fault: Fault) {
        match fault {
            Fault::Killed { seat } => self.sit(seat),
            Fault::Frozen { seat } => self.seats[seat].run.as_ref().expect("it was frozen").thaw(),
            Fault::Broken { seat, link, .. } => self.seats[seat].links[link].mend(),
            Fault::Apart { subgraph, .. } => self.subgraphs[subgraph].mend(),
        }
    }

    /// The process of a seat, which nothing but a kill may end. One that began while a server was away may say so and go, as a
    /// command does: whoever watches over it starts it again.
    fn seated(&mut self, seat: usize) -> Running {
        loop {
            let mut run = self.seats[seat].run.take().expect("somebody sits there");
            match run.ended() {
                None => return run,
                Some(status) if status.code() == Some(UNREACHABLE) && self.seats[seat].is_new => {
                    self.sit(seat);
                }
                Some(status) => panic!("#{seat} ended by itself, with {status}:\n{}", self.folder.log()),
            }
        }
    }

    /// The process of a seat, once it works.
    fn settled(&mut self, seat: usize) -> Running {
        let start = Instant::now();
        loop {
            let run = self.seated(seat);
            if TcpStream::connect(run.address()).is_ok() {
                self.seats[seat].is_new = false;
                return run;
            }
            assert!(start.elapsed() < SETTLES, "#{seat} does not begin:\n{}", self.folder.log());
            self.seats[seat].run = Some(run);
            sleep(Duration::from_millis(100));
        }
    }

    fn sit(&mut self, seat: usize) {
        let run = self.folder.run_where(&self.seats[seat].variables);
        if let Some(inbox) = self.pace.links.iter().position(|name| *name == INBOX) {
            self.seats[seat].links[inbox].lead_to(run.address());
        }
        self.seats[seat].run = Some(run);
        self.seats[seat].is_new = true;
    }

    /// Waits until all that was told is routed, rebuilt and released.
    fn is_quiet(&mut self) {
        for seat in 0..self.seats.len() {
            let run = self.settled(seat);
            eventually(SETTLES, || {
                let waiting = self.inboxes.iter().find(|inbox| !inbox.is_empty(&run));
                waiting
                    .map_or(Ok(()), |inbox| Err(format!("{} is behind\n{}", inbox.source, self.folder.log())))
            });
            self.seats[seat].run = Some(run);
        }
        self.folder.settles_within(SETTLES);
    }

    /// What is known of a document that differs, and what was logged since this byte.
    fn evidence(&self, id: &str, since: usize) -> String {
        let trace = self.folder.output(&["trace", "index.yaml", id]);
        let trace = String::from_utf8_lossy(&trace.stdout);
        let log = fs::read(self.folder.path("run.log")).unwrap_or_default();
        let log = String::from_utf8_lossy(log.get(since..).unwrap_or_default());
        format!("{trace}\n{:#}\n{log}", self.folder.status())
    }

    /// Ends every process as an operator would.
    pub(super) fn ends(&mut self) {
        for seat in 0..self.seats.len() {
            let code = self.seated(seat).terminate();
            assert_eq!(code, Some(0), "SIGTERM drains and exits 0: {}", self.folder.log());
        }
    }
}

impl Inbox {
    /// Whether all is acknowledged, and nothing of it waits to be routed.
    fn is_empty(&self, run: &Running) -> bool {
        if !self.push.is_through() {
            return false;
        }
        let (_, text) = run.get("/metrics");
        openmetrics::value(&openmetrics::read(&text), "source_lag", &[("source", &self.source)]) == 0.0
    }
}

/// Says which round it was where anything in it fails.
struct OnPanic<'s>(&'s str);

impl Drop for OnPanic<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            let _ = writeln!(io::stderr(), "in {}", self.0);
        }
    }
}
