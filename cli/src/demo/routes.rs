//! The demo graph over HTTP: GraphQL, and the same edit routes as `tests/gateway`.
//!
//! ```text
//! POST   /graphql               {"query", "variables", "operationName"}
//! POST   /edit/movies/{id}      {"title": "..", "releaseDate": null, ..}: fields by their GraphQL names
//! POST   /edit/productions/{id} {"status": "WRAPPED", ..}
//! POST   /edit/talents/{id}     {"name": ".."}
//! POST   /move                  {"movieId", "from"?, "to"?}: passes a movie's credit from one person to another
//! POST   /movies                {"title", "movieId"?, "production"?: {..} | null, "directors"?: [..], ..}
//! DELETE /movies/{id}
//! ```
//!
//! An edit answers 200 with `{"events":[{"file","key","op"}]}` when the graph shows it and its events are written; else 400, 404, 409 or 500
//! with `{"error"}`.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, post};
use axum::{Json, Router};
use serde_json::json;

use super::edits::{CreditMove, Edit, EditError, NewMovie, Patch};
use super::graph::DemoGraph;

pub(super) fn router(graph: DemoGraph) -> Router {
    Router::new()
        .route("/graphql", post(graphql))
        .route("/edit/movies/{id}", post(edit_movie))
        .route("/edit/productions/{id}", post(edit_production))
        .route("/edit/talents/{id}", post(edit_talent))
        .route("/move", post(move_credit))
        .route("/movies", post(create_movie))
        .route("/movies/{id}", delete(delete_movie))
        .with_state(graph)
}

type Graph = State<DemoGraph>;

async fn graphql(
    State(graph): Graph,
    Json(request): Json<async_graphql::Request>,
) -> Json<async_graphql::Response> {
    Json(graph.execute(request).await)
}

async fn edit_movie(State(graph): Graph, Path(id): Path<String>, Json(patch): Json<Patch>) -> Response {
    made(&graph, Edit::Movie { id, patch })
}

async fn edit_production(State(graph): Graph, Path(id): Path<String>, Json(patch): Json<Patch>) -> Response {
    made(&graph, Edit::Production { id, patch })
}

async fn edit_talent(State(graph): Graph, Path(id): Path<String>, Json(patch): Json<Patch>) -> Response {
    made(&graph, Edit::Talent { id, patch })
}

async fn move_credit(State(graph): Graph, Json(credit): Json<CreditMove>) -> Response {
    made(&graph, Edit::Move(credit))
}

async fn create_movie(State(graph): Graph, Json(movie): Json<NewMovie>) -> Response {
    made(&graph, Edit::CreateMovie(movie))
}

async fn delete_movie(State(graph): Graph, Path(id): Path<String>) -> Response {
    made(&graph, Edit::DeleteMovie { id })
}

/// Edits run on the request's own thread: a few map operations and one short append.
fn made(graph: &DemoGraph, edit: Edit) -> Response {
    match graph.edit(edit) {
        Ok(told) => Json(json!({ "events": told })).into_response(),
        Err(error) => {
            let status = match error {
                EditError::Missing { .. } => StatusCode::NOT_FOUND,
                EditError::Conflict(_) => StatusCode::CONFLICT,
                EditError::Invalid(_) => StatusCode::BAD_REQUEST,
                EditError::Untold(_) => StatusCode::INTERNAL_SERVER_ERROR,
            };
            (status, Json(json!({ "error": error.to_string() }))).into_response()
        }
    }
}
