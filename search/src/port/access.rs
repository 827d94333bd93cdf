//! Who may ask a port: on loopback this machine's programs and people, elsewhere whoever brings a token.
//!
//! A browser is everybody's: any page that it shows can send requests to `127.0.0.1`, and a page whose name was made to
//! point there can read the answers. So no request of a foreign page is answered, and on loopback only loopback names.

use std::{
    net::{IpAddr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{AUTHORIZATION, HOST, ORIGIN, WWW_AUTHENTICATE},
    },
    middleware::Next,
    response::Response,
};
use base64::{Engine, engine::general_purpose::STANDARD as BASE64};
use secrecy::{ExposeSecret, SecretString};

/// What probes ask. It tells nothing of the index, and a probe has neither a token nor a name for us.
pub const OPEN: [&str; 2] = ["/livez", "/readyz"];

/// What a browser needs to ask its user for a token. A user's name is not looked at.
const CHALLENGE: &str =
    "Basic realm=\"studio-search: any name, and a token as the password\", charset=\"UTF-8\"";

/// Marks a request whose client brought a token, also where none is wanted.
#[derive(Debug, Clone, Copy)]
pub struct Authenticated;

/// Whom a port can be reached by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// Only this machine can connect, so callers need no token.
    Loopback,
    /// Others can.
    Network,
}

impl Reach {
    /// Whom an address can be reached by.
    pub fn of(address: SocketAddr) -> Self {
        if address.ip().to_canonical().is_loopback() { Self::Loopback } else { Self::Network }
    }
}

/// Makes the answer to a request that is not let through: the status, and why in one sentence.
pub type Refusal = fn(StatusCode, &str) -> Response;

/// What stands before every route of a port.
#[derive(Debug, Clone)]
pub struct Guard {
    /// The port as people call it, such as "the admin port".
    name: &'static str,
    /// Where the configuration says the address, such as `admin.listen`.
    key: &'static str,
    reach: Reach,
    tokens: Arc<Vec<SecretString>>,
    refuse: Refusal,
}

impl Guard {
    /// The guard of a port that listens at this address. Without tokens only [`OPEN`] is served to others than loopback.
    pub fn new(
        name: &'static str,
        key: &'static str,
        address: SocketAddr,
        tokens: Arc<Vec<SecretString>>,
        refuse: Refusal,
    ) -> Self {
        Self { name, key, reach: Reach::of(address), tokens, refuse }
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Whether nobody is let in: others reach the port, and no token lets them.
    pub(super) fn is_closed(&self) -> bool {
        self.reach == Reach::Network && self.tokens.is_empty()
    }

    fn forbid(&self, why: &str) -> Response {
        (self.refuse)(StatusCode::FORBIDDEN, why)
    }

    fn challenge(&self) -> Response {
        let why = "a token of `serve.tokens` is wanted: as the bearer, or as the password of any user";
        let mut response = (self.refuse)(StatusCode::UNAUTHORIZED, why);
        response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static(CHALLENGE));
        response
    }
}

/// Lets a request through, or answers why not.
pub(super) async fn guard(State(guard): State<Guard>, mut request: Request, next: Next) -> Response {
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let headers = request.headers();
    // HTTP/2 names the host in the address.
    let host = request.uri().authority().map(ToString::to_string).or_else(|| text(headers, HOST.as_str()));
    let Guard { name, key, .. } = guard;
    if headers.contains_key(ORIGIN)
        && !is_same_origin(text(headers, ORIGIN.as_str()).as_deref(), host.as_deref())
    {
        return guard.forbid(&format!("another site's page may not ask {name}"));
    }
    let is_known = is_authenticated(headers, &guard.tokens);
    if is_known {
        request.extensions_mut().insert(Authenticated);
    }
    match guard.reach {
        // Every browser names a host; a program that names none is no page.
        Reach::Loopback if host.as_deref().is_none_or(is_loopback) => next.run(request).await,
        Reach::Loopback => {
            guard.forbid(&format!("{name} answers to localhost and loopback addresses only"))
        }
        Reach::Network if guard.is_closed() => guard.forbid(&format!(
            "{name} listens on more than loopback and `serve.tokens` is empty, so only /livez and /readyz are served: give it \
             tokens, or let `{key}` be 127.0.0.1"
        )),
        Reach::Network if is_known => next.run(request).await,
        Reach::Network => guard.challenge(),
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// Whether the page that asks came from where it asks. `null` is the origin of pages that hide theirs.
fn is_same_origin(origin: Option<&str>, host: Option<&str>) -> bool {
    let origin = origin.and_then(|origin| origin.split_once("://"));
    origin.zip(host).is_some_and(|((_, origin), host)| origin.eq_ignore_ascii_case(host))
}

/// Whether a host, with or without a port, is this machine by name or by address.
fn is_loopback(host: &str) -> bool {
    let name = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, _)) => return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => host.rsplit_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// Whether one of the tokens was brought: as a bearer by programs, as the password by browsers.
fn is_authenticated(headers: &HeaderMap, tokens: &[SecretString]) -> bool {
    let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.split_once(' '));
    let Some((scheme, credentials)) = given else { return false };
    let given = match scheme {
        _ if scheme.eq_ignore_ascii_case("bearer") => Some(credentials.trim().as_bytes().to_vec()),
        _ if scheme.eq_ignore_ascii_case("basic") => password(credentials),
        _ => None,
    };
    // All are compared, so that the time doesn't tell which one it was.
    let same = |given: Vec<u8>| tokens.iter().filter(|token| same(token.expose_secret(), &given)).count() > 0;
    given.is_some_and(same)
}

/// What stands behind the first colon of `Basic` credentials.
fn password(credentials: &str) -> Option<Vec<u8>> {
    let decoded = BASE64.decode(credentials.trim()).ok()?;
    let colon = decoded.iter().position(|byte| *byte == b':')?;
    Some(decoded[colon + 1..].to_vec())
}

/// Compares secrets in a time that doesn't tell how much of them is right. An empty token is nobody's.
fn same(known: &str, given: &[u8]) -> bool {
    let differs = known.bytes().zip(given).fold(0, |differs, (a, b)| differs | (a ^ b));
    !known.is_empty() && known.len() == given.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_loopback() {
        for host in
            ["localhost", "LocalHost:9467", "127.0.0.1", "127.0.0.1:1", "127.8.8.8", "[::1]", "[::1]:9467"]
        {
            assert!(is_loopback(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "localhost.evil.example:80",
            "127.0.0.1.nip.io",
            "10.0.0.1:9467",
            "[::2]",
            "[::1",
            "::1x",
        ] {
            assert!(!is_loopback(host), "{host}");
        }
    }

    #[test]
    fn a_token_is_a_bearer_or_a_password() {
        let tokens = [SecretString::from("one"), SecretString::from("t:wo"), SecretString::from("")];
        let is_known = |value: &str| {
            let headers = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_str(value).unwrap())]);
            is_authenticated(&headers, &tokens)
        };
        let basic = |text: &str| format!("Basic {}", BASE64.encode(text));
        for value in ["Bearer one", "bearer t:wo", &basic("me:one"), &basic(":t:wo")] {
            assert!(is_known(value), "{value}");
        }
        for value in [
            "Bearer on",
            "Bearer ",
            "Bearer",
            "one",
            "Digest one",
            "Basic one",
            &basic("one"),
            &basic("one:"),
            &basic("a:"),
        ] {
            assert!(!is_known(value), "{value}");
        }
    }
}
