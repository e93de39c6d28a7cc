//! Answers the authority's question over HTTP (HTTP-01, RFC 8555 §8.3), and nobody else's.
//!
//! The one thing it has to say is the text that belongs to a token, and only while an order is under way; everything else
//! is 404. Requests are bounded in length and time, and so many are answered at once.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

/// Bytes of a request that are read: its first line and what an authority's client says of itself.
const REQUEST: usize = 4096;

/// How long a request may take from beginning to end.
const PATIENCE: Duration = Duration::from_secs(5);

/// Requests at once; more wait in the kernel's queue. An authority asks from a handful of places.
const AT_ONCE: usize = 32;

/// After an error of the system's at accepting (no descriptors).
const PAUSE: Duration = Duration::from_millis(200);

const PREFIX: &str = "/.well-known/acme-challenge/";

/// What is answered: tokens with their texts.
#[derive(Clone, Debug, Default)]
pub(crate) struct Answers(Arc<Mutex<HashMap<String, String>>>);

impl Answers {
    /// From now on this token has this text.
    pub(crate) fn insert(&self, token: String, text: String) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.insert(token, text);
    }

    /// Nothing is answered any more.
    pub(crate) fn clear(&self) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.clear();
    }

    fn get(&self, token: &str) -> Option<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(token).cloned()
    }
}

/// Answers until it is dropped.
pub(crate) async fn respond(listener: &TcpListener, answers: &Answers) {
    let seats = Arc::new(Semaphore::new(AT_ONCE));
    let mut tasks = tokio::task::JoinSet::new();
    loop {
        while tasks.try_join_next().is_some() {}
        let Ok(seat) = Arc::clone(&seats).acquire_owned().await else {
            return;
        };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "challenge not accepted");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let answers = answers.clone();
        tasks.spawn(async move {
            let _ = tokio::time::timeout(PATIENCE, talk(stream, &answers)).await;
            drop(seat);
        });
    }
}

async fn talk(mut stream: TcpStream, answers: &Answers) -> io::Result<()> {
    let mut request = Vec::with_capacity(512);
    while !is_whole(&request) && request.len() < REQUEST {
        let mut part = [0; 512];
        let read = stream.read(&mut part).await?;
        if read == 0 {
            break;
        }
        request.extend_from_slice(part.get(..read).unwrap_or_default());
    }
    let response = answer(&request, |token| answers.get(token));
    stream.write_all(response.as_bytes()).await?;
    stream.shutdown().await
}

/// The empty line behind the header.
fn is_whole(request: &[u8]) -> bool {
    request.windows(4).any(|it| it == b"\r\n\r\n")
}

/// The response to what was read of a request.
fn answer(request: &[u8], text_of: impl Fn(&str) -> Option<String>) -> String {
    let response = |status: &str, text: &str| {
        let length = text.len();
        format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/octet-stream\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{text}"
        )
    };
    let line = request.split(|it| *it == b'\r').next().unwrap_or_default();
    let mut words = str::from_utf8(line).unwrap_or_default().split(' ');
    let (method, target, version) = (words.next(), words.next(), words.next());
    let http = version.is_some_and(|it| it.starts_with("HTTP/1."));
    if !http || words.next().is_some() || !is_whole(request) {
        return response("400 Bad Request", "");
    }
    if method != Some("GET") {
        return response("405 Method Not Allowed", "");
    }
    let token = target.and_then(|it| it.strip_prefix(PREFIX));
    match token.and_then(text_of) {
        Some(text) => response("200 OK", &text),
        None => response("404 Not Found", ""),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_token_has_an_answer() {
        let text_of = |token: &str| (token == "tok-1").then(|| "tok-1.abc".to_owned());
        for (request, status, body) in [
            (
                "GET /.well-known/acme-challenge/tok-1 HTTP/1.1\r\nHost: a\r\n\r\n",
                "200",
                "tok-1.abc",
            ),
            (
                "GET /.well-known/acme-challenge/tok-1 HTTP/1.0\r\n\r\n",
                "200",
                "tok-1.abc",
            ),
            (
                "GET /.well-known/acme-challenge/tok-2 HTTP/1.1\r\n\r\n",
                "404",
                "",
            ),
            (
                "GET /.well-known/acme-challenge/ HTTP/1.1\r\n\r\n",
                "404",
                "",
            ),
            (
                "GET /.well-known/acme-challenge/../tok-1 HTTP/1.1\r\n\r\n",
                "404",
                "",
            ),
            ("GET / HTTP/1.1\r\n\r\n", "404", ""),
            (
                "GET http://a/.well-known/acme-challenge/tok-1 HTTP/1.1\r\n\r\n",
                "404",
                "",
            ),
            (
                "POST /.well-known/acme-challenge/tok-1 HTTP/1.1\r\n\r\n",
                "405",
                "",
            ),
            (
                "GET /.well-known/acme-challenge/tok-1 HTTP/2.0\r\n\r\n",
                "400",
                "",
            ),
            ("GET /.well-known/acme-challenge/tok-1\r\n\r\n", "400", ""),
            (
                "GET /.well-known/acme-challenge/tok-1 HTTP/1.1\r\nHost: a\r\n",
                "400",
                "",
            ),
            ("USER anonymous\r\n\r\n", "400", ""),
            ("\u{0}\u{1}\r\n\r\n", "400", ""),
            ("", "400", ""),
        ] {
            let response = answer(request.as_bytes(), text_of);
            assert_eq!(response.split(' ').nth(1), Some(status), "{request:?}");
            assert_eq!(
                response.split_once("\r\n\r\n").unwrap().1,
                body,
                "{request:?}"
            );
            assert!(response.contains(&format!("Content-Length: {}\r\n", body.len())));
        }
        assert!(answer(&[0xff; REQUEST], text_of).starts_with("HTTP/1.1 400"));
    }

    #[tokio::test]
    async fn slow_and_long_requests_end() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let answers = Answers::default();
        answers.insert("tok".to_owned(), "text".to_owned());
        let responder = answers.clone();
        let task = tokio::spawn(async move { respond(&listener, &responder).await });
        let ask = async |request: &[u8]| {
            let mut stream = TcpStream::connect(at).await.unwrap();
            stream.write_all(request).await.unwrap();
            let mut response = String::new();
            let _ = stream.read_to_string(&mut response).await;
            response
        };
        let good = b"GET /.well-known/acme-challenge/tok HTTP/1.1\r\n\r\n";
        assert!(ask(good).await.ends_with("\r\n\r\ntext"));
        assert!(ask(&[b'x'; REQUEST]).await.starts_with("HTTP/1.1 400"));
        answers.clear();
        assert!(ask(good).await.starts_with("HTTP/1.1 404"));
        task.abort();
    }
}
