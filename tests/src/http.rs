//! HTTP/1.1 as far as tests serve it themselves: doors and witnesses before real servers, and who refuses.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpListener},
    sync::{Arc, LazyLock},
};

/// Asks the servers behind.
static CLIENT: LazyLock<reqwest::blocking::Client> = LazyLock::new(reqwest::blocking::Client::new);

/// A request as it came.
#[derive(Debug)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path with its query.
    pub path: String,
    /// The headers, by their names in small letters.
    pub headers: BTreeMap<String, String>,
    /// The body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// What the body is.
    pub content_type: String,
    /// Where it is to be had instead.
    pub location: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The next request of a connection; nothing at its end.
    pub fn read(stream: &mut impl BufRead) -> Option<Self> {
        let mut line = String::new();
        stream.read_line(&mut line).ok().filter(|read| *read > 0)?;
        let mut start = line.split(' ');
        let (method, path) = (start.next()?.to_owned(), start.next()?.to_owned());
        let mut headers = BTreeMap::new();
        loop {
            line.clear();
            stream.read_line(&mut line).ok()?;
            let Some((name, value)) = line.trim_end().split_once(':') else { break };
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").map_or(Some(0), |length| length.parse().ok())?;
        let mut body = Vec::new();
        stream.take(length).read_to_end(&mut body).ok()?;
        Some(Self { method, path, headers, body })
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// Passes it on to the server at `url` without any header but that of its body, and gives the answer.
    pub fn pass_on(self, url: &str) -> reqwest::Result<Answer> {
        let method = self.method.parse().expect("a method");
        let content_type = self.header("content-type").unwrap_or("text/plain").to_owned();
        let request = CLIENT.request(method, format!("{url}{}", self.path));
        let response = request.header("content-type", content_type).body(self.body).send()?;
        let content_type = response.headers().get("content-type").and_then(|value| value.to_str().ok());
        let content_type = content_type.unwrap_or("text/plain").to_owned();
        let (status, body) = (response.status().as_u16(), response.bytes()?.to_vec());
        Ok(Answer { status, content_type, location: None, body })
    }
}

impl Answer {
    /// An answer of this media type.
    pub fn new(status: u16, content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self { status, content_type: content_type.to_owned(), location: None, body: body.into() }
    }

    /// Writes it; nothing where nobody listens any more.
    pub fn write(&self, to: &mut impl Write) -> Option<()> {
        let Self { status, content_type, location, body } = self;
        let location =
            location.as_ref().map_or(String::new(), |location| format!("location: {location}\r\n"));
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status} Told\r\n{location}content-type: {content_type}\r\ncontent-length: {length}"
        );
        to.write_all(format!("{head}\r\n\r\n").as_bytes()).ok()?;
        to.write_all(body).ok()?;
        to.flush().ok()
    }
}

/// Serves requests for as long as this process lives; who gets no answer loses its connection.
pub fn serve(answer: impl Fn(Request) -> Option<Answer> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("its address");
    let answer = Arc::new(answer);
    std::thread::spawn(move || {
        for connection in listener.incoming().flatten() {
            let answer = Arc::clone(&answer);
            std::thread::spawn(move || {
                let mut stream = BufReader::new(connection);
                while let Some(request) = Request::read(&mut stream) {
                    if answer(request).and_then(|answer| answer.write(stream.get_mut())).is_none() {
                        break;
                    }
                }
            });
        }
    });
    address
}
