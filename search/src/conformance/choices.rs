//! Facets beside a choice, and what a caller is held to.

use serde_json::{Value, json};

use super::{World, checked, searches::Movies};
use crate::{FacetCounts, SearchRequest};

/// Runs all of it.
pub async fn run(world: &dyn World) {
    a_choice_shows_its_alternatives(world).await;
    no_option_reaches_past_a_restriction(world).await;
}

async fn facets(movies: &Movies, request: SearchRequest) -> Value {
    let facets = ["type", "actors.role", "released"].map(str::to_owned).to_vec();
    let response = movies.try_search(&SearchRequest { facets, ..request }).await.unwrap();
    serde_json::to_value(&response).unwrap()["facets"].clone()
}

fn counted(values: &[(&str, u64)]) -> Value {
    values.iter().map(|(value, count)| json!({"value": value, "count": count})).collect()
}

async fn a_choice_shows_its_alternatives(world: &dyn World) {
    let movies = Movies::three(world).await;
    let asked = async |filter: &str, facet_counts, text: Option<&str>| {
        let filter = Some(checked(filter, &movies.plan.fields));
        let text = text.map(str::to_owned);
        facets(&movies, SearchRequest { text, filter, facet_counts, ..SearchRequest::default() }).await
    };
    let short = "type == 'SHORT' AND NOT (released == true)";
    let matching = asked(short, FacetCounts::Matching, None).await;
    assert_eq!(matching["type"], counted(&[("SHORT", 1)]));
    let alternatives = asked(short, FacetCounts::Alternatives, None).await;
    assert_eq!(alternatives["type"], counted(&[("FEATURE", 1), ("SHORT", 1)]), "m2 is released");
    assert_eq!(alternatives["actors.role"], counted(&[("DIRECTOR", 1)]), "others go by the whole filter");
    assert_eq!(alternatives["released"], json!([]), "none of the short ones is");
    let of_elements = asked("actors[role == 'DIRECTOR']", FacetCounts::Alternatives, Some("ryan")).await;
    assert_eq!(of_elements["actors.role"], counted(&[("STAR", 1)]), "the text holds on");
    let mixed = asked("(type == 'SHORT' OR released == true)", FacetCounts::Alternatives, None).await;
    assert_eq!(
        mixed["type"],
        counted(&[("FEATURE", 1), ("SHORT", 1)]),
        "what asks of another field, too, stays"
    );
}

async fn no_option_reaches_past_a_restriction(world: &dyn World) {
    let movies = Movies::three(world).await;
    let filter = |text: &str| Some(checked(text, &movies.plan.fields));
    let restriction = filter("type != 'FEATURE'");
    for facet_counts in [FacetCounts::Matching, FacetCounts::Alternatives] {
        let request = SearchRequest {
            filter: filter("type == 'FEATURE' OR type == 'SHORT'"),
            restriction: restriction.clone(),
            facet_counts,
            ..SearchRequest::default()
        };
        assert_eq!(movies.try_search(&request).await.unwrap().total, 1);
        assert_eq!(facets(&movies, request).await["type"], counted(&[("SHORT", 1)]));
    }
    // A cursor of somebody who sees more is none for somebody who sees less.
    let all = SearchRequest { first: 1, sort: vec!["title".parse().unwrap()], ..SearchRequest::default() };
    let after = movies.try_search(&all).await.unwrap().next;
    assert_eq!(movies.code(&SearchRequest { restriction, after, ..all }).await, "SS710");
}
