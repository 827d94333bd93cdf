//! Backfills: how much of what a gateway bears they take, what they cost everybody else, and what they cost themselves.
//!
//! `cargo build --release -p studio-search && cargo bench -p studio-search-tests --bench pace`, on a quiet machine; a word behind
//! `--` measures one part alone: `knee`, `apollo`, `live`, `whole`, `filling`. Each compares in one run, and prints ratios; all
//! of it takes eleven minutes.
//!
//! `knee`: a gateway in process whose knee moves from 8 to 2 to 16, against so many workers as the knee lets. `apollo`: a real
//! gateway, against the best of several fixed ceilings. `live`: the freshness of live events beside a backfill, against without.
//! `whole`: requests of a backfill of 100,000 documents against the fewest, and its memory against that of 10,000. `filling`: a
//! new index version out of the served one, against the same documents loaded by hand, on SQLite and on Elasticsearch.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod apollo;
mod filling;
mod knee;
mod live;
mod whole;
mod world;

/// A part: its name, and whether it reached what it must.
type Part = (&'static str, fn() -> bool);

fn main() {
    let parts: [Part; 5] = [
        ("knee", knee::measure),
        ("apollo", apollo::measure),
        ("live", live::measure),
        ("whole", whole::measure),
        ("filling", filling::measure),
    ];
    let asked: Vec<String> = std::env::args().skip(1).filter(|word| !word.starts_with("--")).collect();
    for word in &asked {
        assert!(parts.iter().any(|(name, _)| name == word), "{word} is no part");
    }
    let wanted = |name: &str| asked.is_empty() || asked.iter().any(|word| word == name);
    let missed: Vec<&str> =
        parts.into_iter().filter(|(name, part)| wanted(name) && !part()).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "a figure is missed: {}", missed.join(", "));
}

/// The middle one.
fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    figures[figures.len() / 2]
}

#[expect(clippy::cast_precision_loss, reason = "a benchmark's counts are small")]
fn ratio(count: usize, of: usize) -> f64 {
    count as f64 / of as f64
}
