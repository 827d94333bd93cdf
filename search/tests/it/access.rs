//! Policies at the search port: who is believed, and that nothing that can be asked gets past what a caller may see.

use plan::{
    IndexPlan,
    index_plan::{AccessPlan, Policies},
};
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use crate::serve::{Port, movies, plan, refused, told};

/// Who is named nowhere may see no features, and there is one: m1, "Crash Landing".
fn held() -> IndexPlan {
    let policies = [("default", "type != 'FEATURE'"), ("staff", "true"), ("nobody", "false")];
    let policies = policies.map(|(caller, filter)| (caller.to_owned(), filter.to_owned())).into();
    let access = AccessPlan { header: "x-caller".to_owned(), policies: Policies::Filters(policies) };
    let mut plan = plan();
    plan.search.access = Some(access);
    plan
}

async fn open() -> Port {
    Port::of(held(), "127.0.0.1:0", movies(), &["secret"]).await
}

fn staff(request: RequestBuilder) -> RequestBuilder {
    request.bearer_auth("secret").header("X-Caller", "staff")
}

/// Every way to ask for something, as widely as it can be asked.
fn attempts(port: &Port) -> Vec<RequestBuilder> {
    let filters = [
        "true",
        "type == 'FEATURE'",
        "type == 'FEATURE' OR true",
        "NOT (type != 'FEATURE')",
        "NOT false",
        "type EXISTS OR NOT (type EXISTS)",
        "title LIKE '*' -- and no more",
        "type IN ['FEATURE', 'SHORT']",
    ];
    let mut all = Vec::new();
    for filter in filters {
        for counts in ["matching", "alternatives"] {
            let facets = ["type", "releaseDate"];
            let body = json!({ "filter": filter, "facets": facets, "facet_counts": counts, "sort": ["type", "title:desc"] });
            all.push(port.post("/indexes/movies/search", &body));
        }
        all.push(port.post("/indexes/movies/suggest", &json!({ "prefix": "crash", "filter": filter })));
        let query = format!(
            "{{ movieSearch(filter: \"{filter}\", facetCounts: ALTERNATIVES) {{ total hits {{ node {{ movieId }} highlights {{ text }} }}
                facets {{ values {{ value }} }} }} movieSuggest(prefix: \"crash\", filter: \"{filter}\") {{ value }} }}"
        );
        all.push(port.post("/graphql", &json!({ "query": query })));
    }
    all.push(port.get("/indexes/movies/search?text=crash%20landing&facet_counts=alternatives"));
    all.push(port.get("/indexes/movies/search?text=landing&first=1000"));
    all.push(port.get("/indexes/movies/suggest?prefix=crash%20l"));
    all
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_can_be_asked_gets_past_a_policy() {
    let port = open().await;
    let shows = |answer: &Value| {
        let told = answer.to_string();
        ["m1", "Landing", "FEATURE"].iter().any(|hidden| told.contains(hidden))
    };
    let mut seen = 0;
    for request in attempts(&port) {
        seen += usize::from(shows(&told(staff(request.try_clone().unwrap())).await.1));
        let (status, answer) = told(request).await;
        assert!(status.is_success() && !shows(&answer), "{answer}");
    }
    assert!(seen > 20, "{seen} answers show it to who may see it: the attempts prove nothing");
    let count = |filter: &str| port.post("/indexes/movies/count", &json!({ "filter": filter }));
    for (filter, hidden, whole) in [("true", 2, 3), ("type == 'FEATURE'", 0, 1)] {
        assert_eq!(told(count(filter)).await.1["total"], hidden);
        assert_eq!(told(staff(count(filter))).await.1["total"], whole);
    }
    let document = || port.get("/indexes/movies/documents/m1");
    assert_eq!(refused(document()).await, (404, "SS720".to_owned()));
    assert_eq!(told(staff(document())).await.1["id"], "m1");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cursor_is_good_under_one_policy() {
    let port = open().await;
    let page = || port.get("/indexes/movies/search?first=1");
    let after =
        |next: &Value| port.get(&format!("/indexes/movies/search?first=1&after={}", next.as_str().unwrap()));
    let (own, theirs) = (told(page()).await.1["next"].take(), told(staff(page())).await.1["next"].take());
    assert_eq!(refused(after(&theirs)).await, (400, "SS710".to_owned()));
    assert_eq!(refused(staff(after(&own))).await, (400, "SS710".to_owned()));
    assert_eq!(told(after(&own)).await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_who_brings_a_token_can_say_who_asks() {
    let port = open().await;
    let count = || port.get("/indexes/movies/count");
    let total = async |request: RequestBuilder| told(request).await.1["total"].clone();
    assert_eq!(total(count()).await, 2);
    assert_eq!(total(count().header("x-caller", "staff")).await, 2, "anybody can write a header");
    assert_eq!(total(count().header("x-caller", "staff").bearer_auth("wrong")).await, 2);
    assert_eq!(total(staff(count())).await, 3);
    assert_eq!(total(count().bearer_auth("secret")).await, 2, "a client that names nobody");
    assert_eq!(total(count().bearer_auth("secret").header("x-caller", "nobody")).await, 0);
    let twice = staff(count()).header("x-caller", "other");
    assert_eq!(refused(twice).await, (403, "SS723".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_policy_service_that_is_away_closes_the_door_and_tells_no_more() {
    let mut plan = held();
    plan.search.access.as_mut().unwrap().policies = Policies::Service;
    let port = Port::of(plan, "127.0.0.1:0", movies(), &[]).await;
    for request in attempts(&port).into_iter().chain([port.get("/indexes/movies/documents/m2")]) {
        let (status, answer) = told(request).await;
        let code = answer.pointer("/error/code").or(answer.pointer("/errors/0/extensions/code"));
        assert_eq!(code, Some(&json!("SS724")), "{status}: {answer}");
        assert!(!answer.to_string().contains("127.0.0.1"), "{answer}");
    }
}
