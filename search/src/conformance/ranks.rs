//! What numbers and dates do to the rank, and that the parts of a score make the score.

use std::collections::BTreeMap;

use plan::{
    filter::date,
    index_plan::{Boost, BoostModifier, Recency},
};
use serde_json::json;

use super::{
    World, ids,
    searches::{Movies, movie_plan, text},
};
use crate::{SearchRequest, Sent};

/// Runs all of it.
pub async fn run(world: &dyn World) {
    a_number_raises_the_rank(world).await;
    a_date_raises_the_rank_the_more_the_later_it_is(world).await;
    the_parts_of_a_score_make_it(world).await;
    a_search_without_text_has_no_score(world).await;
}

async fn a_number_raises_the_rank(world: &dyn World) {
    let mut plan = movie_plan();
    plan.search.boost =
        vec![Boost { field: "budget".to_owned(), modifier: BoostModifier::Log1p, factor: 5.0 }];
    let budgets = [("a", json!(null)), ("b", json!(9)), ("c", json!(99)), ("d", json!(-5))];
    let documents = budgets.map(|(id, budget)| (id.to_owned(), json!({"title": "Crash", "budget": budget})));
    let movies = Movies::of(world, plan, &documents).await;
    let response = movies.try_search(&text("crash")).await.unwrap();
    assert_eq!(ids(&response), ["c", "b", "a", "d"]);
    let score = |at: usize| response.hits[at].score.unwrap();
    // Some stores keep scores in 32 bits.
    assert!((score(0) / score(2) - 11.0).abs() < 1e-4 && (score(1) / score(2) - 6.0).abs() < 1e-4);
}

async fn a_date_raises_the_rank_the_more_the_later_it_is(world: &dyn World) {
    let mut plan = movie_plan();
    let day = 86_400_000;
    plan.search.recency =
        Some(Recency { field: "releaseDate".to_owned(), half_life_ms: 10 * day, factor: 4.0 });
    // Searches here are asked at the beginning of Unix time.
    let at = |days: i64| date::timestamp(-days * i64::try_from(day).unwrap()).to_string();
    let dates = [
        ("a", json!(null)),
        ("b", json!(at(10))),
        ("c", json!(at(0))),
        ("d", json!(at(-365))),
        ("e", json!(at(20))),
        ("f", json!("not a date")),
        ("g", json!(at(36_500))),
    ];
    let documents = dates.map(|(id, date)| (id.to_owned(), json!({"title": "Crash", "releaseDate": date})));
    let movies = Movies::of(world, plan, &documents).await;
    let response = movies.try_search(&text("crash")).await.unwrap();
    let scores: BTreeMap<&str, f64> =
        response.hits.iter().map(|hit| (hit.id.as_str(), hit.score.unwrap())).collect();
    for (id, times) in [("b", 3.0), ("c", 5.0), ("d", 5.0), ("e", 2.0), ("f", 1.0), ("g", 1.0)] {
        // Some stores keep scores in 32 bits.
        assert!((scores[id] / scores["a"] - times).abs() < 1e-4, "{id}: {scores:?}");
    }
    assert_eq!(ids(&response)[2..4], ["b", "e"]);
}

async fn the_parts_of_a_score_make_it(world: &dyn World) {
    let mut plan = movie_plan();
    let boost = |field: &str| Boost { field: field.to_owned(), modifier: BoostModifier::Log1p, factor: 0.5 };
    plan.search.boost = vec![boost("budget"), boost("rating")];
    let half_life_ms = 86_400_000;
    plan.search.recency = Some(Recency { field: "releaseDate".to_owned(), half_life_ms, factor: 1.0 });
    let documents = [
        (
            "a",
            json!({"title": "Crash landing", "synopsis": "They land after the crash", "budget": 99, "releaseDate": "1969-12-31"}),
        ),
        ("b", json!({"title": "Land", "actors": [{"name": "Crash Bandi"}, {"name": "Ada"}], "rating": 9.0})),
        ("c", json!({"title": "The landing of the crash and the crash again", "synopsis": "A crash"})),
    ];
    let documents = documents.map(|(id, document)| (id.to_owned(), document));
    let movies = Movies::of(world, plan, &documents).await;
    let request = text("crash land");
    let explanation = movies.explain(&request).await;
    let answered = movies.try_search(&request).await.unwrap();
    assert_eq!(ids(&explanation.response), ids(&answered), "the answer is that of the search");
    assert_eq!(explanation.scores.len(), 3);
    for (parts, hit) in explanation.scores.iter().zip(&answered.hits) {
        assert_eq!((&parts.id, Some(parts.score)), (&hit.id, hit.score));
        let times: f64 = parts.multipliers.iter().map(|multiplier| multiplier.times).product();
        let whole = parts.text() * times;
        assert!((whole / parts.score - 1.0).abs() < 1e-3, "{whole} {parts:?}");
        assert!(parts.terms.iter().all(|term| term.score > 0.0), "{parts:?}");
        let fields: Vec<&str> =
            parts.multipliers.iter().map(|multiplier| multiplier.field.as_str()).collect();
        assert_eq!(fields, ["budget", "rating", "releaseDate"]);
    }
    let of = |id: &str| explanation.scores.iter().find(|parts| parts.id.as_str() == id).unwrap();
    let times = |id: &str, at: usize| of(id).multipliers[at].times;
    assert!(
        (times("a", 0) - 2.0).abs() < 1e-9
            && (times("a", 2) - 1.5).abs() < 1e-9
            && (times("c", 0) - 1.0).abs() < 1e-9
    );
    let fields_of = |id: &str, term: &str| {
        let terms = of(id).terms.iter().filter(|part| part.term == term);
        let mut fields: Vec<&str> = terms.map(|part| part.field.as_str()).collect();
        fields.sort_unstable();
        fields.join(" ")
    };
    assert_eq!(fields_of("a", "crash"), "synopsis title");
    assert_eq!(fields_of("b", "crash"), "people");
    assert_eq!(fields_of("b", "land"), "title");
    for sent in &explanation.sent {
        match sent {
            Sent::Sql { text, parameters } => {
                assert_eq!(text.matches('?').count(), parameters.len(), "{text}");
            }
            Sent::Request { path, body, curl } => {
                assert!(curl.contains(path.as_str()) && body["query"].is_object(), "{curl}");
            }
        }
    }
}

async fn a_search_without_text_has_no_score(world: &dyn World) {
    let movies = Movies::three(world).await;
    let explanation = movies.explain(&SearchRequest::default()).await;
    assert_eq!((explanation.scores.len(), explanation.response.total), (0, 3));
    let nothing = movies.explain(&text("***")).await;
    assert_eq!((nothing.sent, nothing.response.total), (Vec::new(), 0));
}
