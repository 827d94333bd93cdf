//! A gateway that answers from bytes which are there already, so that it costs next to nothing: a thread a connection.

use std::{
    borrow::Cow,
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use serde::Deserialize;

use crate::load::{movie, movie_id};

/// Documents by their ids.
pub type Documents = BTreeMap<String, String>;

/// What stands in a request, as far as it matters: which alias asks for which id.
#[derive(Deserialize)]
struct Asked<'r> {
    #[serde(borrow)]
    variables: BTreeMap<Cow<'r, str>, Cow<'r, str>>,
}

/// So many movies.
pub fn documents(count: usize) -> Arc<Documents> {
    Arc::new((0..count).map(|n| (movie_id(n), movie(n))).collect())
}

/// A gateway that lives as long as the process.
pub struct Gateway {
    /// Where it is.
    pub url: String,
    answered: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

impl Gateway {
    /// How many requests it has answered.
    pub fn requests(&self) -> usize {
        self.requests.load(Ordering::Relaxed)
    }

    /// How many documents it has answered with.
    pub fn answered(&self) -> usize {
        self.answered.load(Ordering::Relaxed)
    }
}

/// What was answered with.
#[derive(Clone, Default)]
struct Counter {
    documents: Arc<AtomicUsize>,
    requests: Arc<AtomicUsize>,
}

/// Starts a gateway over these documents.
pub fn start(documents: &Arc<Documents>) -> Gateway {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let address = listener.local_addr().expect("its address");
    let (documents, counter) = (Arc::clone(documents), Counter::default());
    let Counter { documents: answered, requests } = counter.clone();
    thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let (documents, counter) = (Arc::clone(&documents), counter.clone());
            thread::spawn(move || serve(&connection, &documents, &counter));
        }
    });
    Gateway { url: format!("http://{address}/graphql"), answered, requests }
}

/// Answers until the client closes the connection.
fn serve(connection: &TcpStream, documents: &Documents, counter: &Counter) {
    connection.set_nodelay(true).expect("a connection");
    let (mut reader, mut writer) = (BufReader::new(connection), connection);
    let mut answer = Vec::new();
    while let Some(body) = read_message(&mut reader) {
        let asked: Asked<'_> = serde_json::from_slice(&body).expect("a GraphQL request");
        answer.clear();
        answer.extend_from_slice(br#"{"data":{"#);
        for (at, (variable, id)) in asked.variables.iter().enumerate() {
            let comma = if at == 0 { "" } else { "," };
            let alias = variable.strip_prefix("id").expect("the variables of aliases are numbered");
            write!(answer, "{comma}\"d{alias}\":{}", documents[&**id]).expect("memory takes it");
        }
        answer.extend_from_slice(b"}}");
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            answer.len()
        );
        if writer.write_all(head.as_bytes()).and_then(|()| writer.write_all(&answer)).is_err() {
            return;
        }
        counter.documents.fetch_add(asked.variables.len(), Ordering::Relaxed);
        counter.requests.fetch_add(1, Ordering::Relaxed);
    }
}

/// The body of the next request or answer of HTTP/1.1; nothing where the other side has closed.
pub fn read_message(reader: &mut impl BufRead) -> Option<Vec<u8>> {
    let (mut length, mut is_chunked) = (0, false);
    loop {
        let line = read_line(reader)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = line.split_once(':').unwrap_or_default();
        if name.eq_ignore_ascii_case("content-length") {
            length = value.trim().parse().expect("a number");
        }
        is_chunked |= name.eq_ignore_ascii_case("transfer-encoding");
    }
    let mut body = Vec::new();
    if !is_chunked {
        reader.take(length).read_to_end(&mut body).ok()?;
        return Some(body);
    }
    loop {
        let length = u64::from_str_radix(&read_line(reader)?, 16).expect("a length");
        reader.take(length).read_to_end(&mut body).ok()?;
        read_line(reader)?;
        if length == 0 {
            return Some(body);
        }
    }
}

/// A line without its end.
fn read_line(reader: &mut impl BufRead) -> Option<String> {
    let mut line = String::new();
    let length = reader.read_line(&mut line).ok()?;
    (length > 0).then(|| line.trim_end().to_owned())
}
