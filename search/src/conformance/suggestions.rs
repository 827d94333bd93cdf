//! Suggestions: whole values by what is typed, under a filter.

use plan::DocumentVersion;
use serde_json::{Value, json};

use super::{TestIndex, World, checked, id, searches::movie_plan};
use crate::{DocumentWrite, SuggestRequest, Suggestion};

/// Runs all of it.
pub async fn run(world: &dyn World) {
    whole_values_hold_what_is_typed(world).await;
    a_filter_hides_values(world).await;
    only_declared_fields_are_suggested(world).await;
}

async fn movies(world: &dyn World) -> Box<dyn TestIndex> {
    let mut plan = movie_plan();
    plan.search.suggest = ["title", "type", "actors.name"].map(str::to_owned).to_vec();
    let index = world.index(plan).await;
    let star = |name: &str| json!({"name": name, "role": "STAR"});
    let movies: [(&str, Value); 6] = [
        (
            "m1",
            json!({"title": "Crash Landing", "type": "FEATURE", "actors": [star("Ryan Müller"), star("Ada Ray")]}),
        ),
        (
            "m2",
            json!({"title": "The Crash", "type": "FEATURE", "actors": [star("Ryan Müller"), star("Ryan Müller")]}),
        ),
        ("m3", json!({"title": "Amélie's crashing car", "type": "SHORT", "actors": [star("Rya Crasso")]})),
        (
            "m4",
            json!({"title": "Crash Landing", "type": "UNANNOUNCED FEATURE", "actors": [star("Ryan Secret")]}),
        ),
        ("m5", json!({"title": null, "type": null})),
        ("m6", json!({"title": "Crash of the deleted"})),
    ];
    let put = async |name: &str, version, body: Option<&str>| {
        let version = DocumentVersion::from_stored(version);
        let id = id(name);
        index.write(&[DocumentWrite { id: &id, version, body, fetched_at_ms: 0, missing: &[] }]).await;
    };
    for (name, movie) in &movies {
        put(name, 1, Some(&movie.to_string())).await;
    }
    put("m6", 2, None).await;
    index
}

fn typed(prefix: &str) -> SuggestRequest {
    SuggestRequest { prefix: prefix.to_owned(), ..SuggestRequest::default() }
}

async fn suggested(index: &dyn TestIndex, request: SuggestRequest) -> Vec<(String, String, u64)> {
    let suggestions = index.suggest(&request, 0).await.unwrap();
    suggestions.into_iter().map(|Suggestion { path, value, count }| (path, value, count)).collect()
}

fn one(path: &str, value: &str, count: u64) -> (String, String, u64) {
    (path.to_owned(), value.to_owned(), count)
}

async fn whole_values_hold_what_is_typed(world: &dyn World) {
    let index = movies(world).await;
    let of = async |prefix: &str| suggested(&*index, typed(prefix)).await;
    let crashes = [
        one("title", "Crash Landing", 2),
        one("title", "Amélie's crashing car", 1),
        one("actors.name", "Rya Crasso", 1),
        one("title", "The Crash", 1),
    ];
    assert_eq!(of("CRA").await, crashes, "what begins so comes first, then what most documents hold");
    assert_eq!(
        of("crash la").await,
        [one("title", "Crash Landing", 2)],
        "words in order, the last one unfinished"
    );
    assert_eq!(of("landing cra").await, [one("title", "Crash Landing", 2)], "words in any order");
    assert_eq!(of("cra landing").await, [], "only the last word may be unfinished");
    assert_eq!(of("amelie").await, [one("title", "Amélie's crashing car", 1)]);
    let ryans = [one("actors.name", "Ryan Müller", 2), one("actors.name", "Ryan Secret", 1)];
    assert_eq!(of("ryan").await, ryans, "elements beside it are not suggested, and documents are counted");
    let features = [one("type", "FEATURE", 2), one("type", "UNANNOUNCED FEATURE", 1)];
    assert_eq!(of("feat").await, features, "keywords are whole values, too");
    for nothing in ["", "  ", "\"*?", "deleted", "xyz", &"long".repeat(30)] {
        assert_eq!(of(nothing).await, [], "{nothing:?}");
    }
    let first = SuggestRequest { first: 1, ..typed("cra") };
    assert_eq!(suggested(&*index, first).await, crashes[..1]);
    let names = SuggestRequest { paths: vec!["actors.name".to_owned()], ..typed("cra") };
    assert_eq!(suggested(&*index, names).await, [one("actors.name", "Rya Crasso", 1)]);
}

async fn a_filter_hides_values(world: &dyn World) {
    let index = movies(world).await;
    let announced = checked("type != 'UNANNOUNCED FEATURE'", &movie_plan().fields);
    let of = async |prefix: &str| {
        suggested(&*index, SuggestRequest { filter: Some(announced.clone()), ..typed(prefix) }).await
    };
    assert_eq!(of("secret").await, []);
    assert_eq!(of("ryan").await, [one("actors.name", "Ryan Müller", 2)]);
    assert_eq!(of("unann").await, []);
    assert_eq!(of("landing").await, [one("title", "Crash Landing", 1)], "what is hidden is not counted");
}

async fn only_declared_fields_are_suggested(world: &dyn World) {
    let index = movies(world).await;
    let code = async |request: SuggestRequest| index.suggest(&request, 0).await.unwrap_err().code().id;
    let of = |path: &str| SuggestRequest { paths: vec![path.to_owned()], ..typed("cra") };
    for path in ["actors.role", "synopsis", "titel", "actors", ""] {
        assert_eq!(code(of(path)).await, "SS718", "{path}");
    }
    assert_eq!(code(SuggestRequest { first: 101, ..typed("cra") }).await, "SS712");
    assert_eq!(code(typed(&"x".repeat(17_000))).await, "SS713");
    let silent = world.index(movie_plan()).await;
    assert_eq!(silent.suggest(&typed("cra"), 0).await.unwrap_err().code().id, "SS718");
}
