//! Memory doesn't grow with the backlog: a million ids wait in the log, not in the process.

use std::{fmt::Write, fs, thread::sleep, time::Duration};

use harness::{
    eventually,
    folder::{Folder, Running},
    load::movie_id,
    servers::{elasticsearch, kafka},
};

/// `WAITING=10000000` asks for more.
const WAITING: u64 = 1_000_000;

/// Ids that are appended at once.
const PAGE: u64 = 1_000;

/// The promise of the design for a million waiting ids.
const AT_MOST_BYTES: u64 = 200 << 20;

#[test]
fn a_million_waiting_ids_take_no_memory() {
    let folder = Folder::new();
    let waiting = std::env::var("WAITING").map_or(WAITING, |ids| ids.parse().expect("WAITING is a number"));
    let ids = (0..waiting).fold(String::new(), |mut ids, n| {
        let _ = writeln!(ids, "movie-{n:08}");
        ids
    });
    fs::write(folder.path("ids.txt"), ids).expect("the folder is writable");
    folder.edit("index.yaml", "ids: { query: ./movie-ids.graphql }", "ids: { file: ./ids.txt }");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml"]);
    // Nobody answers as the gateway, so that every id stays where it is.
    let enumerates = |least: u64| {
        eventually(Duration::from_mins(4 * (waiting / WAITING).max(1)), || {
            let enumerated = folder.status()["backfill"]["enumerated"].as_u64();
            if enumerated >= Some(least) {
                Ok(())
            } else {
                Err(format!("{enumerated:?} enumerated\n{}", folder.log()))
            }
        });
    };
    let run = folder.run();
    enumerates(PAGE);
    run.kill();
    let before = folder.status()["backfill"]["enumerated"].as_u64();
    let run = folder.run();
    enumerates(waiting);
    println!("killed with {before:?} of {waiting} ids enumerated");
    let lag = folder.status()["lag"]["backfill"].as_u64().expect("a count");
    // A page whose cursor was not saved when its process was killed is appended again.
    assert!((waiting..=waiting + PAGE).contains(&lag), "it goes on where it was: {lag} wait of {waiting}");
    assert_eq!(folder.status()["backfill"]["enumerated"], waiting);
    let peak = run.peak_memory();
    println!("{} MiB at most with {waiting} ids waiting", peak >> 20);
    assert!(peak < AT_MOST_BYTES, "{} MiB", peak >> 20);
    assert_eq!(run.terminate(), Some(0));
}

/// More than a process takes out of its lanes ahead of the gateway, so that nothing more of a longer backlog is its own.
const ENOUGH: usize = 60_000;

/// What allocators and the machine may add to the peak while the backlog grows and the process only waits.
const NOISE_BYTES: u64 = 16 << 20;

#[test]
fn a_million_ids_in_the_lanes_take_no_memory() {
    let (folder, name) = (Folder::new(), "memory-shared");
    folder.keep_on("elasticsearch", &elasticsearch().url, name);
    let _stream = folder.share_over(kafka(), None, name);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    let ids: Vec<String> = (0..500_000).map(movie_id).collect();
    let wait_in_lanes = |ids: &[String]| {
        for lane in ["live", "backfill"] {
            let records = ids.iter().map(|id| (id.as_str(), &br#"{"cause":"backfill"}"#[..]));
            kafka().append(&format!("studio-search.{name}.{lane}"), records);
        }
    };
    // Nobody answers as the gateway, so that every id stays where it is.
    let run = folder.run();
    wait_in_lanes(&ids[..ENOUGH / 2]);
    let before = settled_peak(&folder, &run, ENOUGH);
    wait_in_lanes(&ids[ENOUGH / 2..]);
    let after = settled_peak(&folder, &run, 2 * ids.len());
    println!(
        "{} MiB at most with {ENOUGH} ids waiting, {} MiB with {}",
        before >> 20,
        after >> 20,
        2 * ids.len()
    );
    assert!(
        after < AT_MOST_BYTES && after < before + NOISE_BYTES,
        "{} MiB, then {} MiB",
        before >> 20,
        after >> 20
    );
    assert_eq!(run.terminate(), Some(0));
}

/// The most memory that a process had, once it knows of so many waiting ids and has taken out of the lanes what it takes.
fn settled_peak(folder: &Folder, run: &Running, waiting: usize) -> u64 {
    eventually(Duration::from_mins(2), || {
        let lag = &folder.status()["lag"];
        let sum = lag["live"].as_u64().unwrap_or(0) + lag["backfill"].as_u64().unwrap_or(0);
        if sum == waiting as u64 { Ok(()) } else { Err(format!("{lag} wait\n{}", folder.log())) }
    });
    let mut peak = 0;
    while run.peak_memory() > peak {
        peak = run.peak_memory();
        sleep(Duration::from_secs(3));
    }
    peak
}
