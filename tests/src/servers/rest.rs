//! A server that is spoken to in JSON over HTTP.

use std::time::Duration;

use reqwest::{
    Method,
    blocking::{Client, ClientBuilder},
};
use serde_json::{Value, json};

use super::process::Server;

/// A running server with its address.
pub struct Rest {
    /// Ends with this.
    _server: Server,
    client: Client,
    /// Where it listens, such as `http://127.0.0.1:9201`.
    pub url: String,
}

impl Rest {
    /// Waits until the server's log tells its address, and then until it answers `health` with success.
    pub(super) fn new(server: Server, address: impl Fn(&str) -> Option<String>, health: &str) -> Self {
        Self::through(Client::builder(), server, address, health)
    }

    /// As [`Rest::new`], for a server that not every client may ask.
    pub(super) fn through(
        client: ClientBuilder,
        mut server: Server,
        address: impl Fn(&str) -> Option<String>,
        health: &str,
    ) -> Self {
        let client = client.timeout(Duration::from_mins(1)).build().expect("a client");
        let url = server.wait_for(|folder| address(&std::fs::read_to_string(folder.join("log")).ok()?));
        let health = format!("{url}{health}");
        server.wait_for(|_| client.get(&health).send().ok()?.error_for_status().ok());
        Self { _server: server, client, url }
    }

    /// Sends JSON (`Null`: nothing) and gives the status and the answer; what is no JSON comes as text.
    pub fn call(&self, method: &str, path: &str, body: &Value) -> (u16, Value) {
        match body {
            Value::Null => self.send(method, path, None),
            body => self.send(method, path, Some(("application/json", body.to_string()))),
        }
    }

    /// Sends a body of lines, such as a bulk, and gives the answer; fails on anything but success.
    pub fn lines(&self, path: &str, body: &str) -> Value {
        let (status, answer) = self.send("POST", path, Some(("application/x-ndjson", body.to_owned())));
        assert!((200..300).contains(&status), "POST {path}: {status} {answer:#}");
        answer
    }

    /// The answer to a call that must succeed.
    pub fn succeed(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.call(method, path, body);
        assert!((200..300).contains(&status), "{method} {}{path} {body:#}: {status} {answer:#}", self.url);
        answer
    }

    /// Lets `OpenSearch` with its security plugin know a user, or makes that user's role another.
    pub fn allow(&self, user: &str, password: &str, role: &Value) {
        let api = "/_plugins/_security/api";
        self.succeed("PUT", &format!("{api}/roles/{user}"), role);
        let about = json!({ "password": password, "opendistro_security_roles": [user] });
        self.succeed("PUT", &format!("{api}/internalusers/{user}"), &about);
    }

    fn send(&self, method: &str, path: &str, body: Option<(&str, String)>) -> (u16, Value) {
        let method: Method = method.parse().expect("a method");
        let mut request = self.client.request(method, format!("{}{path}", self.url));
        if let Some((kind, body)) = body {
            request = request.header("content-type", kind).body(body);
        }
        let response = request.send().unwrap_or_else(|error| panic!("{}{path}: {error}", self.url));
        let status = response.status().as_u16();
        let text = response.text().unwrap_or_default();
        (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
    }
}

/// The address that a search server's log tells: in the line of its HTTP, not in that of the transport between nodes.
pub(super) fn published(log: &str) -> Option<String> {
    let line =
        log.lines().find(|line| line.contains("HttpServerTransport") && line.contains("publish_address"))?;
    let (address, _) = line.split_once("publish_address {")?.1.split_once('}')?;
    Some(format!("http://{address}"))
}
