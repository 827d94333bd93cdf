//! Any text as a filter, of records and of documents.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use promises::{filters_keep_their_promises, plan_of_every_kind, utf8};
use serde_json::{Value, json};

static PLAN: LazyLock<plan::IndexPlan> = LazyLock::new(plan_of_every_kind);

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    json!({
        "movieId": "m1", "title": "Crash Landing", "type": "FEATURE", "releaseDate": "2024-01-31", "year": 2024,
        "countries": ["FR", null, "ES"], "popularity": 7.5, "isColour": true, "ratings": [[1, 2], [3]],
        "extras": { "color": "red", "size": { "cm": [12, 13] }, "empty": null },
        "production": { "ptpId": "p1", "status": "WRAPPED",
            "shootingLocation": { "city": "Zürich", "point": { "lat": 47.4, "lon": 8.5 } } },
        "actors": [{ "talentId": "t1", "name": "Ada É", "role": "ACTOR" }, { "talentId": "t2", "name": "" }]
    })
});

fuzz_target!(|bytes: &[u8]| {
    if let Some(written) = utf8(bytes) {
        filters_keep_their_promises(written, &PLAN, &DOCUMENT);
    }
});
