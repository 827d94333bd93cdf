//! kill -9 at any moment loses nothing: the embedded index converges through twenty of them.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    thread,
    time::Duration,
};

use harness::folder::{Folder, assert_equal};
use serde_json::json;

/// How often `run` is killed while it backfills and follows changes.
const KILLS: u64 = 20;

/// The seed of the pauses between kills; printed, so that a failure can be tried again.
const SEED: u64 = 0x5eed_0001;

#[test]
fn twenty_kills_in_a_change_storm_lose_nothing() {
    let (folder, graph) = Folder::with_graph();
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["backfill", "start", "index.yaml"]);
    println!("seed {SEED:#x}");
    let calm = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Random(SEED);
            while !calm.load(Ordering::Relaxed) {
                let n = random.below(3_000) + 1;
                match random.below(4) {
                    0 => graph
                        .post(&format!("/edit/movies/m{n}"), &json!({"popularity": random.below(1_000_000)})),
                    1 => graph.post(
                        &format!("/edit/productions/p{n}"),
                        &json!({"budget": random.below(1_000_000)}),
                    ),
                    2 => {
                        let talent = random.below(500) + 1;
                        graph
                            .post(&format!("/edit/talents/t{talent}"), &json!({"name": format!("Name {n}")}));
                    }
                    _ => {
                        let (movie, talent) = (
                            format!("m{}", 3_201 - random.below(100)),
                            format!("t{}", random.below(500) + 1),
                        );
                        // Someone may be credited already; the graph says so and nothing changes.
                        graph.try_post("/move", &json!({"movieId": movie, "to": talent}));
                    }
                }
                thread::sleep(Duration::from_millis(5));
            }
        });
        let mut random = Random(SEED + 1);
        for _ in 0..KILLS {
            let run = folder.run();
            thread::sleep(Duration::from_millis(100 + random.below(900)));
            run.kill();
        }
        calm.store(true, Ordering::Relaxed);
    });
    let run = folder.run();
    folder.settles_within(Duration::from_mins(3));
    assert_equal(&folder.exported(), &graph.documents(), &folder.log());
    assert_eq!(run.terminate(), Some(0));
}

/// Steele and Vigna's `SplitMix64`: enough for a storm, and the same on every machine.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}
