//! Saved searches over a real graph: what begins to match reaches the webhook, which may be away, over a process that is killed.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use harness::{
    eventually,
    folder::Folder,
    http::{self, Answer},
};
use serde_json::{Value, json};

const SETTLES: Duration = Duration::from_mins(2);

/// A webhook that may be away; it remembers what it took.
#[derive(Default)]
struct Hook {
    is_away: AtomicBool,
    took: Mutex<Vec<Value>>,
}

impl Hook {
    fn serve() -> (Arc<Self>, String) {
        let hook = Arc::new(Self::default());
        let serving = Arc::clone(&hook);
        let address = http::serve(move |request| {
            if serving.is_away.load(Ordering::SeqCst) {
                return None;
            }
            assert_eq!(request.header("authorization"), Some("Bearer hook-secret"));
            let body: Value = serde_json::from_slice(&request.body).ok()?;
            serving.took.lock().expect("nobody panicked").extend(body["matches"].as_array()?.iter().cloned());
            Some(Answer::new(204, "text/plain", ""))
        });
        (hook, format!("http://{address}/hook?token=hook-secret"))
    }

    /// The ids and searches of what it took so far.
    fn told(&self) -> Vec<(String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let took = self.took.lock().expect("nobody panicked");
        took.iter().map(|posted| (text(&posted["id"]), text(&posted["search"]))).collect()
    }

    fn is_told(&self, id: &str, search: &str) {
        eventually(SETTLES, || match self.told().contains(&(id.to_owned(), search.to_owned())) {
            true => Ok(()),
            false => Err(format!("{id} {search} is not among {:?}", self.told())),
        });
    }
}

#[test]
fn what_begins_to_match_is_posted_whatever_dies() {
    let (folder, graph) = Folder::with_graph();
    let (hook, url) = Hook::serve();
    let saved = format!(
        "search:\n  saved: {{ webhook: \"{url}\", headers: {{ authorization: Bearer hook-secret }} }}\n  text:"
    );
    folder.edit("index.yaml", "search:\n  text:", &saved);
    folder.succeed(&["provision", "index.yaml", "--yes"]);
    folder.succeed(&["saved", "add", "index.yaml", "renamed", "title LIKE 'Renamed*'"]);
    folder.succeed(&["saved", "add", "index.yaml", "third", "movieId == 'm3'"]);
    let run = folder.run();
    folder.succeed(&["backfill", "start", "index.yaml", "--id", "m3", "--id", "m4", "--id", "m5"]);
    folder.settles_within(SETTLES);
    hook.is_told("m3", "third");
    assert_eq!(hook.told().len(), 1, "{:?}", hook.told());

    hook.is_away.store(true, Ordering::SeqCst);
    graph.post("/edit/movies/m4", &json!({"title": "Renamed Once"}));
    eventually(SETTLES, || match folder.status()["saved"].clone() {
        saved if saved["waiting"] == 1 && saved["webhook_waits"].is_string() => Ok(()),
        saved => Err(saved.to_string()),
    });
    assert_eq!(folder.exported()["m4"]["title"], "Renamed Once", "the index doesn't wait for the webhook");
    run.kill();
    let run = folder.run();
    hook.is_away.store(false, Ordering::SeqCst);
    hook.is_told("m4", "renamed");

    // What matched before is not told again; a search that was saved since is.
    folder.succeed(&["saved", "add", "index.yaml", "slate", "title MATCHES 'slate'"]);
    std::thread::sleep(Duration::from_millis(1_500));
    graph.post("/edit/movies/m4", &json!({"title": "Renamed Twice"}));
    graph.post("/edit/movies/m5", &json!({"title": "On the Slate"}));
    hook.is_told("m5", "slate");
    folder.settles_within(SETTLES);
    assert_eq!(hook.told().iter().filter(|(id, _)| id == "m4").count(), 1, "{:?}", hook.told());
    let matched = folder.json(&["saved", "match", "index.yaml", "--id", "m4"]);
    assert_eq!(matched["matches"], json!(["renamed"]));
    assert!(!folder.log().contains("hook-secret"), "{}", folder.log());
    assert_eq!(run.terminate(), Some(0));
}
