//! The adaptive limit over a real gateway with three subgraphs, against the best of several ceilings that hold it at most there.

use std::time::{Duration, Instant};

use harness::{folder::Folder, graph::RealGraph};

use crate::{median, ratio, whole::is_done};

/// Requests in flight at most that are tried, one of which is the best for this gateway on this machine.
const FIXED: [usize; 5] = [1, 2, 4, 8, 16];

/// What the adaptive limit may climb to.
const CEILING: usize = 64;

const ROUNDS: usize = 5;
const MOVIES: usize = 3_201;

/// What must be reached of the best fixed limit's throughput.
const WANTED: f64 = 0.90;

pub(crate) fn measure() -> bool {
    let (folder, graph) = Folder::with_graph();
    folder.edit("index.yaml", "  batch: { size: 25 }\n", "  batch: { size: 25 }\n  max_concurrency: 1\n");
    let mut before = 1;
    let mut time = |ceiling| {
        folder.edit(
            "index.yaml",
            &format!("max_concurrency: {before}\n"),
            &format!("max_concurrency: {ceiling}\n"),
        );
        before = ceiling;
        backfilled(&folder, &graph)
    };
    // A cold gateway says nothing about any of them.
    time(CEILING);
    let limits: Vec<usize> = FIXED.into_iter().chain([CEILING]).collect();
    let mut rates = vec![Vec::new(); limits.len()];
    for _ in 0..ROUNDS {
        for (at, ceiling) in limits.iter().enumerate() {
            rates[at].push(ratio(MOVIES, 1) / time(*ceiling).as_secs_f64());
        }
    }
    let mut medians: Vec<f64> = rates.into_iter().map(median).collect();
    let adaptive = medians.pop().expect("the last one");
    for (fixed, rate) in FIXED.iter().zip(&medians) {
        println!("Apollo's gateway, at most {fixed} in flight: {rate:.0} documents/s");
    }
    let share = adaptive / medians.into_iter().fold(0.0, f64::max);
    println!(
        "Apollo's gateway, adaptive: {adaptive:.0} documents/s, {share:.2} of the best (wanted: at least {WANTED})"
    );
    share >= WANTED
}

/// How long it takes to fetch the whole graph, from the first request to the last document.
fn backfilled(folder: &Folder, graph: &RealGraph) -> Duration {
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let run = folder.run();
    run.admin();
    graph.reset_counts();
    folder.succeed(&["backfill", "start", "index.yaml"]);
    let documents = || graph.counts()["documents"].as_u64().expect("a count");
    while documents() == 0 {
        std::thread::sleep(Duration::from_millis(5));
    }
    let start = Instant::now();
    while documents() < MOVIES as u64 {
        assert!(start.elapsed() < Duration::from_mins(2), "it has stopped:\n{}", folder.log());
        std::thread::sleep(Duration::from_millis(20));
    }
    let took = start.elapsed();
    is_done(folder);
    assert_eq!(run.terminate(), Some(0));
    took
}
