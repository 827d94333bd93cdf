//! A way to a server that can be cut and mended, for servers that forget everything when they stop.

use std::{
    io,
    net::{Ipv4Addr, Shutdown, TcpListener, TcpStream},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

/// A port that leads to a server until it is cut.
pub struct Link {
    /// The server's address by this way, such as `http://127.0.0.1:40123`.
    pub url: String,
    way: Arc<Mutex<Way>>,
}

/// What goes through a link, and whether anything does.
#[derive(Default)]
struct Way {
    is_cut: bool,
    connections: Vec<TcpStream>,
}

impl Link {
    /// A way to the server at this address, such as `http://127.0.0.1:8080`.
    pub fn to(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("its address"));
        let way: Arc<Mutex<Way>> = Arc::default();
        let shared = Arc::clone(&way);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // Who comes while it is cut, or while the server is away, is turned away.
                let _ = pass_on(connection, &server, &shared);
            }
        });
        Self { url, way }
    }

    /// Cuts every connection, and lets nobody through.
    pub fn cut(&self) {
        let mut way = held(&self.way);
        way.is_cut = true;
        for connection in way.connections.drain(..) {
            let _ = connection.shutdown(Shutdown::Both);
        }
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        held(&self.way).is_cut = false;
    }
}

fn pass_on(connection: TcpStream, server: &str, way: &Mutex<Way>) -> io::Result<()> {
    let mut way = held(way);
    if way.is_cut {
        return Ok(());
    }
    let server = TcpStream::connect(server)?;
    for end in [&connection, &server] {
        way.connections.push(end.try_clone()?);
    }
    copy(connection.try_clone()?, server.try_clone()?);
    copy(server, connection);
    Ok(())
}

/// Copies until either end closes, and then closes the other.
fn copy(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        let _ = io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

fn held(way: &Mutex<Way>) -> MutexGuard<'_, Way> {
    way.lock().unwrap_or_else(PoisonError::into_inner)
}
