//! A way to a server that can be broken and mended, as networks are: a small proxy that passes bytes on.

use std::{
    fmt::{self, Display, Formatter},
    io::{self, Read, Write},
    net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What goes wrong on a way, until it is mended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Break {
    /// Every connection is closed, in the middle of whatever it carries, and nobody is let through.
    Cut,
    /// Nothing arrives in either direction and nobody is told. What was sent arrives once it is mended.
    Stalled,
    /// What is asked arrives, and no answer comes back before it is mended.
    Unanswered,
    /// The server loses the connections that there are, and who asked is never told, not even once it is mended. New ones
    /// are good.
    HalfOpen,
}

/// Where a link leads until its server's address is known. Nobody listens on port 1.
pub const NOBODY: &str = "127.0.0.1:1";

/// A port that leads to a server until it is broken.
pub struct Link {
    /// The server's address by this way, such as `http://127.0.0.1:40123`.
    pub url: String,
    /// The same without a scheme.
    pub address: SocketAddr,
    way: Arc<Way>,
}

/// What goes through a link, and what is wrong with it.
struct Way {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    server: String,
    is_broken: Option<Break>,
    connections: Vec<Connection>,
}

/// Both ends of one connection.
struct Connection {
    client: TcpStream,
    server: TcpStream,
    is_lost: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
}

/// Where bytes go.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Asked,
    Answered,
}

impl Display for Break {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Cut => "cut",
            Self::Stalled => "stalled",
            Self::Unanswered => "unanswered",
            Self::HalfOpen => "half open",
        })
    }
}

impl Link {
    /// A way to the server at this address, such as `http://127.0.0.1:8080`.
    pub fn to(url: &str) -> Self {
        let server = url.trim_start_matches("http://").to_owned();
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
        let address = listener.local_addr().expect("its address");
        let state = State { server, is_broken: None, connections: Vec::new() };
        let way = Arc::new(Way { state: Mutex::new(state), changed: Condvar::new() });
        let shared = Arc::clone(&way);
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                // Who comes while it is cut, or while the server is away, is turned away.
                let _ = shared.let_in(connection);
            }
        });
        Self { url: format!("http://{address}"), address, way }
    }

    /// Leads whoever comes from now on to the server at this address.
    pub fn lead_to(&self, server: SocketAddr) {
        self.way.state().server = server.to_string();
    }

    /// Breaks it in this way from now on.
    pub fn fail(&self, how: Break) {
        let mut state = self.way.state();
        state.is_broken = Some(how);
        for connection in &state.connections {
            match how {
                Break::Cut => connection.close(),
                Break::HalfOpen => connection.lose(),
                Break::Stalled | Break::Unanswered => {}
            }
        }
        self.way.changed.notify_all();
    }

    /// Lets everybody through again.
    pub fn mend(&self) {
        self.way.state().is_broken = None;
        self.way.changed.notify_all();
    }
}

impl Way {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn let_in(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let mut state = self.state();
        state.connections.retain(|connection| !connection.is_over.load(Ordering::Relaxed));
        if state.is_broken == Some(Break::Cut) {
            return Ok(());
        }
        let server = TcpStream::connect(&state.server)?;
        // Small packets are all that there is; each waits for the next one otherwise.
        client.set_nodelay(true)?;
        server.set_nodelay(true)?;
        let (is_lost, is_over): (Arc<AtomicBool>, Arc<AtomicBool>) = Default::default();
        for direction in [Direction::Asked, Direction::Answered] {
            let (way, is_lost, is_over) = (Arc::clone(self), Arc::clone(&is_lost), Arc::clone(&is_over));
            let (client, server) = (client.try_clone()?, server.try_clone()?);
            thread::spawn(move || match direction {
                Direction::Asked => {
                    way.pass_on(direction, client, server, &is_lost);
                    is_over.store(true, Ordering::Relaxed);
                }
                Direction::Answered => way.pass_on(direction, server, client, &is_lost),
            });
        }
        state.connections.push(Connection { client, server, is_lost, is_over });
        Ok(())
    }

    /// Passes bytes on until either end closes, and then closes the other, unless nobody is to be told.
    fn pass_on(&self, direction: Direction, mut from: TcpStream, mut to: TcpStream, is_lost: &AtomicBool) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let read = from.read(&mut buffer).unwrap_or(0);
            self.wait_until_whole(direction, is_lost);
            let is_lost = is_lost.load(Ordering::Relaxed);
            let is_heard = is_lost || to.write_all(&buffer[..read]).is_ok();
            if read == 0 || !is_heard {
                if !is_lost {
                    let _ = to.shutdown(Shutdown::Write);
                }
                return;
            }
        }
    }

    /// Waits while nothing passes in this direction; not for a connection that has no other end any more.
    fn wait_until_whole(&self, direction: Direction, is_lost: &AtomicBool) {
        let stands = |state: &mut State| {
            let is_stopped = match state.is_broken {
                Some(Break::Stalled) => true,
                Some(Break::Unanswered) => direction == Direction::Answered,
                Some(Break::Cut | Break::HalfOpen) | None => false,
            };
            is_stopped && !is_lost.load(Ordering::Relaxed)
        };
        drop(self.changed.wait_while(self.state(), stands));
    }
}

impl Connection {
    fn close(&self) {
        for end in [&self.client, &self.server] {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Closes the server's end alone.
    fn lose(&self) {
        self.is_lost.store(true, Ordering::Relaxed);
        let _ = self.server.shutdown(Shutdown::Both);
    }
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    /// A server that says everything again, and tells what it heard; an empty text for the end of a connection.
    fn echo() -> (SocketAddr, mpsc::Receiver<Vec<u8>>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let (tell, heard) = mpsc::channel();
        thread::spawn(move || {
            for mut connection in listener.incoming().flatten() {
                let tell = tell.clone();
                thread::spawn(move || {
                    let mut buffer = [0; 16];
                    while let read @ 1.. = connection.read(&mut buffer).unwrap_or(0) {
                        tell.send(buffer[..read].to_vec()).unwrap();
                        connection.write_all(&buffer[..read]).unwrap();
                    }
                    tell.send(Vec::new()).unwrap();
                });
            }
        });
        (address, heard)
    }

    /// A connection that waits a moment for an answer.
    fn client(link: &Link) -> TcpStream {
        let client = TcpStream::connect(link.address).unwrap();
        client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
        client
    }

    /// What comes next; nothing where nothing comes.
    fn answer(mut client: &TcpStream) -> Option<Vec<u8>> {
        let mut buffer = [0; 16];
        client.read(&mut buffer).ok().map(|read| buffer[..read].to_vec())
    }

    fn heard(of: &mpsc::Receiver<Vec<u8>>) -> Option<Vec<u8>> {
        of.recv_timeout(Duration::from_millis(200)).ok()
    }

    /// A link with a client that has been answered.
    fn linked() -> (Link, TcpStream, mpsc::Receiver<Vec<u8>>) {
        let (server, told) = echo();
        let link = Link::to(&server.to_string());
        let mut client = client(&link);
        client.write_all(b"hello").unwrap();
        assert_eq!((answer(&client), heard(&told)), (Some(b"hello".to_vec()), Some(b"hello".to_vec())));
        (link, client, told)
    }

    #[test]
    fn a_cut_link_closes_what_there_is_and_turns_newcomers_away() {
        let (link, before, told) = linked();
        link.fail(Break::Cut);
        assert_eq!((answer(&before), heard(&told)), (Some(Vec::new()), Some(Vec::new())));
        assert_eq!(answer(&client(&link)), Some(Vec::new()));
        link.mend();
        let mut after = client(&link);
        after.write_all(b"again").unwrap();
        assert_eq!(answer(&after), Some(b"again".to_vec()));
    }

    #[test]
    fn a_stalled_link_delivers_everything_later() {
        let (link, before, told) = linked();
        link.fail(Break::Stalled);
        let newcomer = client(&link);
        for mut client in [&before, &newcomer] {
            client.write_all(b"later").unwrap();
        }
        assert_eq!((answer(&before), answer(&newcomer), heard(&told)), (None, None, None));
        link.mend();
        assert_eq!(answer(&before), Some(b"later".to_vec()));
        assert_eq!(answer(&newcomer), Some(b"later".to_vec()));
    }

    #[test]
    fn a_link_without_answers_delivers_questions() {
        let (link, mut client, told) = linked();
        link.fail(Break::Unanswered);
        client.write_all(b"heard").unwrap();
        assert_eq!((answer(&client), heard(&told)), (None, Some(b"heard".to_vec())));
        link.mend();
        assert_eq!(answer(&client), Some(b"heard".to_vec()));
    }

    #[test]
    fn a_half_open_connection_stays_silent_for_ever() {
        let (link, mut before, told) = linked();
        link.fail(Break::HalfOpen);
        assert_eq!(heard(&told), Some(Vec::new()), "the server is told");
        let mut newcomer = client(&link);
        newcomer.write_all(b"new").unwrap();
        assert_eq!(answer(&newcomer), Some(b"new".to_vec()));
        link.mend();
        before.write_all(b"lost").unwrap();
        assert_eq!((answer(&before), heard(&told)), (None, Some(b"new".to_vec())));
        assert_eq!(heard(&told), None);
    }
}
