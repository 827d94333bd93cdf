//! A gateway in process: it answers every request after the same while, and counts them.

use std::{
    collections::HashMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use indexer::graph::{Graph, GraphError, GraphRequest};
use serde_json::{Map, Value, json};

/// How long an answer takes.
const TAKES: Duration = Duration::from_millis(20);

/// The prefix of movies that have the hot director.
pub(crate) const HOLDER: char = 'm';

/// What it was asked, and what it knows.
#[derive(Default)]
pub(crate) struct Gateway {
    pub(crate) requests: AtomicUsize,
    /// Requests for at least one movie of the hot director.
    pub(crate) requests_for_holders: AtomicUsize,
    /// Documents.
    pub(crate) documents: AtomicUsize,
    titles: Mutex<HashMap<String, usize>>,
}

impl Gateway {
    /// Gives a movie another title.
    pub(crate) fn rename(&self, id: &str, title: usize) {
        self.titles.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), title);
    }

    fn movie(&self, id: &str) -> Value {
        let titles = self.titles.lock().unwrap_or_else(PoisonError::into_inner);
        movie(id, titles.get(id).copied().unwrap_or(0))
    }
}

/// A movie as the gateway answers it.
pub(crate) fn movie(id: &str, title: usize) -> Value {
    let director = id.starts_with(HOLDER).then(|| json!({"talentId": "hot", "name": "Ana Núñez"}));
    json!({"movieId": id, "title": title.to_string(), "revision": 1, "director": director})
}

#[async_trait]
impl Graph for Gateway {
    async fn send(&self, request: &GraphRequest) -> Result<Vec<u8>, GraphError> {
        let asked: Vec<(&String, &str)> =
            request.variables.iter().filter_map(|(name, id)| Some((name, id.as_str()?))).collect();
        self.requests.fetch_add(1, Ordering::Relaxed);
        self.documents.fetch_add(asked.len(), Ordering::Relaxed);
        let is_for_holders = asked.iter().any(|(_, id)| id.starts_with(HOLDER));
        self.requests_for_holders.fetch_add(usize::from(is_for_holders), Ordering::Relaxed);
        let data: Map<String, Value> =
            asked.iter().map(|(name, id)| (name.replace("id", "d"), self.movie(id))).collect();
        tokio::time::sleep(TAKES).await;
        Ok(json!({ "data": data }).to_string().into_bytes())
    }
}
