//! What a registry's client makes of answers that a real registry never gives; `tests/it/registry.rs` has a real one.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

use super::*;
use crate::endpoints::{RegistryAuth, RegistryEndpoint};

/// A client of a server that answers every request with this, and what it was asked.
async fn answering(answer: &str) -> (Registry, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/", listener.local_addr().unwrap());
    let answer = answer.to_owned();
    let asked = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut buffer = vec![0; 4096];
        let length = stream.read(&mut buffer).await.unwrap();
        stream.write_all(answer.as_bytes()).await.unwrap();
        String::from_utf8_lossy(&buffer[..length]).into_owned()
    });
    let auth = Some(RegistryAuth::Basic { username: "search".into(), password: "s3cret".into() });
    (Registry::new(&RegistryEndpoint { url, auth, ca: None }).unwrap(), asked)
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n{body}", body.len())
}

async fn refused(status: &str, body: &str) -> RegistryError {
    let (registry, _) = answering(&answer(status, body)).await;
    let error = registry.schema(SchemaId::Number(7)).await.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("s3cret"), "{error:?}");
    error
}

#[tokio::test]
async fn only_the_registry_itself_says_that_a_schema_is_not_there() {
    let missing = refused("404 Not Found", r#"{"error_code":40403,"message":"Schema 7 not found"}"#).await;
    assert!(matches!(missing, RegistryError::NotFound { .. }), "{missing:?}");
    for (status, body) in [
        ("404 Not Found", "<html>nginx</html>"),
        ("404 Not Found", r#"{"error_code":404,"message":"HTTP 404 Not Found"}"#),
        ("401 Unauthorized", ""),
        ("403 Forbidden", r#"{"error_code":40301}"#),
        ("302 Found\r\nlocation: http://127.0.0.1:1/", ""),
        ("200 OK", "<html>a login page</html>"),
        ("200 OK", r#"{"id":7}"#),
    ] {
        let error = refused(status, body).await;
        assert!(matches!(error, RegistryError::Refused { .. }), "{status}: {error:?}");
        assert!(!error.is_passing());
    }
}

#[tokio::test]
async fn what_passes_is_waited_for() {
    for status in ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests"] {
        let error = refused(status, r#"{"error_code":50001,"message":"busy"}"#).await;
        assert!(error.is_passing() && error.to_string().contains("busy"), "{error}");
    }
    // The connection ends within the answer.
    let error = refused("200 OK\r\nx: y", "").await;
    assert!(!error.is_passing(), "an empty answer is none of a registry: {error}");
    let (registry, _) = answering("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{").await;
    assert!(registry.schema(SchemaId::Number(7)).await.unwrap_err().is_passing());
    let nobody = RegistryEndpoint { url: "http://u:s3cret@127.0.0.1:9".into(), auth: None, ca: None };
    let error = Registry::new(&nobody).unwrap().versions("s").await.unwrap_err();
    assert!(error.is_passing() && !error.to_string().contains("s3cret"), "{error}");
}

#[tokio::test]
async fn names_are_escaped_and_credentials_sent() {
    let (registry, asked) = answering(&answer("200 OK", "[1, 2]")).await;
    assert_eq!(registry.versions("a/b c").await.unwrap(), [1, 2]);
    let asked = asked.await.unwrap();
    assert!(asked.starts_with("GET /api/subjects/a%2Fb%20c/versions "), "{asked}");
    assert!(asked.contains("Basic c2VhcmNoOnMzY3JldA=="), "{asked}");
}

#[tokio::test]
async fn a_guid_needs_a_new_registry() {
    let (registry, _) = answering(&answer("404 Not Found", "")).await;
    let error = registry.schema(SchemaId::Guid(1)).await.unwrap_err();
    assert!(error.to_string().contains("Confluent Platform 8"), "{error}");
}

/// A registry that knows no schema, and how often it was asked.
async fn without_schemas() -> (Registry, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let asked: Arc<AtomicUsize> = Arc::default();
    let counted = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0, "a request");
            counted.fetch_add(1, Ordering::Relaxed);
            let missing = answer("404 Not Found", r#"{"error_code":40403,"message":"not found"}"#);
            stream.write_all(missing.as_bytes()).await.unwrap();
        }
    });
    (Registry::new(&RegistryEndpoint { url, auth: None, ca: None }).unwrap(), asked)
}

#[tokio::test]
async fn an_unknown_schema_is_not_asked_for_by_each_record() {
    let (registry, asked) = without_schemas().await;
    let schemas = Schemas::new(registry);
    for _ in 0..100 {
        let refused = schemas.get(SchemaId::Number(7)).await.unwrap().unwrap_err();
        assert!(refused.contains("has no schema 7"), "{refused}");
    }
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    schemas.get(SchemaId::Number(8)).await.unwrap().unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 2, "another id is another question");
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(4)).await;
    tokio::time::resume();
    schemas.get(SchemaId::Number(7)).await.unwrap().unwrap_err();
    assert_eq!(asked.load(Ordering::Relaxed), 3, "it may be known by now");
}
