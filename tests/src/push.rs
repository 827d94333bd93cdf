//! Event files that are pushed over HTTP: each line until it is acknowledged, in their order, as a careful service would.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::sleep,
    time::Duration,
};

use reqwest::blocking::Client;

use crate::background::Background;

/// How often the file is looked at, and how long after a failure it is tried again.
const POLL: Duration = Duration::from_millis(50);

/// How long an acknowledgement is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Pushes a file's lines until it is dropped.
pub struct Push {
    file: PathBuf,
    acknowledged: Arc<AtomicU64>,
    _pushing: Background<()>,
}

impl Push {
    /// Pushes a file to this URL, such as `http://127.0.0.1:9467/events/movies/talent-changes`.
    pub fn start(file: PathBuf, url: String) -> Self {
        let acknowledged = Arc::<AtomicU64>::default();
        let (at, read) = (Arc::clone(&acknowledged), file.clone());
        let pushing = Background::begin(move |is_ended| {
            // A connection that hangs is not used a second time.
            let client = || Client::builder().timeout(PATIENCE).build().expect("a client");
            let mut pushing = client();
            while !is_ended() {
                let lines = lines_from(&read, at.load(Ordering::Relaxed));
                let length = lines.len() as u64;
                if length > 0 {
                    let answer = pushing.post(&url).body(lines).send();
                    if answer.is_ok_and(|answer| answer.status().is_success()) {
                        at.fetch_add(length, Ordering::Relaxed);
                        continue;
                    }
                    pushing = client();
                }
                sleep(POLL);
            }
        });
        Self { file, acknowledged, _pushing: pushing }
    }

    /// Whether every byte of the file is acknowledged.
    pub fn is_through(&self) -> bool {
        let length = self.file.metadata().map_or(0, |file| file.len());
        self.acknowledged.load(Ordering::Relaxed) >= length
    }
}

/// The whole lines from a byte on.
fn lines_from(file: &Path, from: u64) -> Vec<u8> {
    let mut lines = Vec::new();
    let Ok(mut file) = File::open(file) else { return lines };
    file.seek(SeekFrom::Start(from)).expect("a file");
    file.read_to_end(&mut lines).expect("the graph writes text");
    let whole = lines.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end + 1);
    lines.truncate(whole);
    lines
}
