//! Addresses, and how a question is read off a request.

use std::{sync::Arc, time::Duration};

use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, FromRequest, Path, Query, Request, State, rejection::BytesRejection},
    http::{Method, StatusCode},
    middleware::{self, Next},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use plan::code::search as codes;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::{
    sync::{Semaphore, watch},
    time::timeout,
};

use super::{
    Catalog,
    asker::Asker,
    desk::{Desk, Hall},
    question::{CountQuestion, FromPairs, Pairs, SearchQuestion, SuggestQuestion},
    refusal::Refusal,
    subgraph::{Asked, Desks},
};
use crate::{Hit, SearchResponse};

/// The largest body: a filter and a text of the largest size, written with escapes.
const MAX_BODY_BYTES: usize = 256 << 10;

/// Requests in the house, those whose body is still coming among them.
const MAX_REQUESTS: usize = 512;

/// How long a request may take from its head to its answer.
const DONE_WITHIN: Duration = Duration::from_secs(20);

/// How long the stores have to answer a probe.
const READY_WITHIN: Duration = Duration::from_secs(5);

#[derive(Clone)]
struct Shared {
    hall: Arc<Hall>,
    catalog: watch::Receiver<Arc<Catalog>>,
    doors: Arc<Semaphore>,
}

impl Shared {
    fn catalog(&self) -> Arc<Catalog> {
        Arc::clone(&self.catalog.borrow())
    }

    fn desk(&self, index: &str) -> Result<Desk, Refusal> {
        let catalog = self.catalog();
        let Desks(desks) = &*catalog.desks;
        desks.get(index).cloned().ok_or_else(|| {
            let served: Vec<&str> = desks.keys().map(String::as_str).collect();
            not_found(format!("there is no index {index:?}"))
                .help(format!("served are: {}", served.join(", ")))
        })
    }
}

pub(super) fn router(hall: Arc<Hall>, catalog: watch::Receiver<Arc<Catalog>>) -> Router {
    let shared = Shared { hall, catalog, doors: Arc::new(Semaphore::new(MAX_REQUESTS)) };
    let bounded = middleware::from_fn_with_state(shared.clone(), bounded);
    Router::new()
        .route("/indexes", get(indexes))
        .route("/indexes/{index}/search", get(search).post(search))
        .route("/indexes/{index}/count", get(count).post(count))
        .route("/indexes/{index}/suggest", get(suggest).post(suggest))
        .route("/indexes/{index}/documents/{id}", get(document))
        .route("/graphql", post(graphql))
        .route("/openapi.json", get(openapi))
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(ready))
        .route("/metrics", get(async |State(shared): State<Shared>| shared.hall.metrics.show()))
        .fallback(async || not_found("nothing is at this address"))
        .method_not_allowed_fallback(async || {
            let message = "this address is not asked in this way";
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, codes::SS719, message)
        })
        .layer(DefaultBodyLimit::max(MAX_BODY_BYTES))
        .layer(bounded)
        .with_state(shared)
}

fn not_found(message: impl Into<String>) -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, codes::SS720, message)
}

/// Lets so many requests in and bounds their time, that of sending them included.
async fn bounded(State(shared): State<Shared>, request: Request, next: Next) -> Response {
    let Ok(_door) = shared.doors.try_acquire() else { return Refusal::too_many().into_response() };
    timeout(DONE_WITHIN, next.run(request)).await.unwrap_or_else(|_| {
        let message = format!("the request was not there and answered within {} s", DONE_WITHIN.as_secs());
        Refusal::new(StatusCode::REQUEST_TIMEOUT, codes::SS715, message).into_response()
    })
}

/// A question in the body of a POST, or in the address of a GET.
struct Asking<Q>(Q);

impl<Q, S> FromRequest<S> for Asking<Q>
where
    Q: FromPairs + DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Refusal;

    async fn from_request(request: Request, state: &S) -> Result<Self, Refusal> {
        if request.method() == Method::POST {
            return json_body(Bytes::from_request(request, state).await).map(Self);
        }
        let pairs = Query::<Pairs>::try_from_uri(request.uri());
        let Query(pairs) = pairs.map_err(|error| Refusal::unreadable(error.body_text()))?;
        Q::from_pairs(pairs).map(Self)
    }
}

fn json_body<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|error| Refusal::new(error.status(), codes::SS719, error.body_text()))?;
    // A list would be read as the values of the names in their order.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::unreadable("the body is no JSON object"));
    }
    serde_json::from_slice(&body)
        .map_err(|error| Refusal::unreadable(format!("the body can't be read: {error}")))
}

async fn indexes(State(shared): State<Shared>) -> Json<Value> {
    let catalog = shared.catalog();
    let Desks(desks) = &*catalog.desks;
    let told = desks.values().map(|desk| {
        let plan = desk.plan();
        json!({
            "name": plan.name,
            "description": plan.description,
            "entity": plan.entity,
            "version": desk.version(),
            "facets": plan.search.facets,
            "suggest": crate::suggested_fields(plan),
        })
    });
    Json(json!({ "indexes": told.collect::<Vec<_>>() }))
}

async fn search(
    State(shared): State<Shared>,
    asker: Asker,
    Path(index): Path<String>,
    asking: Result<Asking<SearchQuestion>, Refusal>,
) -> Result<Json<SearchResponse>, Refusal> {
    let (desk, Asking(question)) = (shared.desk(&index)?, asking?);
    desk.search(&asker, question).await.map(Json)
}

async fn count(
    State(shared): State<Shared>,
    asker: Asker,
    Path(index): Path<String>,
    asking: Result<Asking<CountQuestion>, Refusal>,
) -> Result<Json<Value>, Refusal> {
    let (desk, Asking(question)) = (shared.desk(&index)?, asking?);
    let total = desk.count(&asker, question).await?;
    Ok(Json(json!({ "total": total })))
}

async fn suggest(
    State(shared): State<Shared>,
    asker: Asker,
    Path(index): Path<String>,
    asking: Result<Asking<SuggestQuestion>, Refusal>,
) -> Result<Json<Value>, Refusal> {
    let (desk, Asking(question)) = (shared.desk(&index)?, asking?);
    let suggestions = desk.suggest(&asker, question).await?;
    Ok(Json(json!({ "suggestions": suggestions })))
}

async fn document(
    State(shared): State<Shared>,
    asker: Asker,
    Path((index, id)): Path<(String, String)>,
) -> Result<Response, Refusal> {
    let Hit { id, document, .. } = shared.desk(&index)?.document(&asker, &id).await?;
    Ok(Json(Document { id: id.as_str(), document: &document }).into_response())
}

/// A document as the graph answered it.
#[derive(serde::Serialize)]
struct Document<'d> {
    id: &'d str,
    document: &'d serde_json::value::RawValue,
}

async fn graphql(
    State(shared): State<Shared>,
    asker: Asker,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let request: async_graphql::Request = json_body(body)?;
    let answer = shared.catalog().schema.execute(request.data(Asked::default()).data(asker)).await;
    Ok(Json(answer).into_response())
}

async fn openapi(State(shared): State<Shared>) -> Json<Value> {
    Json(shared.catalog().openapi.clone())
}

/// Whether every store answers. A probe must not wait as long as a search would.
async fn ready(State(shared): State<Shared>) -> Response {
    let catalog = shared.catalog();
    let mut troubles = Vec::new();
    for (name, desk) in &catalog.desks.0 {
        let trouble = match timeout(READY_WITHIN, desk.is_ready()).await {
            Ok(Ok(())) => continue,
            Ok(Err(error)) => format!("{}: {}", error.code(), error.code().title),
            Err(_) => format!("the store did not answer within {READY_WITHIN:?}"),
        };
        troubles.push(format!("{name}: {trouble}\n"));
    }
    match troubles.is_empty() {
        true => "ok\n".into_response(),
        false => (StatusCode::SERVICE_UNAVAILABLE, troubles.concat()).into_response(),
    }
}
