//! A backfill of 100,000 documents by the real program: its requests against the fewest that are possible, and its peak memory
//! against that of one of 10,000.

use std::{
    fmt::Write,
    fs,
    time::{Duration, Instant},
};

use harness::{eventually, folder::Folder, gateway, load::movie_id};

use crate::{ratio, world::file};

const FEW: usize = 10_000;
const MANY: usize = 100_000;

/// Documents of one request: the default.
const BATCH: usize = 25;

/// What requests may cost against the fewest that are possible.
const WANTED: f64 = 1.02;

/// What ten times as many documents may take of memory.
const FLAT: f64 = 1.1;

/// A folder with the benchmark's index and so many ids.
pub(crate) fn folder(gateway: &str, ids: usize) -> Folder {
    let mut folder = Folder::new();
    for name in ["index.yaml", "query.graphql", "schema.graphql"] {
        fs::copy(file(name), folder.path(name)).expect("a copy");
    }
    let ids = (0..ids).fold(String::new(), |mut ids, n| {
        let _ = writeln!(ids, "{}", movie_id(n));
        ids
    });
    fs::write(folder.path("ids.txt"), ids).expect("the folder is writable");
    folder.connect(gateway);
    folder
}

/// Waits until the newest backfill is done.
pub(crate) fn is_done(folder: &Folder) {
    eventually(Duration::from_mins(5), || {
        let status = folder.status();
        let is_done = status["backfill"]["state"] == "DONE" && status["held"] == 0;
        if is_done { Ok(()) } else { Err(format!("{status:#}\n{}", folder.log())) }
    });
}

pub(crate) fn measure() -> bool {
    let (few, few_bytes) = backfill(FEW);
    let (many, many_bytes) = backfill(MANY);
    let more = ratio(many_bytes, few_bytes);
    println!("memory of {MANY} documents: {more:.2}x that of {FEW} (wanted: at most {FLAT}x)");
    few.max(many) <= WANTED && more <= FLAT
}

/// Backfills so many documents, and gives the requests against the fewest, and the most memory.
fn backfill(count: usize) -> (f64, usize) {
    let gateway = gateway::start(&gateway::documents(count));
    let folder = folder(&gateway.url, count);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    let start = Instant::now();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    is_done(&folder);
    let took = start.elapsed().as_secs_f64();
    let requests = gateway.requests();
    let (cost, peak) = (ratio(requests, count.div_ceil(BATCH)), run.peak_memory());
    println!(
        "a backfill of {count} documents: {requests} requests, {cost:.4}x the fewest (wanted: at most {WANTED}x), {} MiB at most, {:.0} documents/s",
        peak >> 20,
        ratio(count, 1) / took
    );
    assert_eq!(run.terminate(), Some(0));
    (cost, usize::try_from(peak).expect("less than all of it"))
}
