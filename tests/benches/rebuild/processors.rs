//! What processors did for this process and all that it started: the servers, the program and the rival.

use std::{
    collections::BTreeMap,
    fs,
    time::{Duration, Instant},
};

/// What some work took.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Took {
    /// On the wall.
    pub(crate) clock: Duration,
    /// Of all processors, for the servers as well.
    pub(crate) worked: Duration,
}

/// Measures some work.
pub(crate) fn took(work: impl FnOnce()) -> Took {
    let (start, before) = (Instant::now(), time_of_all());
    work();
    Took { clock: start.elapsed(), worked: time_of_all().saturating_sub(before) }
}

/// The processor time of this process and of its children and theirs, as Linux counts it. While the machine has nothing idle,
/// whoever needs less of it for a document does more documents a second; and unlike a clock it doesn't count what others do.
fn time_of_all() -> Duration {
    let mut all = BTreeMap::new();
    for process in fs::read_dir("/proc").expect("Linux").flatten() {
        let stat = fs::read_to_string(process.path().join("stat")).unwrap_or_default();
        let Some((id, rest)) = stat.split_once(' ') else { continue };
        // The name before the last parenthesis may hold spaces.
        let Some((_, rest)) = rest.rsplit_once(") ") else { continue };
        let columns: Vec<&str> = rest.split(' ').collect();
        let number = |at: usize| columns[at].parse::<u64>().expect("a number");
        if let Ok(id) = id.parse::<u64>() {
            all.insert(id, (number(1), number(11) + number(12)));
        }
    }
    let own = u64::from(std::process::id());
    let is_ours = |id: u64| {
        let parent = |id: &u64| all.get(id).map(|(parent, _)| *parent);
        std::iter::successors(Some(id), parent).any(|id| id == own)
    };
    let ticks = all.iter().filter(|(id, _)| is_ours(**id)).map(|(_, (_, ticks))| ticks);
    Duration::from_millis(10 * ticks.sum::<u64>())
}
