//! The gateway: reads one subgraph after the other, so that a document is never of one moment, and fails in every way it can.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use plan::DocumentId;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::answer;
use crate::{
    graph::{Graph, GraphError, GraphRequest},
    run::simulation::{
        movies::{SHORT, TIMEOUT_MS, is_of_documents},
        mutant::Mutant,
        world::{Failure, World},
    },
};

/// Ids on one page of an enumeration.
const PAGE: usize = 3;

/// The client of a process.
pub(in super::super) struct Gateway(pub Arc<World>);

#[async_trait]
impl Graph for Gateway {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let (world, request) = (Arc::clone(&self.0), request.clone());
        let ids: Vec<DocumentId> = request
            .variables
            .values()
            .filter_map(Value::as_str)
            .filter_map(|id| DocumentId::new(id).ok())
            .collect();
        world.notes().begin(&ids);
        if is_of_documents(&request.operation_name) {
            world.witness().fetched(&ids);
        }
        let server = tokio::spawn(async move {
            world.road().await;
            let answered = answered(&world, &request).await;
            world.road().await;
            answered
        });
        let waited = timeout(Duration::from_millis(TIMEOUT_MS), answer(server)).await;
        self.0.notes().end(&ids);
        waited.unwrap_or_else(|_| Err(unavailable("it did not answer in time", None)))
    }
}

fn unavailable(reason: &str, retry_after: Option<Duration>) -> GraphError {
    GraphError::Unavailable { reason: reason.to_owned(), retry_after }
}

async fn answered(world: &World, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
    let (fails, is_late) = { (world.dice.says(world.weather().gateway), world.dice.says(0.5)) };
    if fails && !is_late {
        return Err(failure(world));
    }
    let answer = match request.operation_name.as_str() {
        name if is_of_documents(name) => documents(world, &request.variables, name == SHORT).await,
        "MoviesOf" => movies_of(world, &request.variables).await,
        _ => movies(world, &request.variables).await,
    };
    let mut body = answer.to_string().into_bytes();
    if fails && world.dice.says(0.5) {
        return Err(failure(world));
    }
    if fails {
        body.truncate(world.dice.below(body.len()));
    }
    Ok(body)
}

fn failure(world: &World) -> GraphError {
    let retry_after = world.dice.says(0.3).then_some(Duration::from_secs(1));
    if world.dice.says(0.3) {
        return GraphError::Busy { reason: "429".to_owned(), retry_after };
    }
    unavailable("503", retry_after)
}

/// One document for each variable, under its alias.
async fn documents(world: &World, variables: &Map<String, Value>, is_short: bool) -> Value {
    let mut answer = Answer::default();
    let asked: Vec<(String, String)> =
        variables.iter().map(|(name, id)| (name.replace("id", "d"), text(id).to_owned())).collect();
    let down = |subgraph| world.weather().down.get(subgraph).copied();
    let failing = down("movies");
    for (alias, id) in &asked {
        let movie = world.truth().movie(id).unwrap_or_default();
        match failing {
            Some(failure) => answer.fail(alias, "", failure, "movies"),
            None => drop(answer.data.insert(alias.clone(), movie)),
        }
    }
    for (subgraph, field) in
        [("people", "director.name"), ("productions", "production"), ("talent", "actors")]
    {
        if is_short && field == "production" {
            continue;
        }
        world.pause(1..40).await;
        let failing = down(subgraph);
        for (alias, id) in &asked {
            let Some(document) = answer.data.get_mut(alias).filter(|document| !document.is_null()) else {
                continue;
            };
            let person = document["director"]["personId"].as_str().map(str::to_owned);
            if field == "director.name" && person.is_none() {
                continue;
            }
            if let Some(failure) = failing {
                answer.fail(alias, field, failure, subgraph);
                continue;
            }
            let truth = world.truth();
            match (field, person) {
                ("director.name", Some(person)) => document["director"]["name"] = truth.name(&person),
                ("production", _) => document["production"] = truth.production(id),
                _ => document["actors"] = truth.actors(id),
            }
        }
    }
    answer.into_value(world.mutant)
}

async fn movies_of(world: &World, variables: &Map<String, Value>) -> Value {
    world.pause(1..40).await;
    let mut answer = Answer::default();
    match world.weather().down.get("talent") {
        Some(failure) => answer.fail("talent", "", *failure, "talent"),
        None => drop(answer.data.insert("talent".into(), world.truth().movies_of(text(&variables["id"])))),
    }
    answer.into_value(world.mutant)
}

async fn movies(world: &World, variables: &Map<String, Value>) -> Value {
    world.pause(1..40).await;
    let offset = variables.get("offset").and_then(Value::as_u64).unwrap_or(0);
    let offset = usize::try_from(offset).expect("few movies");
    let mut answer = Answer::default();
    let failing = world.weather().down.get("movies").copied();
    if let Some(failure) = failing {
        answer.fail("movies", "", failure, "movies");
    } else {
        let ids = world.truth().movies().into_iter().skip(offset).take(PAGE);
        answer.data.insert("movies".into(), ids.map(|id| json!({"movieId": id})).collect());
    }
    answer.into_value(world.mutant)
}

fn text(value: &Value) -> &str {
    value.as_str().expect("ids are strings")
}

/// An answer that grows part by part.
#[derive(Default)]
struct Answer {
    data: Map<String, Value>,
    is_empty: bool,
    errors: Vec<Value>,
}

impl Answer {
    /// Puts null where a subgraph failed, or wherever that null led.
    fn fail(&mut self, alias: &str, field: &str, failure: Failure, subgraph: &str) {
        let path: Vec<&str> =
            std::iter::once(alias).chain(field.split('.').filter(|name| !name.is_empty())).collect();
        self.errors.push(match failure {
            Failure::Redacted => json!({"message": "something failed"}),
            _ => json!({"message": format!("{subgraph} is down"), "path": path}),
        });
        match (failure, &path[1..]) {
            (Failure::Field, [name]) => self.data[alias][*name] = Value::Null,
            (Failure::Field, [outer, inner]) => self.data[alias][*outer][*inner] = Value::Null,
            (Failure::Field | Failure::Root, _) => drop(self.data.insert(alias.to_owned(), Value::Null)),
            (Failure::Answer | Failure::Redacted, _) => {
                self.data.insert(alias.to_owned(), Value::Null);
                self.is_empty = true;
            }
        }
    }

    fn into_value(self, mutant: Option<Mutant>) -> Value {
        let data = if self.is_empty { Value::Null } else { Value::Object(self.data.clone()) };
        match (mutant, self.errors.is_empty()) {
            (_, true) => json!({"data": data}),
            (Some(Mutant::DeleteOnError), false) => json!({"data": self.data}),
            (_, false) => json!({"data": data, "errors": self.errors}),
        }
    }
}
