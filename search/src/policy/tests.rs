//! Policies of a file and of a service that behaves in every way.

use std::{
    io::{Read, Write},
    net::{Ipv4Addr, TcpListener},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use plan::{IndexPlan, index_plan::AccessPlan};
use serde_json::json;

use super::*;
use crate::conformance::searches::movie_plan;

fn with(policies: Policies) -> IndexPlan {
    let mut plan = movie_plan();
    plan.search.access = Some(AccessPlan { header: "x-caller".to_owned(), policies });
    plan
}

fn filters(of: &[(&str, &str)]) -> Policies {
    Policies::Filters(of.iter().map(|(caller, text)| ((*caller).to_owned(), (*text).to_owned())).collect())
}

/// A service that answers everything so, and counts. It lives as long as the tests.
fn service(status: &'static str, body: String) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let url = format!("http://{}/v1/data/search", listener.local_addr().unwrap());
    let asked = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for mut connection in listener.incoming().flatten() {
            let mut request = [0; 4_096];
            let _ = connection.read(&mut request);
            count.fetch_add(1, Ordering::Relaxed);
            let length = body.len();
            let _ = write!(
                connection,
                "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nlocation: http://127.0.0.1:1/\r\nconnection: close\r\n\r\n{body}"
            );
        }
    });
    (url, asked)
}

async fn asked(status: &'static str, body: impl ToString, caller: &str) -> Result<String, AccessError> {
    let (url, _) = service(status, body.to_string());
    let access = Access::of(&with(Policies::Service), Some(&url)).unwrap().unwrap();
    access.filter(Some(caller)).await.map(|filter| filter.source().text.clone())
}

#[tokio::test]
async fn a_caller_has_its_policy_or_the_default() {
    let policies = filters(&[("default", "budget > 5"), ("staff", "true")]);
    let access = Access::of(&with(policies), None).unwrap().unwrap();
    let text = async |caller| access.filter(caller).await.unwrap().source().text.clone();
    assert_eq!(text(Some("staff")).await, "true");
    for other in [None, Some("stranger"), Some(""), Some("Staff"), Some("default")] {
        assert_eq!(text(other).await, "budget > 5", "{other:?}");
    }
    let long = "x".repeat(MAX_CALLER_BYTES + 1);
    assert!(matches!(access.filter(Some(&long)).await, Err(AccessError::Denied { .. })));
}

#[tokio::test]
async fn without_a_default_strangers_are_refused() {
    let access = Access::of(&with(filters(&[("staff", "true")])), None).unwrap().unwrap();
    assert!(access.filter(Some("staff")).await.is_ok());
    for caller in [None, Some("stranger")] {
        let refused = access.filter(caller).await.unwrap_err();
        assert_eq!(refused, AccessError::Denied { caller: caller.map(str::to_owned) });
        assert_eq!(refused.code(), codes::SS723);
    }
}

#[test]
fn a_plan_without_access_restricts_nobody_and_a_bad_policy_is_refused() {
    assert!(Access::of(&movie_plan(), None).unwrap().is_none());
    let refused = |policies| Access::of(&with(policies), None).err().map(|error| error.code());
    assert_eq!(refused(filters(&[("staff", "nothing == 1")])), Some(codes::SS725));
    assert_eq!(refused(Policies::Service), Some(codes::SS724));
    let error = Access::of(&with(Policies::Service), Some("no address with a secret")).err().unwrap();
    assert!(!error.to_string().contains("secret"), "{error}");
}

#[tokio::test]
async fn a_service_says_what_a_caller_may_see() {
    let answer = |result: serde_json::Value| json!({ "result": result, "decision_id": "7" });
    assert_eq!(asked("200 OK", answer(json!("budget > 5")), "a").await.unwrap(), "budget > 5");
    assert_eq!(asked("200 OK", answer(json!(true)), "a").await.unwrap(), "true");
    for nothing in [answer(json!(false)), answer(json!(null)), json!({})] {
        let refused = asked("200 OK", &nothing, "a").await.unwrap_err();
        assert_eq!(refused.code(), codes::SS723, "{nothing}");
    }
}

#[tokio::test]
async fn a_service_that_fails_closes_the_door() {
    let good = json!({ "result": true });
    let redirect = asked("302 Found", &good, "a").await.unwrap_err();
    assert_eq!(redirect.to_string(), "the policy service gives no answer: it answers 302 Found");
    for (status, body) in [
        ("500 Internal Server Error", good.to_string()),
        ("403 Forbidden", good.to_string()),
        ("204 No Content", String::new()),
        ("200 OK", "true".to_owned()),
        ("200 OK", json!({ "result": 7 }).to_string()),
        ("200 OK", json!({ "result": ["true"] }).to_string()),
        ("200 OK", format!("{{\"result\": \"{}\"}}", " ".repeat(1 << 20))),
        ("200 OK", "{\"result\": tr".to_owned()),
    ] {
        assert_eq!(asked(status, body, "a").await.unwrap_err().code(), codes::SS724, "{status}");
    }
    for no_filter in ["", "nothing == 1", "budget >", "title MATCHES 7"] {
        let refused = asked("200 OK", json!({ "result": no_filter }), "a").await.unwrap_err();
        assert_eq!(refused.code(), codes::SS725, "{no_filter:?}: {refused}");
    }
    let access = Access::of(&with(Policies::Service), Some("http://127.0.0.1:1/")).unwrap().unwrap();
    assert_eq!(access.filter(None).await.unwrap_err().code(), codes::SS724);
}

#[tokio::test]
async fn an_answer_is_believed_for_a_while_and_a_failure_is_not() {
    let (url, count) = service("200 OK", json!({ "result": "budget > 5" }).to_string());
    let access = Access::of(&with(Policies::Service), Some(&url)).unwrap().unwrap();
    for caller in [Some("a"), Some("a"), None, None, Some("b")] {
        access.filter(caller).await.unwrap();
    }
    assert_eq!(count.load(Ordering::Relaxed), 3, "once for each caller");
    let (url, count) = service("503 Service Unavailable", String::new());
    let access = Access::of(&with(Policies::Service), Some(&url)).unwrap().unwrap();
    for _ in 0..2 {
        access.filter(Some("a")).await.unwrap_err();
    }
    assert_eq!(count.load(Ordering::Relaxed), 2);
}
