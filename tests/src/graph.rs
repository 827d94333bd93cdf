//! The real graph: three Apollo subgraphs behind `@apollo/gateway`, in one Node process that ends with the test.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{BufRead, BufReader},
    net::Ipv4Addr,
    path::Path,
    process::{Child, Command, Stdio},
    time::Duration,
};

use serde::Deserialize;
use serde_json::{Value, json, value::RawValue};

use crate::{
    link::{Link, NOBODY},
    packages, repository,
};

/// Documents asked for in one request by the test itself.
const BATCH: usize = 50;

/// The subgraphs, by their names in the supergraph.
pub const SUBGRAPHS: [&str; 3] = ["movies", "productions", "talent"];

/// A running graph. Its stdin closes when this is dropped, and it ends.
pub struct RealGraph {
    process: Child,
    client: reqwest::blocking::Client,
    /// The gateway's URL.
    pub gateway: String,
    admin: String,
    /// Where each part listens, by its name.
    ports: BTreeMap<String, u16>,
}

impl RealGraph {
    /// Installs the packages where that wasn't done, and starts the graph with its events in this folder.
    pub fn start(events: &Path) -> Self {
        Self::start_with(events, &[])
    }

    /// As [`RealGraph::start`], with only so many of the movies.
    pub fn start_small(events: &Path, movies: usize) -> Self {
        let data = tempfile::tempdir().expect("a temporary folder");
        write_first(movies, data.path());
        // The data are read before the graph says that it is there.
        Self::start_with(events, &["--data".to_owned(), data.path().display().to_string()])
    }

    /// As [`RealGraph::start_small`], with a way to each subgraph that can be broken.
    pub fn start_linked(events: &Path, movies: usize) -> (Self, BTreeMap<&'static str, Link>) {
        let data = tempfile::tempdir().expect("a temporary folder");
        write_first(movies, data.path());
        let mut arguments = vec!["--data".to_owned(), data.path().display().to_string()];
        let mut links = BTreeMap::new();
        for subgraph in SUBGRAPHS {
            let link = Link::to(NOBODY);
            arguments.extend(["--behind".to_owned(), format!("{subgraph}={}", link.address.port())]);
            links.insert(subgraph, link);
        }
        // The data are read before the graph says that it is there.
        let graph = Self::start_with(events, &arguments);
        for (subgraph, link) in &links {
            link.lead_to((Ipv4Addr::LOCALHOST, graph.ports[*subgraph]).into());
        }
        (graph, links)
    }

    fn start_with(events: &Path, arguments: &[String]) -> Self {
        packages::install(&repository().join("tests/gateway"), &[]);
        let mut process = Command::new("node")
            .arg("graph.mjs")
            .args(["--any-ports", "--events"])
            .arg(events)
            .args(arguments)
            .current_dir(repository().join("tests/gateway"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("these tests need Node 20 or newer on the PATH");
        let mut line = String::new();
        let stdout = process.stdout.take().expect("it is piped");
        BufReader::new(stdout).read_line(&mut line).expect("the graph says where it listens");
        let told: Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("the graph did not start: {line:?}"));
        let text = |name: &str| told[name].as_str().expect("an address").to_owned();
        let ports = BTreeMap::deserialize(&told["ports"]).expect("a number for each part");
        let client =
            reqwest::blocking::Client::builder().timeout(Duration::from_mins(1)).build().expect("a client");
        Self { process, client, gateway: text("gateway"), admin: text("admin"), ports }
    }

    /// One call of the admin API; fails on anything but success.
    pub fn post(&self, route: &str, body: &Value) {
        let (status, answer) = self.try_post(route, body);
        assert!((200..300).contains(&status), "POST {route} {body}: {status} {answer}");
    }

    /// One call of the admin API: the status and the text of its answer.
    pub fn try_post(&self, route: &str, body: &Value) -> (u16, String) {
        let response = self
            .client
            .post(format!("{}{route}", self.admin))
            .json(body)
            .send()
            .expect("the admin API answers");
        (response.status().as_u16(), response.text().unwrap_or_default())
    }

    /// Deletes a movie with everything that hangs on it.
    pub fn delete_movie(&self, id: &str) {
        let status = self.try_delete_movie(id);
        assert!((200..300).contains(&status), "DELETE {id}: {status}");
    }

    /// The status of the answer to the deletion of a movie.
    pub fn try_delete_movie(&self, id: &str) -> u16 {
        let response =
            self.client.delete(format!("{}/movies/{id}", self.admin)).send().expect("the admin API answers");
        response.status().as_u16()
    }

    /// Makes a subgraph fail in this way, or heals it.
    pub fn fail(&self, subgraph: &str, mode: Option<&str>) {
        self.post("/fail", &json!({"subgraph": subgraph, "mode": mode}));
    }

    /// Lets another subgraph join the graph: composition reads its schema from this address.
    pub fn join(&self, name: &str, url: &str) {
        self.post("/join", &json!({"name": name, "url": url}));
    }

    /// Requests and documents that the graph has seen.
    pub fn counts(&self) -> Value {
        self.get("/counts")
    }

    /// Starts counting anew.
    pub fn reset_counts(&self) {
        self.post("/counts/reset", &json!({}));
    }

    /// The supergraph with the addresses that are really in use.
    pub fn supergraph(&self) -> String {
        self.get("/supergraph")["sdl"].as_str().expect("a schema").to_owned()
    }

    fn get(&self, route: &str) -> Value {
        let response =
            self.client.get(format!("{}{route}", self.admin)).send().expect("the admin API answers");
        serde_json::from_str(&response.text().expect("text")).expect("JSON")
    }

    /// As [`RealGraph::ask`], where errors are part of the answer.
    pub fn answer(&self, query: &str, variables: &Value) -> Value {
        let body = json!({"query": query, "variables": variables});
        let response = self.client.post(&self.gateway).json(&body).send().expect("the gateway answers");
        serde_json::from_str(&response.text().expect("text")).expect("JSON")
    }

    /// Asks the gateway, as anyone would.
    pub fn ask(&self, query: &str, variables: &Value) -> Value {
        let parsed = |(name, raw): (String, Box<RawValue>)| {
            (name, serde_json::from_str(raw.get()).expect("an answer's slice is JSON"))
        };
        Value::Object(self.ask_raw(query, variables).into_iter().map(parsed).collect())
    }

    /// The answer's root fields as they were written.
    fn ask_raw(&self, query: &str, variables: &Value) -> BTreeMap<String, Box<RawValue>> {
        #[derive(Deserialize)]
        struct Answer {
            data: Option<BTreeMap<String, Box<RawValue>>>,
            errors: Option<Value>,
        }
        let body = json!({"query": query, "variables": variables});
        let response = self.client.post(&self.gateway).json(&body).send().expect("the gateway answers");
        let answer: Answer = serde_json::from_str(&response.text().expect("text")).expect("JSON");
        assert!(answer.errors.is_none(), "{query}: {:?}", answer.errors);
        answer.data.expect("data, where there are no errors")
    }

    /// The ids of every movie, by the query that backfills use.
    pub fn ids(&self) -> Vec<String> {
        let query = read("movie-ids.graphql");
        let mut ids = Vec::new();
        let mut after = Value::Null;
        loop {
            let page = self.ask(&query, &json!({"after": after}));
            let edges = page["movies"]["edges"].as_array().expect("edges");
            ids.extend(edges.iter().map(|edge| edge["node"]["movieId"].as_str().expect("an id").to_owned()));
            if page["movies"]["pageInfo"]["hasNextPage"] != true {
                return ids;
            }
            after = page["movies"]["pageInfo"]["endCursor"].clone();
        }
    }

    /// What the gateway answers for every movie, by the selection of `query.graphql`.
    pub fn documents(&self) -> BTreeMap<String, Value> {
        self.documents_of(&self.ids())
    }

    /// The same for these movies, of those that there are.
    pub fn documents_of(&self, ids: &[String]) -> BTreeMap<String, Value> {
        self.documents_by(&read("query.graphql"), ids)
    }

    /// The same by the selection of another template.
    pub fn documents_by(&self, query: &str, ids: &[String]) -> BTreeMap<String, Value> {
        let parsed = |(id, body): (String, Box<RawValue>)| {
            (id, serde_json::from_str(body.get()).expect("an answer's slice is JSON"))
        };
        let documents = self.bodies_by(query, ids).into_iter().map(parsed);
        documents.filter(|(_, document): &(String, Value)| !document.is_null()).collect()
    }

    /// What the gateway answers for every movie, as it wrote it.
    pub fn bodies(&self) -> BTreeMap<String, Box<RawValue>> {
        self.bodies_by(&read("query.graphql"), &self.ids())
    }

    fn bodies_by(&self, query: &str, ids: &[String]) -> BTreeMap<String, Box<RawValue>> {
        let (_, selection) = query.split_once("movie(movieId: $id)").expect("the template's root field");
        let selection = selection.trim_end().strip_suffix('}').expect("the operation's end");
        let mut bodies = BTreeMap::new();
        for ids in ids.chunks(BATCH) {
            // By variables, so that a gateway plans the same text once.
            let each = |part: fn(usize) -> String| (0..ids.len()).map(part).collect::<Vec<_>>().join(" ");
            let variables = each(|n| format!("$i{n}: ID!"));
            let fields = each(|n| format!("d{n}: movie(movieId: $i{n}) {{ ...F }}"));
            let query = format!("query({variables}) {{ {fields} }} fragment F on Movie {selection}");
            let values = ids.iter().enumerate().map(|(n, id)| (format!("i{n}"), Value::from(id.as_str())));
            let mut data = self.ask_raw(&query, &Value::Object(values.collect()));
            for (n, id) in ids.iter().enumerate() {
                bodies.insert(id.clone(), data.remove(&format!("d{n}")).expect("an answer for each"));
            }
        }
        bodies
    }
}

impl Drop for RealGraph {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

fn read(name: &str) -> String {
    std::fs::read_to_string(repository().join("configs/movies").join(name)).expect("a file of configs/movies")
}

/// Writes the graph's data files with the first movies alone, what is produced of them, and who is credited there.
fn write_first(movies: usize, folder: &Path) {
    let read = |domain: &str| -> Vec<Value> {
        let text = read(&format!("data/{domain}.json"));
        serde_json::from_str(&text).expect("a list")
    };
    let ids: BTreeSet<String> = (1..=movies).map(|n| format!("m{n}")).collect();
    let is_there = |id: &Value| id.as_str().is_some_and(|id| ids.contains(id));
    let mut talents = read("talents");
    for talent in &mut talents {
        talent["movies"].as_array_mut().expect("a list").retain(is_there);
    }
    talents.retain(|talent| talent["movies"] != json!([]));
    let of_these = |rows: Vec<Value>| rows.into_iter().filter(|row| is_there(&row["movieId"])).collect();
    let (movies, productions) = (of_these(read("movies")), of_these(read("productions")));
    for (domain, rows) in [("movies", movies), ("productions", productions), ("talents", talents)] {
        let text = Value::Array(rows).to_string();
        std::fs::write(folder.join(format!("{domain}.json")), text).expect("the folder is writable");
    }
}
