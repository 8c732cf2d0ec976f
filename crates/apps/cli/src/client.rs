//! The REST client: one server, one token, one certificate authority.
//!
//! In: paths and bodies. Out: decoded answers. Refuses: servers whose certificate does not come from the given authority,
//! TLS below 1.3, redirects (they would carry the token elsewhere), and answers above [`ANSWER_BYTES_MAX`].

use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use ureq::http::Response;
use ureq::{Agent, Body, RequestBuilder, SendBody};
use warden_model::{ByteCount, Timestamp};
use warden_wire::page::PAGE_ROWS_MAX;
use warden_wire::problem::Problem;
use warden_wire::rest::Items;

use crate::failure::{Exit, Failure, exit_of};
use crate::list::Paging;
use crate::settings::Settings;

mod trust;

pub(crate) use trust::{authorities, connect_config};

/// Largest answer: a page of 500 rows takes 1 MiB, a large bill of materials 20 MiB.
const ANSWER_BYTES_MAX: ByteCount = ByteCount::mib(64);
/// Largest problem that is read.
const PROBLEM_BYTES_MAX: u64 = 64 * 1024;
/// Longest line of an event stream: an event is below 4 KiB.
const EVENT_BYTES_MAX: u64 = 64 * 1024;
/// Longest token file: a token has 60 characters.
const TOKEN_BYTES_MAX: u64 = 1024;
/// How long connecting may take.
const CONNECT_TIME: Duration = Duration::from_secs(10);

/// A connection to one server.
pub(crate) struct Client {
    agent: Agent,
    base: String,
    bearer: Option<String>,
    answer_time: Duration,
}

/// A query as it stands in a URL.
pub(crate) type Query = Vec<(&'static str, String)>;

/// Whether a reader of a stream wants more.
pub(crate) enum Reading {
    /// Go on.
    More,
    /// It has seen enough.
    Enough,
}

impl Client {
    /// Makes the client that the settings describe; nothing is sent yet.
    pub(crate) fn new(settings: &Settings) -> Result<Self, Failure> {
        let base = settings.text("server").unwrap_or_default().trim_end_matches('/').to_owned();
        let answer_time = Duration::from_secs(settings.seconds("answer-time")?.0);
        let mut config = Agent::config_builder()
            .https_only(true)
            .http_status_as_error(false)
            .max_redirects(0)
            .user_agent(format!("fleetwarden/{}", env!("CARGO_PKG_VERSION")))
            .tls_config(trust::tls_config(settings)?)
            .timeout_connect(Some(CONNECT_TIME));
        if is_loopback(&base) {
            // A proxy for the world outside would look for the server on its own machine.
            config = config.proxy(None);
        }
        let bearer = token(settings)?.map(|token| format!("Bearer {token}"));
        Ok(Self { agent: config.build().into(), base, bearer, answer_time })
    }

    /// Returns the server's address.
    pub(crate) fn base(&self) -> &str {
        &self.base
    }

    fn prepare<B>(&self, request: RequestBuilder<B>) -> RequestBuilder<B> {
        match &self.bearer {
            Some(bearer) => request.header("authorization", bearer),
            None => request,
        }
    }

    fn url(&self, path: &str) -> String {
        format!("{}/api/v1{path}", self.base)
    }

    fn call(&self, path: &str, query: &Query) -> Result<Response<Body>, Failure> {
        let request = self.prepare(self.agent.get(self.url(path)));
        let request = request.query_pairs(query.iter().map(|(name, value)| (*name, value.as_str())));
        let request = request.config().timeout_global(Some(self.answer_time)).build();
        self.check(request.call())
    }

    fn check(&self, answer: Result<Response<Body>, ureq::Error>) -> Result<Response<Body>, Failure> {
        let mut response = answer.map_err(|error| self.network(&error))?;
        let status = response.status().as_u16();
        if (200..300).contains(&status) {
            return Ok(response);
        }
        let body =
            response.body_mut().with_config().limit(PROBLEM_BYTES_MAX).read_to_vec().unwrap_or_default();
        if let Ok(problem) = serde_json::from_slice::<Problem>(&body) {
            return Err(Failure::of_problem(&problem));
        }
        let message = format!("{} answered with HTTP status {status}", self.base);
        Err(Failure::new(exit_of("", status), message)
            .hint("is this the console's address of a Fleetwarden server?"))
    }

    /// Reads an answer in JSON; an empty one counts as `null`.
    fn decode<T: DeserializeOwned>(&self, mut response: Response<Body>) -> Result<T, Failure> {
        let body = response.body_mut().with_config().limit(ANSWER_BYTES_MAX.0).read_to_vec();
        let body = body.map_err(|error| self.network(&error))?;
        let body = if body.is_empty() { b"null".as_slice() } else { &body };
        serde_json::from_slice(body).map_err(|error| {
            Failure::failed(&format!("understand the answer of {}", self.base), &error)
                .hint("do the command and the server have the same version? `fleetwarden status` shows the server's")
        })
    }

    /// Gets a value.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, Failure> {
        self.decode(self.call(path, &Vec::new())?)
    }

    /// Gets a value, and the moment that the server's clock showed when it answered.
    pub(crate) fn get_with_clock<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<(T, Option<Timestamp>), Failure> {
        let response = self.call(path, &Vec::new())?;
        let clock = response.headers().get("date").and_then(|value| http_date(value.to_str().ok()?));
        Ok((self.decode(response)?, clock))
    }

    /// Gets the bytes of a file.
    pub(crate) fn bytes(&self, path: &str, max: ByteCount) -> Result<Vec<u8>, Failure> {
        let mut response = self.call(path, &Vec::new())?;
        response.body_mut().with_config().limit(max.0).read_to_vec().map_err(|error| self.network(&error))
    }

    /// Gets a list: as many pages as the wanted rows take.
    pub(crate) fn list<T: DeserializeOwned>(
        &self,
        path: &str,
        query: &Query,
        paging: &Paging,
    ) -> Result<Items<T>, Failure> {
        let mut all = Items { items: Vec::new(), next: paging.after.clone() };
        let mut left = usize::try_from(paging.limit).unwrap_or(usize::MAX);
        loop {
            let mut query = query.clone();
            query.push(("limit", left.min(usize::from(PAGE_ROWS_MAX)).to_string()));
            query.extend(all.next.take().map(|after| ("after", after)));
            let page: Items<T> = self.decode(self.call(path, &query)?)?;
            left = left.saturating_sub(page.items.len());
            // A page without rows that promises more would go on for ever.
            let more = !page.items.is_empty() && left > 0 && page.next.is_some();
            all.items.extend(page.items);
            all.next = page.next;
            if !more {
                return Ok(all);
            }
        }
    }

    /// Posts a body and gets a value.
    pub(crate) fn post<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.send(self.agent.post(self.url(path)), body)
    }

    /// Puts a body and gets a value.
    pub(crate) fn put<B: Serialize, T: DeserializeOwned>(&self, path: &str, body: &B) -> Result<T, Failure> {
        self.send(self.agent.put(self.url(path)), body)
    }

    /// Changes a value.
    pub(crate) fn patch<B: Serialize, T: DeserializeOwned>(
        &self,
        path: &str,
        body: &B,
    ) -> Result<T, Failure> {
        self.send(self.agent.patch(self.url(path)), body)
    }

    fn send<B: Serialize, T: DeserializeOwned>(
        &self,
        request: RequestBuilder<ureq::typestate::WithBody>,
        body: &B,
    ) -> Result<T, Failure> {
        let json = serde_json::to_vec(body).map_err(|error| Failure::failed("write JSON", &error))?;
        self.send_bytes(request, "application/json", &json)
    }

    fn send_bytes<T: DeserializeOwned>(
        &self,
        request: RequestBuilder<ureq::typestate::WithBody>,
        media: &str,
        bytes: &[u8],
    ) -> Result<T, Failure> {
        let request = self.prepare(request).header("content-type", media);
        let request = request.config().timeout_global(Some(self.answer_time)).build();
        self.decode(self.check(request.send(bytes))?)
    }

    /// Puts bytes and gets a value.
    pub(crate) fn put_bytes<T: DeserializeOwned>(
        &self,
        path: &str,
        media: &str,
        bytes: &[u8],
    ) -> Result<T, Failure> {
        self.send_bytes(self.agent.put(self.url(path)), media, bytes)
    }

    /// Uploads a stream of known length. There is no limit on its time: the line decides.
    pub(crate) fn upload<T: DeserializeOwned>(
        &self,
        path: &str,
        content: &mut dyn Read,
        length: ByteCount,
    ) -> Result<T, Failure> {
        let request = self.prepare(self.agent.post(self.url(path)));
        let request = request
            .header("content-type", "application/octet-stream")
            .header("content-length", length.0.to_string());
        self.decode(self.check(request.send(SendBody::from_reader(content)))?)
    }

    /// Follows a stream of events (server-sent events) until the reader has enough or the server ends it.
    pub(crate) fn follow<T: DeserializeOwned>(
        &self,
        path: &str,
        mut each: impl FnMut(T) -> Result<Reading, Failure>,
    ) -> Result<(), Failure> {
        let request = self.prepare(self.agent.get(self.url(path))).header("accept", "text/event-stream");
        let response = self.check(request.call())?;
        let mut lines = BufReader::new(response.into_body().into_with_config().limit(u64::MAX).reader());
        loop {
            let mut line = String::new();
            let read = (&mut lines).take(EVENT_BYTES_MAX).read_line(&mut line);
            let length = read.map_err(|error| {
                Failure::new(Exit::Network, format!("the stream of events broke: {error}"))
            })?;
            if length == 0 {
                return Ok(());
            }
            // HTML Living Standard §9.2.6: other fields and comments (keep-alives) are passed over.
            let Some(data) = line.strip_prefix("data:") else { continue };
            let Ok(event) = serde_json::from_str(data.trim()) else { continue };
            if matches!(each(event)?, Reading::Enough) {
                return Ok(());
            }
        }
    }

    fn network(&self, error: &ureq::Error) -> Failure {
        let text = crate::failure::chain(error);
        let failure = Failure::new(Exit::Network, format!("cannot reach {}: {text}", self.base));
        if text.contains("certificate") || text.contains("UnknownIssuer") {
            failure
                .hint("name the fleet's device CA with --ca FILE (ca/ca.crt of the server's data directory)")
        } else if text.contains("efused") {
            failure.hint("is the server running? `fleetwarden serve --data-dir DIR` starts it; --server names its address")
        } else {
            failure.hint("check --server and the network; `fleetwarden doctor` looks closer")
        }
    }
}

fn is_loopback(base: &str) -> bool {
    let host = base.strip_prefix("https://").unwrap_or(base);
    ["localhost", "127.", "[::1]"].iter().any(|loopback| host.starts_with(loopback))
}

/// Finds the token: given, in a file, or the administrator's in the data directory.
fn token(settings: &Settings) -> Result<Option<String>, Failure> {
    if let Some(token) = settings.text("token") {
        return Ok(Some(token));
    }
    if let Some(path) = settings.path("token-file") {
        return read_token(&path).map(Some);
    }
    let path = settings.path("data-dir").map(|folder| folder.join("admin.token"));
    match path {
        Some(path) if path.exists() => read_token(&path).map(Some),
        Some(_) | None => Ok(None),
    }
}

fn read_token(path: &std::path::Path) -> Result<String, Failure> {
    let failed = |error| Failure::file("read the token file", path, &error);
    let mut text = String::new();
    std::fs::File::open(path)
        .map_err(failed)?
        .take(TOKEN_BYTES_MAX)
        .read_to_string(&mut text)
        .map_err(failed)?;
    let token = text.trim();
    let fits = !token.is_empty() && token.bytes().all(|byte| byte.is_ascii_graphic());
    if fits {
        Ok(token.to_owned())
    } else {
        Err(Failure::new(Exit::Invalid, format!("{} holds no token", path.display()))
            .hint("a token is one line that starts with fwt_"))
    }
}

/// Reads the date of an HTTP header (RFC 9110 §5.6.7, IMF-fixdate: `Sun, 22 Nov 2026 08:00:00 GMT`).
fn http_date(text: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let parts: Vec<&str> = text.split(' ').collect();
    let [_, day, month, year, time, "GMT"] = parts.as_slice() else { return None };
    let month = MONTHS.iter().position(|name| name == month)? + 1;
    format!("{year}-{month:02}-{day}T{time}Z").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{http_date, is_loopback, read_token};
    use crate::failure::Exit;

    #[test]
    fn the_server_s_clock_is_read() {
        let read = |text| http_date(text).map(|moment| moment.to_string());
        assert_eq!(read("Sun, 22 Nov 2026 08:00:00 GMT").as_deref(), Some("2026-11-22T08:00:00Z"));
        for wrong in [
            "",
            "Sunday, 22-Nov-26 08:00:00 GMT",
            "Sun, 22 Nov 2026 08:00:00 CET",
            "Sun, 99 Nov 2026 08:00:00 GMT",
        ] {
            assert_eq!(read(wrong), None, "{wrong:?}");
        }
    }

    #[test]
    fn loopback_servers_need_no_proxy() {
        assert!(
            is_loopback("https://localhost:8444")
                && is_loopback("https://127.0.0.1:1")
                && is_loopback("https://[::1]")
        );
        assert!(!is_loopback("https://fleet.example.org"));
    }

    #[test]
    fn a_token_file_holds_one_token() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expected: Result<&str, Exit>| {
            let path = folder.path().join("token");
            std::fs::write(&path, text).unwrap();
            let read = read_token(&path).map_err(|failure| failure.exit);
            assert_eq!(read.as_deref().map_err(|exit| *exit), expected, "{text:?}");
        };
        check("fwt_admin_abc\n", Ok("fwt_admin_abc"));
        check("\n", Err(Exit::Invalid));
        check("two words", Err(Exit::Invalid));
        let none = read_token(&folder.path().join("none")).unwrap_err();
        assert_eq!(none.exit, Exit::NotFound);
    }
}
