//! The ledger that processes share: on Elasticsearch and both lines of `OpenSearch` it does what every ledger must do, and
//! provision makes it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use async_trait::async_trait;
use codegen::index_templates;
use futures::FutureExt as _;
use harness::servers::{Rest, elasticsearch, kafka};
use indexer::{
    StateError,
    endpoints::{ElasticAuth, ElasticEndpoint, KafkaEndpoint, Place},
    ledger::{
        Figures, Hold, HoldCause, IndexVersion, Ledger, RetryPauses,
        conformance::{self, Ledgers, World},
        elastic::ElasticLedger,
        versions::{KnownVersion, VersionState},
    },
    provision::{Action, Artifacts, Change, Kind, changes, provision},
};
use plan::{DocumentId, DocumentVersion, Epoch, IndexPlan, KafkaPlan, index_plan::StoreKind};
use search::elastic::{Client, Engine};
use serde_json::{Value, json};

use crate::{
    compiled::movies,
    conformance::{SERVERS, SearchServer},
};

/// Indexes get names of their own, because tests of one server run beside each other.
static NUMBER: AtomicU32 = AtomicU32::new(1);

const PAUSES: RetryPauses = RetryPauses { initial_ms: 60_000, max_ms: 3_600_000 };

/// An index that is not provisioned yet.
struct Shared {
    rest: &'static Rest,
    place: Place,
    plan: IndexPlan,
    templates: Value,
}

impl Shared {
    fn new(server: &SearchServer) -> Self {
        let name = format!("shared{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let made = movies();
        let mut plan = made.compiled.plan;
        let (store, engine) = match server.engine {
            Engine::Elasticsearch => (StoreKind::Elasticsearch, codegen::Engine::Elasticsearch),
            Engine::OpenSearch => (StoreKind::OpenSearch, codegen::Engine::OpenSearch),
        };
        plan.kafka = Some(KafkaPlan::new(&name, &plan.fetch.query_hash, 3, 1));
        (plan.name, plan.store) = (name, store);
        let templates = index_templates(&made.config, &plan, engine);
        Self { rest: server.server, place: place(&server.server.url, None), plan, templates }
    }

    async fn changes(&self) -> Vec<Change> {
        changes(&self.place, &self.plan, self.artifacts()).await.expect("it can be made")
    }

    async fn provision(&self) -> Result<Vec<Change>, StateError> {
        provision(&self.place, &self.plan, self.artifacts()).await
    }

    fn artifacts(&self) -> Artifacts<'_> {
        // Without a registry nobody asks for the schema.
        Artifacts { templates: &self.templates, avro: &Value::Null }
    }

    fn client(&self) -> Client {
        Client::new(self.place.store.as_ref().expect("a server")).expect("an address")
    }

    fn ledger(&self) -> ElasticLedger {
        ElasticLedger::new(self.client(), &self.plan.name, PAUSES)
    }

    /// The index of the ledger.
    fn index(&self) -> String {
        format!("studio-search-{}-ledger-000001", self.plan.name)
    }

    async fn call(&self, method: &'static str, path: &str, body: Value) -> (u16, Value) {
        let (rest, path) = (self.rest, path.to_owned());
        tokio::task::spawn_blocking(move || rest.call(method, &path, &body)).await.expect("it answers")
    }
}

/// A place without a file that could be written.
fn place(url: &str, auth: Option<ElasticAuth>) -> Place {
    let store = ElasticEndpoint { url: url.to_owned(), auth, ca: None, timeout: Duration::from_mins(1) };
    let kafka = KafkaEndpoint {
        brokers: vec![kafka().brokers.clone()],
        properties: BTreeMap::new(),
        instance_id: None,
        registry: None,
    };
    Place { state: "/nowhere/state.db".into(), store: Some(store), kafka: Some(kafka) }
}

fn wanted(changes: &[Change]) -> Vec<(Action, Kind)> {
    let wanted = changes.iter().filter(|change| change.action != Action::None);
    wanted.map(|change| (change.action, change.kind)).collect()
}

#[async_trait]
impl World for SearchServer {
    async fn provisioned(&self, retry: RetryPauses) -> Ledgers {
        let shared = Shared::new(self);
        shared.provision().await.expect("it can be made");
        let (plan, place, templates) = (shared.plan.clone(), shared.place.clone(), shared.templates.clone());
        let make_second = move |plan: IndexPlan| {
            let (place, templates) = (place.clone(), templates.clone());
            async move {
                let artifacts = Artifacts { templates: &templates, avro: &Value::Null };
                provision(&place, &plan, artifacts).await.expect("it can be made");
            }
            .boxed()
        };
        let open = move || -> Arc<dyn Ledger> {
            Arc::new(ElasticLedger::new(shared.client(), &shared.plan.name, retry))
        };
        Ledgers { plan, open: Box::new(open), make_second: Box::new(make_second) }
    }
}

#[tokio::test]
async fn processes_share_a_ledger() {
    for server in SERVERS {
        conformance::run(&SearchServer::new(server).await).await;
    }
}

#[tokio::test]
async fn provision_makes_the_ledger_and_converges() {
    for server in SERVERS {
        let mut shared = Shared::new(&SearchServer::new(server).await);
        let (index, alias) = (shared.index(), format!("studio-search-{}-ledger", shared.plan.name));
        let fresh = shared.changes().await;
        assert_eq!(fresh.len(), 10, "{fresh:?}");
        assert!(fresh.iter().all(|change| change.action == Action::Add), "{fresh:?}");
        assert_eq!(shared.provision().await.expect("it can be made"), fresh);
        assert_eq!(wanted(&shared.changes().await), [], "what a server tells in its own words is no change");
        assert_eq!(wanted(&shared.provision().await.expect("again")), []);
        // Who looks for indexes by a pattern meets none of this.
        let (_, told) = shared.call("GET", &format!("/{alias}*"), Value::Null).await;
        assert_eq!(told, json!({}), "it is hidden");

        let (ledger, versions) =
            ElasticLedger::open(shared.client(), &shared.plan.name).await.expect("it is provisioned");
        let served = KnownVersion {
            version: IndexVersion { version: 1, plan: shared.plan.clone(), schema: None },
            state: VersionState::Served,
        };
        assert_eq!(versions, [served]);
        let epoch = ledger.take_epoch(Epoch::ZERO).await.expect("it answers");

        // What others changed is mended, and what is in the ledger stays.
        let settings = json!({"index": {"refresh_interval": "-1", "hidden": false}});
        shared.call("PUT", &format!("/{index}/_settings"), settings).await;
        assert_eq!(wanted(&shared.changes().await), [(Action::Change, Kind::Ledger)]);
        shared.provision().await.expect("it can be mended");
        shared.call("DELETE", &format!("/{index}/_alias/{alias}"), Value::Null).await;
        assert_eq!(wanted(&shared.changes().await), [(Action::Change, Kind::Ledger)]);
        shared.provision().await.expect("it can be mended");
        shared.templates["component_template"]["body"]["template"]["settings"]["index"]["number_of_replicas"] =
            json!("0");
        let copies = [(Action::Change, Kind::Ledger), (Action::Change, Kind::ComponentTemplate)];
        assert_eq!(wanted(&shared.changes().await), copies);
        shared.plan.sources[0].max_fanout += 1;
        shared.provision().await.expect("it can be changed");
        assert_eq!(wanted(&shared.changes().await), []);
        let (_, told) = shared.call("GET", &format!("/{index}"), Value::Null).await;
        let settings = &told[&index]["settings"]["index"];
        assert_eq!((&settings["number_of_replicas"], &settings["hidden"]), (&json!("0"), &json!("true")));
        assert_eq!(ledger.served().await.expect("it answers").plan, shared.plan);
        assert_eq!(Some(ledger.take_epoch(Epoch::ZERO).await.expect("it answers")), epoch.next());

        // A provision that broke off before the plan was stored is finished by the next.
        shared.call("DELETE", &format!("/{index}/_doc/versions"), Value::Null).await;
        assert_eq!(wanted(&shared.changes().await), [(Action::Add, Kind::IndexVersion)]);
        let error = ledger.served().await.expect_err("there is no plan");
        assert!(matches!(error, StateError::NotProvisioned(_)), "{error:?}");
        shared.provision().await.expect("it can be finished");
        assert_eq!(wanted(&shared.changes().await), []);

        // A change of the partitions would give documents to other owners.
        let mut moved = shared.plan.clone();
        moved.kafka.as_mut().expect("it is shared").partitions = 4;
        let planned = changes(&shared.place, &moved, shared.artifacts()).await.expect("it can be told");
        let rebuilt: Vec<(Action, Kind)> =
            wanted(&planned).into_iter().filter(|(action, _)| *action == Action::Rebuild).collect();
        assert_eq!(rebuilt[0], (Action::Rebuild, Kind::IndexVersion));
        assert_eq!(rebuilt[1..], [(Action::Rebuild, Kind::Topic); 3], "both lanes and the documents");
        let error = provision(&shared.place, &moved, shared.artifacts()).await.expect_err("not in place");
        assert!(matches!(error, StateError::NeedsNewVersion { .. }), "{error}");
    }
}

#[tokio::test]
async fn provision_refuses_a_ledger_that_is_not_its_own() {
    let shared = Shared::new(&SearchServer::new(elasticsearch).await);
    let index = shared.index();
    shared.call("PUT", &format!("/{index}"), json!({})).await;
    let refused = async || match changes(&shared.place, &shared.plan, shared.artifacts()).await {
        Err(error) => error.to_string(),
        Ok(changes) => panic!("{changes:?}"),
    };
    assert!(refused().await.contains("was not made by studio-search"), "{}", refused().await);
    for (layout, reason) in
        [(3, "has layout 3, this program writes layout 2"), (2, "maps `next_at` in another way")]
    {
        shared.call("DELETE", &format!("/{index}"), Value::Null).await;
        let meta = json!({"index": shared.plan.name, "layout": layout});
        let mapping = json!({"mappings": {"_meta": meta, "properties": {"next_at": {"type": "keyword"}}}});
        shared.call("PUT", &format!("/{index}"), mapping).await;
        assert!(refused().await.contains(reason), "{}", refused().await);
    }
}

#[tokio::test]
async fn one_of_two_provisions_at_once_wins() {
    let server = SearchServer::new(elasticsearch).await;
    let first = Shared::new(&server);
    let other = |fan_out| {
        let mut plan = first.plan.clone();
        plan.sources[0].max_fanout = fan_out;
        Shared { rest: first.rest, place: first.place.clone(), templates: first.templates.clone(), plan }
    };
    let (one, two) = (other(11), other(12));
    let (of_one, of_two) = tokio::join!(one.provision(), two.provision());
    let (winner, loser, lost) = match (of_one, of_two) {
        (Ok(_), Err(lost)) => (&one, &two, lost),
        (Err(lost), Ok(_)) => (&two, &one, lost),
        results => panic!("{results:?}"),
    };
    assert!(lost.to_string().contains("another `provision` stored another plan"), "{lost}");
    assert_eq!(winner.ledger().served().await.expect("it answers").plan, winner.plan);
    assert_eq!(wanted(&winner.changes().await), []);
    loser.provision().await.expect("nobody is in its way now");
    assert_eq!(loser.ledger().served().await.expect("it answers").plan, loser.plan);
}

#[tokio::test]
async fn a_release_asks_nothing_while_nothing_is_held() {
    for server in SERVERS {
        let shared = Shared::new(&SearchServer::new(server).await);
        shared.provision().await.expect("it can be made");
        let ledger = shared.ledger();
        let id = |number: u32| DocumentId::new(format!("m{number}")).expect("an id");
        let requests = async || {
            let (_, stats) = shared.call("GET", &format!("/{}/_stats", shared.index()), Value::Null).await;
            let of = |path: &str| {
                stats["_all"]["primaries"].pointer(path).and_then(Value::as_u64).expect("a count")
            };
            (
                of("/search/query_total"),
                of("/get/total") + of("/indexing/index_total") + of("/indexing/delete_total"),
            )
        };
        let (start, before) = (Instant::now(), requests().await);
        for batch in 0..400 {
            let completed =
                (0..25).map(|at| (id(25 * batch + at), DocumentVersion::from_stored(7))).collect();
            ledger.release(completed).await.expect("it answers");
        }
        let (seconds, after) = (start.elapsed().as_secs(), requests().await);
        assert!(after.0 - before.0 <= seconds + 1, "{before:?} {after:?} in {seconds} s");
        assert_eq!(after.1, before.1, "no document is read or written");

        let cause = HoldCause { subgraph: None, code: "SS405".into(), path: None, message: "no".into() };
        let hold = Hold {
            id: id(3),
            version: DocumentVersion::from_stored(8),
            cause,
            wants: indexer::revision::Wants::default(),
        };
        ledger.hold(vec![hold]).await.expect("it answers");
        ledger.release(vec![(id(3), DocumentVersion::from_stored(9))]).await.expect("it answers");
        assert_eq!(ledger.held_count().await.expect("it answers"), 0, "its own hold is seen at once");
    }
}

#[tokio::test]
async fn figures_of_the_dead_leave_the_ledger() {
    let shared = Shared::new(&SearchServer::new(elasticsearch).await);
    shared.provision().await.expect("it can be made");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
    let now = i64::try_from(now.as_millis()).expect("before the year 292 million");
    let publish = async |process: &str, at: i64| {
        let figures = Figures { process: process.to_owned(), at, ..Figures::default() };
        shared.ledger().publish(&figures).await.expect("it answers");
        shared.ledger().figures().await.expect("it answers").len()
    };
    assert_eq!(publish("killed an hour ago", now - 3_600_000).await, 0);
    assert_eq!(publish("killed just now", now - 20_000).await, 0);
    assert_eq!(publish("alive", now).await, 1);
    let rows = json!({"query": {"term": {"kind": "figures"}}, "sort": [{"process": "asc"}]});
    shared.call("POST", &format!("/{}/_refresh", shared.index()), Value::Null).await;
    let (_, found) = shared.call("POST", &format!("/{}/_search", shared.index()), rows).await;
    let hits = found["hits"]["hits"].as_array().expect("hits");
    let left: Vec<&Value> = hits.iter().map(|hit| &hit["_source"]["process"]).collect();
    assert_eq!(left, ["alive", "killed just now"]);
}

#[tokio::test]
async fn a_ledger_that_is_missing_is_not_made_by_being_written_to() {
    for server in SERVERS {
        let shared = Shared::new(&SearchServer::new(server).await);
        let ledger = shared.ledger();
        let figures = Figures { process: "p".to_owned(), ..Figures::default() };
        let results = [
            ledger.publish(&figures).await,
            ledger.state().await.map(drop),
            ledger.take_epoch(Epoch::ZERO).await.map(drop),
            ledger.held(None, 1).await.map(drop),
            ledger.held_count().await.map(drop),
            ledger
                .mark_replayed(vec![(DocumentId::new("m1").expect("an id"), DocumentVersion::from_stored(1))])
                .await,
            ElasticLedger::open(shared.client(), &shared.plan.name).await.map(drop),
        ];
        for result in results {
            let error = result.expect_err("it is missing");
            assert!(matches!(error, StateError::NotProvisioned(_)), "{error:?}");
            assert!(error.to_string().contains(&shared.rest.url), "{error}");
        }
        assert_eq!(shared.call("GET", &format!("/{}", shared.index()), Value::Null).await.0, 404);
    }
}

#[tokio::test]
async fn a_ledger_that_is_away_is_told_without_secrets() {
    let auth = ElasticAuth::Basic { user: "indexer".into(), password: "s3cret".into() };
    let place = place("http://someone:s3cret@127.0.0.1:9/s3cret", Some(auth));
    let client = Client::new(place.store.as_ref().expect("a server")).expect("an address");
    let ledger = ElasticLedger::new(client, "movies", PAUSES);
    let error = ledger.take_epoch(Epoch::ZERO).await.expect_err("nobody is there");
    assert!(matches!(error, StateError::Unreachable { .. }) && error.is_passing(), "{error:?}");
    assert!(
        error.to_string().contains("http://127.0.0.1:9") && !format!("{error:?}").contains("s3cret"),
        "{error:?}"
    );
}
