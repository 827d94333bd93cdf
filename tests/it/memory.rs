//! Memory doesn't grow with the backlog: a million ids wait in the log, not in the process.

use std::{fmt::Write, fs, time::Duration};

use harness::{eventually, folder::Folder};

const WAITING: u64 = 1_000_000;

/// The promise of the design for a million waiting ids.
const AT_MOST_BYTES: u64 = 200 << 20;

#[test]
fn a_million_waiting_ids_take_no_memory() {
    let folder = Folder::new();
    let ids = (0..WAITING).fold(String::new(), |mut ids, n| {
        let _ = writeln!(ids, "movie-{n:08}");
        ids
    });
    fs::write(folder.path("ids.txt"), ids).expect("the folder is writable");
    folder.edit("index.yaml", "ids: { query: ./movie-ids.graphql }", "ids: { file: ./ids.txt }");
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml"]);
    // Nobody answers as the gateway, so that every id stays where it is.
    let run = folder.run();
    eventually(Duration::from_mins(4), || {
        let enumerated = folder.status()["backfill"]["enumerated"].as_u64();
        if enumerated == Some(WAITING) {
            Ok(())
        } else {
            Err(format!("{enumerated:?} enumerated\n{}", folder.log()))
        }
    });
    assert_eq!(folder.status()["lag"]["backfill"], WAITING);
    let peak = run.peak_memory();
    println!("{} MiB at most with {WAITING} ids waiting", peak >> 20);
    assert!(peak < AT_MOST_BYTES, "{} MiB", peak >> 20);
    assert_eq!(run.terminate(), Some(0));
}
