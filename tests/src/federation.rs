//! Apollo's composition and query planner in Node: the judge of which subgraph answers which field.

use std::{
    collections::{BTreeMap, BTreeSet},
    process::Command,
};

use serde_json::Value;

use crate::{packages, repository};

/// A federated graph.
pub struct Graph {
    /// Its name in `graphs.mjs`.
    pub name: String,
    /// The supergraph as Apollo composed it.
    pub sdl: String,
    /// The coordinates that each subgraph defines, such as `Movie.title`.
    pub fields: BTreeMap<String, BTreeSet<String>>,
}

/// A query with the plan that Apollo makes for it.
pub struct Case {
    /// The graph's name.
    pub graph: String,
    /// The text.
    pub query: String,
    /// The subgraphs that are asked for each path of the answer that is a leaf there.
    pub plan: BTreeMap<String, Vec<String>>,
}

/// The graphs, and as many planned queries for each as wanted, the same for the same seed.
pub fn plans(seed: u32, count: u32) -> (Vec<Graph>, Vec<Case>) {
    let folder = repository().join("tests/federation");
    packages::install(&folder, &[]);
    let output = Command::new("node")
        .args(["plans.mjs", &seed.to_string(), &count.to_string()])
        .current_dir(folder)
        .output()
        .expect("these tests need Node 20 or newer on the PATH");
    assert!(output.status.success(), "plans.mjs failed:\n{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let (mut graphs, mut cases) = (Vec::new(), Vec::new());
    for line in text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON")) {
        let word = |name: &str| line[name].as_str().expect("a text").to_owned();
        if line["sdl"].is_string() {
            graphs.push(Graph { name: word("graph"), sdl: word("sdl"), fields: lists(&line["fields"]) });
        } else {
            cases.push(Case { graph: word("graph"), query: word("query"), plan: lists(&line["plan"]) });
        }
    }
    (graphs, cases)
}

/// An object of lists of texts.
fn lists<T: FromIterator<String>>(object: &Value) -> BTreeMap<String, T> {
    let texts = |list: &Value| {
        let texts = list.as_array().expect("a list").iter();
        texts.map(|text| text.as_str().expect("a text").to_owned()).collect()
    };
    let fields = object.as_object().expect("an object").iter();
    fields.map(|(name, list)| (name.clone(), texts(list))).collect()
}
