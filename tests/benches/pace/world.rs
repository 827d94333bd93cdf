//! What the parts work on: the plan of `index.yaml`, and a process over a gateway that is in process, too.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use codegen::{Texts, compile, parse_config};
use harness::repository;
use indexer::{
    Endpoints, Index,
    endpoints::{GraphEndpoint, Place},
    graph::Graph,
    provision::state::provision,
    run::{Process, RunOptions},
};
use plan::{IndexPlan, SourceText};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where a file of the configuration is.
pub(crate) fn file(name: &str) -> PathBuf {
    let name = name.trim_start_matches("./");
    let own = repository().join("tests/benches/pace").join(name);
    if own.exists() { own } else { repository().join("tests/benches/movies").join(name) }
}

/// The plan of the benchmark.
pub(crate) fn plan() -> IndexPlan {
    let read = |name: &str| {
        let text = fs::read_to_string(file(name)).expect("a file of ours");
        Arc::new(SourceText { name: name.to_owned(), text })
    };
    let parsed = parse_config(&read("index.yaml"), &|_| None);
    let config = parsed.value.unwrap_or_else(|| panic!("{:#?}", parsed.diagnostics));
    let schema = config.graph.schema.as_ref().expect("it names its schema");
    let texts = Texts { query: read(&config.query.value), schema: read(&schema.value), others: [].into() };
    let checked = compile(&config, &texts);
    checked.value.unwrap_or_else(|| panic!("{:#?}", checked.diagnostics)).plan
}

/// Where the index and its ids are, below a folder.
pub(crate) fn endpoints(folder: &Path) -> Endpoints {
    Endpoints {
        graph: GraphEndpoint { url: "http://127.0.0.1:9/".to_owned(), headers: Vec::new(), ca: None },
        place: Place::embedded(folder.join("pace.db")),
        source_files: [].into(),
        ids_file: Some(folder.join("ids.txt")),
        admin: None,
        tokens: Vec::new(),
        identity: None,
        webhook: None,
    }
}

/// A process that works until it is ended.
pub(crate) struct World {
    pub(crate) index: Index,
    stop: CancellationToken,
    process: JoinHandle<()>,
}

impl World {
    /// Provisions this plan below a folder, and runs it over this gateway.
    pub(crate) async fn start(folder: &Path, plan: &IndexPlan, graph: Arc<dyn Graph>) -> Self {
        provision(&folder.join("pace.db"), plan).expect("a state file");
        Self::go_on(folder, plan, graph).await
    }

    /// Runs what is provisioned.
    pub(crate) async fn go_on(folder: &Path, plan: &IndexPlan, graph: Arc<dyn Graph>) -> Self {
        let process = Process::over(&plan.name, endpoints(folder), graph).await.expect("it starts");
        let (index, stop) = (process.index().clone(), CancellationToken::new());
        let run = process.run(RunOptions::default(), stop.clone());
        let process = tokio::spawn(async move { drop(run.await.expect("it runs")) });
        Self { index, stop, process }
    }

    pub(crate) async fn end(self) {
        self.stop.cancel();
        self.process.await.expect("it ends");
    }
}

/// A runtime for a part.
pub(crate) fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads")
}
