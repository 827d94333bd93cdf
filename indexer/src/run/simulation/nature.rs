//! What happens in one case: the graph changes, services fail, processes die, sleep, wake and come back, backfills start.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, PoisonError},
    time::Duration,
};

use plan::DocumentId;
use serde_json::Value;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep},
};
use tokio_util::sync::CancellationToken;

use super::{
    freezer::Freezer,
    movies::shown_by,
    seat::{Giver, Seat, SourceShare},
    servers::{gateway::Gateway, log::TenureClient},
    truth::Told,
    versions::Swaps,
    witness::Figures,
    world::{Failure, Weather, World},
};
use crate::{
    Endpoints,
    endpoints::{GraphEndpoint, Place},
    ledger::{BackfillIds, Ledger as _, figures::Meter},
    log::ReindexLog as _,
    run::{Process, RunEnd, RunError, RunOptions},
};

/// What happens in a case before everything heals.
const HAPPENINGS: usize = 60;

/// How long nothing happens now and then.
const LULL: Duration = Duration::from_secs(8);

/// How long everything may take to become true once all is well.
const PATIENCE: Duration = Duration::from_mins(10);

/// When somebody looks again whether a version waits for a backfill.
const REFILL: Duration = Duration::from_mins(1);

const MOVIES: [&str; 6] = ["m0", "m1", "m2", "m3", "m4", "m5"];
const PEOPLE: [&str; 3] = ["p0", "p1", "p2"];
const PRODUCTIONS: [&str; 4] = ["x0", "x1", "x2", "x3"];
const TALENTS: [&str; 4] = ["t0", "t1", "t2", "t3"];
const SUBGRAPHS: [&str; 4] = ["movies", "people", "productions", "talent"];

/// A process that was not killed.
struct Alive {
    freezer: Freezer,
    seat: Seat,
    giver: Giver,
    stop: CancellationToken,
    task: JoinHandle<Result<RunEnd, RunError>>,
    /// Until when it stands still.
    frozen_until: Option<Instant>,
    /// Whether its generation was given a share.
    is_at_work: bool,
    /// How many generations of it were seen.
    generations: usize,
}

/// Makes things happen.
pub(super) struct Nature {
    world: Arc<World>,
    alive: Vec<Alive>,
    sources_revoked: CancellationToken,
    /// When the group looks who is there.
    rebalance_at: Option<Instant>,
    /// What each process that ever was has counted.
    meters: Vec<Arc<Meter>>,
    /// When a process comes in the place of one that died.
    births: Vec<Instant>,
    /// How often processes die, sleep and rebalance.
    unrest: f64,
    swaps: Swaps,
}

impl Nature {
    /// Runs one case to its end.
    pub(super) async fn run(world: Arc<World>) -> Result<Figures, String> {
        let mut nature = Self {
            alive: Vec::new(),
            sources_revoked: CancellationToken::new(),
            rebalance_at: None,
            births: Vec::new(),
            meters: Vec::new(),
            unrest: world.dice.one_of(&[0.0, 0.0, 0.3, 1.0]),
            swaps: Swaps::new(&world),
            world,
        };
        nature.give_birth().await;
        if nature.world.is_shared {
            nature.give_birth().await;
        }
        nature.rebalance().await;
        nature.turn_weather();
        for _ in 0..HAPPENINGS {
            let pause = if nature.world.dice.says(0.6) { 0..80 } else { 0..1_500 };
            nature.world.pause(pause).await;
            nature.something_happens().await;
            nature.what_is_due().await;
            nature.no_rule_is_broken().await?;
        }
        nature.heal();
        nature.swaps.fill().await;
        let healed = Instant::now();
        let mut filled = healed;
        while !nature.is_true().await {
            if healed.elapsed() > PATIENCE {
                return Err(nature.untruth().await);
            }
            // A promotion that came last may have made the query of a version another one than the served one's.
            if filled.elapsed() > REFILL {
                filled = Instant::now();
                nature.swaps.fill().await;
            }
            sleep(Duration::from_millis(250)).await;
            nature.what_is_due().await;
            nature.no_rule_is_broken().await?;
        }
        let (world, meters) = (Arc::clone(&nature.world), nature.meters.clone());
        nature.end().await?;
        let mut figures = world.witness().figures;
        let unchanged = |meter: &Arc<Meter>| meter.figures("", 0, [0; 2]).unchanged;
        figures.unchanged = meters.iter().map(unchanged).sum();
        figures.fan_outs = world.ledger.fan_out_runs();
        Ok(figures)
    }

    async fn something_happens(&mut self) {
        let world = Arc::clone(&self.world);
        let dice = &world.dice;
        match dice.below(100) {
            // In some cases processes live in peace, so that what takes long is seen to its end.
            80..95 if !dice.says(self.unrest) => self.change(),
            0..48 => self.change(),
            48..54 => self.swaps.go_on().await,
            54..62 => self.race().await,
            62..66 => self.heat().await,
            66..76 => self.turn_weather(),
            76..80 => {
                let ids = match dice.says(0.5) {
                    true => {
                        // Nobody hears of it: whatever this leaves behind, the backfill has to find.
                        let unheard = dice.says(0.5).then(|| dice.one_of(&MOVIES));
                        unheard.map(|movie| world.truth().remove_movie(movie));
                        BackfillIds::Enumerated
                    }
                    false => BackfillIds::Given(
                        MOVIES.iter().map(|id| DocumentId::new(*id).expect("an id")).collect(),
                    ),
                };
                world.ledger.start_backfill(ids).await.expect("memory");
            }
            80..85 => self.kill(),
            85..91 => self.freeze(),
            91..94 if world.is_shared && self.alive.len() < 3 => self.births.push(Instant::now()),
            94..95 => self.rebalance_at = Some(Instant::now()),
            // Long enough that all that is under way may end, and be seen as it is.
            _ => sleep(LULL).await,
        }
    }

    fn change(&self) {
        let dice = &self.world.dice;
        let told = {
            let mut truth = self.world.truth();
            match dice.below(20) {
                0..6 => {
                    let director = dice.says(0.8).then(|| dice.one_of(&PEOPLE));
                    Some(truth.put_movie(dice.one_of(&MOVIES), director))
                }
                6 => truth.remove_movie(dice.one_of(&MOVIES)),
                7..10 => truth.tell_movie(dice.one_of(&MOVIES), dice.says(0.6)),
                10..13 => Some(truth.put_person(dice.one_of(&PEOPLE))),
                13..16 => Some(truth.put_production(dice.one_of(&PRODUCTIONS), dice.one_of(&MOVIES))),
                16 => truth.remove_production(dice.one_of(&PRODUCTIONS)),
                _ => {
                    let movies: BTreeSet<String> =
                        MOVIES.iter().filter(|_| dice.says(0.3)).map(|movie| (*movie).to_owned()).collect();
                    Some(truth.put_talent(dice.one_of(&TALENTS), movies))
                }
            }
        };
        told.into_iter().for_each(|told| self.tell(&told));
    }

    /// The race that reverse lookups are about: a person is renamed while a movie is fetched that has just got them.
    async fn race(&self) {
        let dice = &self.world.dice;
        let (movie, person) = (dice.one_of(&MOVIES), dice.one_of(&PEOPLE));
        let told = self.world.truth().put_movie(movie, Some(person));
        self.tell(&told);
        self.world.pause(50..1_200).await;
        let told = self.world.truth().put_person(person);
        self.tell(&told);
    }

    /// A talent who acts everywhere changes again and again.
    async fn heat(&self) {
        let dice = &self.world.dice;
        let talent = dice.one_of(&TALENTS);
        for _ in 0..dice.below(5) + 2 {
            let movies = MOVIES.iter().map(|movie| (*movie).to_owned()).collect();
            let told = self.world.truth().put_talent(talent, movies);
            self.tell(&told);
            self.world.pause(0..900).await;
        }
    }

    /// The source tells of a change, at least once.
    fn tell(&self, Told { source, event }: &Told) {
        let dice = &self.world.dice;
        let times = if dice.says(0.1) { 2 } else { 1 };
        for _ in 0..times {
            self.world.witness().figures.events += 1;
            self.world.events.tell(source, event.to_string(), dice.millis(0..200));
        }
    }

    fn turn_weather(&self) {
        let dice = &self.world.dice;
        let mut down = BTreeMap::new();
        if dice.says(0.6) {
            let failure = dice.one_of(&[Failure::Field, Failure::Root, Failure::Answer, Failure::Redacted]);
            down.insert(dice.one_of(&SUBGRAPHS), failure);
        }
        let often = |probability, value| if dice.says(probability) { value } else { 0.0 };
        let weather = Weather {
            down,
            gateway: often(0.3, 0.3),
            store: often(0.7, 0.5),
            ledger: often(0.5, 0.2),
            slow: often(0.7, 0.3),
        };
        weather.down.keys().for_each(|subgraph| self.world.witness().is_down(subgraph));
        *self.world.weather() = weather;
    }

    fn kill(&mut self) {
        if self.alive.is_empty() {
            return;
        }
        let victim = self.alive.swap_remove(self.world.dice.below(self.alive.len()));
        victim.freezer.freeze();
        self.world.witness().interrupts();
        self.world.witness().figures.crashes += 1;
        let now = Instant::now();
        self.births.push(now + self.world.dice.millis(0..4_000));
        self.rebalance_at.get_or_insert(now + self.world.dice.millis(500..5_000));
    }

    /// A process stands still for a while. Others take its shares over, if it is for long.
    fn freeze(&mut self) {
        if self.alive.is_empty() {
            return;
        }
        let dice = &self.world.dice;
        let at = dice.below(self.alive.len());
        let sleeper = &mut self.alive[at];
        let until = Instant::now() + dice.millis(200..12_000);
        sleeper.freezer.freeze();
        self.world.witness().interrupts();
        sleeper.frozen_until = Some(until);
        if self.world.is_shared && dice.says(0.7) {
            self.world.witness().figures.zombies += 1;
            self.rebalance_at.get_or_insert(Instant::now() + dice.millis(200..4_000));
        }
    }

    /// Wakes, births and rebalances whose time has come.
    async fn what_is_due(&mut self) {
        let now = Instant::now();
        for process in &mut self.alive {
            if process.frozen_until.is_some_and(|until| until <= now) {
                process.frozen_until = None;
                process.freezer.thaw();
                // Whoever was left out joins again.
                self.rebalance_at.get_or_insert(now + self.world.dice.millis(0..2_000));
            }
        }
        for process in &mut self.alive {
            // Whoever begins anew joins again.
            if process.seat.generations() > process.generations {
                process.generations = process.seat.generations();
                process.is_at_work = false;
                self.rebalance_at.get_or_insert(now + self.world.dice.millis(0..2_000));
            }
        }
        let born = self.births.extract_if(.., |at| *at <= now).count();
        for _ in 0..born {
            self.give_birth().await;
            self.rebalance_at.get_or_insert(now + self.world.dice.millis(0..1_000));
        }
        if self.rebalance_at.is_some_and(|at| at <= now) {
            self.rebalance_at = None;
            self.rebalance().await;
        }
    }

    async fn give_birth(&mut self) {
        let world = &self.world;
        let skew = i64::try_from(world.dice.below(4_000)).expect("small");
        let (seat, giver) = Seat::new(world, skew);
        let Ok(index) = seat.open().await else {
            // It is begun again, as whoever watches over processes does.
            self.births.push(Instant::now() + world.dice.millis(0..1_000));
            return;
        };
        let process =
            Process::new(index, endpoints(), Arc::new(Gateway(Arc::clone(world)))).expect("a process");
        let freezer = process.heartbeats.freezer.clone();
        self.meters.push(Arc::clone(&process.meter));
        let stop = CancellationToken::new();
        let running = process.run(RunOptions::default(), stop.clone());
        let task = tokio::spawn(freezer.clone().gate(running));
        self.alive.push(Alive {
            freezer,
            seat,
            giver,
            stop,
            task,
            frozen_until: None,
            is_at_work: false,
            generations: 1,
        });
    }

    /// Asks everything back and hands it out anew among those who answer.
    async fn rebalance(&mut self) {
        let world = Arc::clone(&self.world);
        let dice = &world.dice;
        // Whoever has all to itself keeps it while it lives.
        if !world.is_shared && self.alive.iter().any(|process| process.is_at_work) {
            return;
        }
        self.sources_revoked.cancel();
        if world.is_shared {
            world.log.ask_back();
            sleep(dice.millis(0..3_000)).await;
        }
        let awake = self.alive.iter_mut().filter(|process| process.frozen_until.is_none());
        let mut awake: Vec<&mut Alive> = awake.collect();
        if awake.is_empty() {
            return;
        }
        let partitions = i32::try_from(world.log.ends(crate::log::Lane::Live).await.expect("memory").len());
        let mut shares: Vec<Vec<i32>> = vec![Vec::new(); awake.len()];
        for partition in 0..partitions.expect("few") {
            shares[dice.below(awake.len())].push(partition);
        }
        let slices: Vec<&[i32]> = shares.iter().map(Vec::as_slice).collect();
        for (process, tenure) in awake.iter_mut().zip(world.log.rebalance(&slices)) {
            process.is_at_work = true;
            // Who has just ended takes no more.
            let _ = process.giver.tenures.send(Arc::new(TenureClient::new(&world, tenure)));
        }
        let generation = {
            let mut generation = world.source_generation.lock().unwrap_or_else(PoisonError::into_inner);
            *generation += 1;
            *generation
        };
        self.sources_revoked = CancellationToken::new();
        let mut names: Vec<Vec<String>> = vec![Vec::new(); awake.len()];
        for source in &world.plan.sources {
            names[dice.below(awake.len())].push(source.name.clone());
        }
        for (process, names) in awake.iter().zip(names) {
            let share = SourceShare { names, generation, revoked: self.sources_revoked.clone() };
            let _ = process.giver.sources.send(share);
        }
    }

    async fn no_rule_is_broken(&self) -> Result<(), String> {
        if self.alive.iter().any(|process| process.task.is_finished()) {
            return Err("a process ended by itself".to_owned());
        }
        for held in self.world.ledger.held(None, 100).await.expect("memory") {
            self.world.witness().held(&held.id, held.subgraph.as_deref());
        }
        if let Some(broken) = self.world.witness().verdict() {
            return Err(broken.to_owned());
        }
        self.swaps.are_unnoticed().await;
        // Whenever nothing is left to be done, the index equals the graph, and not only at the end.
        if self.world.is_quiet().await && !self.differences().await.is_empty() {
            return Err(self.untruth().await);
        }
        Ok(())
    }

    /// Everything is well from now on.
    fn heal(&mut self) {
        *self.world.weather() = Weather::default();
        let now = Instant::now();
        for process in &mut self.alive {
            process.frozen_until = process.frozen_until.map(|_| now);
        }
        self.births.iter_mut().for_each(|at| *at = now);
        self.rebalance_at.get_or_insert(now);
    }

    /// Whether everything is done, and what is found is what is true.
    async fn is_true(&self) -> bool {
        self.world.is_quiet().await && self.swaps.are_done().await && self.differences().await.is_empty()
    }

    /// What the versions that are whole hold that is not true, but for what they are known to lack.
    async fn differences(&self) -> Vec<String> {
        let wanted = self.world.truth().documents();
        let mut differences = Vec::new();
        for (number, documents, lacks) in self.swaps.whole().await {
            let show =
                |(id, movie): (&String, &Value)| (id.clone(), shown_by(&documents.plan, movie.clone()));
            let mut wanted: BTreeMap<String, Value> = wanted.iter().map(show).collect();
            let mut told = |id: &str, what: String| {
                if !lacks.contains(id) {
                    differences.push(format!("{id} {what} in version {number}"));
                }
            };
            for document in documents.all().await {
                let found: Value =
                    serde_json::from_str(&document.body.unwrap_or_default()).unwrap_or_default();
                match wanted.remove(document.id.as_str()) {
                    Some(truth) if truth == found => {}
                    Some(truth) => told(document.id.as_str(), format!("is {found}, and should be {truth},")),
                    None => told(document.id.as_str(), "is a ghost".to_owned()),
                }
            }
            wanted.into_keys().for_each(|id| told(&id, "is missing".to_owned()));
        }
        differences
    }

    async fn untruth(&self) -> String {
        let quiet = if self.world.is_quiet().await { "all is quiet" } else { "it never gets quiet" };
        let versions = self.world.ledger.version_states().await.expect("memory");
        let differences = self.differences().await.join("; ");
        format!("{quiet}: {differences}\n{versions:?}\n{:#?}", self.world.doing().await)
    }

    /// Processes that are told to stop do.
    async fn end(self) -> Result<(), String> {
        let letters = self.world.log.dead_letters(10).await.expect("memory");
        if !letters.is_empty() {
            return Err(format!("events that say all they must are dead letters: {letters:?}"));
        }
        for process in self.alive {
            process.stop.cancel();
            process.freezer.thaw();
            match tokio::time::timeout(Duration::from_mins(1), process.task).await {
                Err(_) => return Err("a process doesn't stop".to_owned()),
                Ok(Err(panic)) => std::panic::resume_unwind(panic.into_panic()),
                Ok(Ok(Err(error))) => return Err(format!("a process ends with {error}")),
                Ok(Ok(Ok(_))) => {}
            }
        }
        Ok(())
    }
}

/// Nothing of them is used.
fn endpoints() -> Endpoints {
    Endpoints {
        graph: GraphEndpoint { url: "http://gateway/".to_owned(), headers: Vec::new(), ca: None },
        source_files: BTreeMap::new(),
        place: Place::embedded("none.db"),
        ids_file: None,
        admin: None,
        tokens: Vec::new(),
        identity: None,
        webhook: None,
    }
}
