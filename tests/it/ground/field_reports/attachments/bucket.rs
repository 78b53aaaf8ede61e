//! A bucket as S3 has them, of which the service knows only the address.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;

/// Objects by `/bucket/key`, and the parts of those that are being sent.
#[derive(Debug, Default)]
struct Held {
    objects: BTreeMap<String, Vec<u8>>,
    parts: BTreeMap<(String, u32), Vec<u8>>,
    fails: bool,
    /// Parts from this one on are refused.
    fails_from_part: Option<u32>,
    requests: Vec<String>,
}

/// A running store.
#[derive(Debug, Clone)]
pub(super) struct Bucket {
    pub(super) address: SocketAddr,
    held: Arc<Mutex<Held>>,
}

impl Bucket {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let bucket = Self { address: listener.local_addr().expect("an address"), held: Arc::default() };
        let serving = bucket.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let bucket = serving.clone();
                let service = service_fn(move |request| {
                    let bucket = bucket.clone();
                    async move { bucket.answer(request).await }
                });
                let connection = async move {
                    auto::Builder::new(TokioExecutor::new())
                        .serve_connection(TokioIo::new(stream), service)
                        .await
                };
                tokio::spawn(connection);
            }
        });
        bucket
    }

    /// Keys of all objects.
    pub(super) fn keys(&self) -> Vec<String> {
        self.held.lock().unwrap().objects.keys().cloned().collect()
    }

    /// Puts an object there.
    pub(super) fn put(&self, key: &str, content: &[u8]) {
        self.held.lock().unwrap().objects.insert(key.to_owned(), content.to_vec());
    }

    /// Whether every request is refused.
    pub(super) fn fail(&self, fails: bool) {
        self.held.lock().unwrap().fails = fails;
    }

    /// Whether the second part of an upload, and what comes after it, is refused.
    pub(super) fn fail_parts(&self, fails: bool) {
        self.held.lock().unwrap().fails_from_part = fails.then_some(2);
    }

    /// How many parts are there of files that are not put together.
    pub(super) fn parts(&self) -> usize {
        self.held.lock().unwrap().parts.len()
    }

    /// Takes an object away.
    pub(super) fn lose(&self, key: &str) {
        self.held.lock().unwrap().objects.remove(key);
    }

    /// Method and path of everything that was asked.
    pub(super) fn requests(&self) -> Vec<String> {
        self.held.lock().unwrap().requests.clone()
    }

    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, hyper::Error> {
        let (asked, body) = request.into_parts();
        let body = body.collect().await?.to_bytes();
        let path = asked.uri.path().to_owned();
        let query: BTreeMap<&str, &str> = asked
            .uri
            .query()
            .unwrap_or("")
            .split('&')
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .collect();
        let signed =
            asked.headers.get("authorization").is_some_and(|told| told.as_bytes().starts_with(b"AWS4-"));
        let mut held = self.held.lock().unwrap();
        held.requests.push(format!("{} {path}", asked.method));
        if held.fails || !signed {
            return Ok(told(StatusCode::FORBIDDEN, "<Error><Code>AccessDenied</Code></Error>".to_owned()));
        }
        Ok(match (&asked.method, query.get("uploadId"), query.contains_key("uploads")) {
            (&Method::GET, ..) if query.contains_key("list-type") => list(&held, &path, &query),
            (&Method::GET | &Method::HEAD, ..) => read(&held, &path, asked.headers.get("range")),
            (&Method::POST, None, true) => told(
                StatusCode::OK,
                "<InitiateMultipartUploadResult><UploadId>u1</UploadId></InitiateMultipartUploadResult>"
                    .to_owned(),
            ),
            (&Method::PUT, Some(_), _) => {
                let number = query["partNumber"].parse().expect("a number");
                if held.fails_from_part.is_some_and(|first| first <= number) {
                    return Ok(told(StatusCode::FORBIDDEN, String::new()));
                }
                held.parts.insert((path, number), body.to_vec());
                told(StatusCode::OK, String::new())
            }
            (&Method::POST, Some(_), _) => {
                let parts: Vec<u8> = held
                    .parts
                    .iter()
                    .filter(|((of, _), _)| *of == path)
                    .flat_map(|(_, part)| part.clone())
                    .collect();
                held.parts.clear();
                held.objects.insert(path, parts);
                let done =
                    "<CompleteMultipartUploadResult><ETag>\"e\"</ETag></CompleteMultipartUploadResult>";
                told(StatusCode::OK, done.to_owned())
            }
            (&Method::PUT, None, _) => {
                held.objects.insert(path, body.to_vec());
                told(StatusCode::OK, String::new())
            }
            (&Method::DELETE, Some(_), _) => {
                held.parts.retain(|(of, _), _| *of != path);
                told(StatusCode::NO_CONTENT, String::new())
            }
            (&Method::DELETE, ..) => {
                held.objects.remove(&path);
                told(StatusCode::NO_CONTENT, String::new())
            }
            other => panic!("nobody asks for {other:?}"),
        })
    }
}

fn told(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    let answer = Response::builder().status(status).header("etag", "\"e\"");
    answer.body(Full::from(body)).expect("an answer")
}

fn read(held: &Held, path: &str, range: Option<&http::HeaderValue>) -> Response<Full<Bytes>> {
    let Some(content) = held.objects.get(path) else { return told(StatusCode::NOT_FOUND, String::new()) };
    let last = content.len() - 1;
    let range = range.map(|range| {
        let range = range.to_str().unwrap().strip_prefix("bytes=").expect("bytes");
        let (from, to) = range.split_once('-').expect("a range");
        (from.parse::<usize>().unwrap(), to.parse::<usize>().unwrap().min(last))
    });
    let (from, to) = range.unwrap_or((0, last));
    let status = if range.is_some() { StatusCode::PARTIAL_CONTENT } else { StatusCode::OK };
    let answer = Response::builder()
        .status(status)
        .header("etag", "\"e\"")
        .header("last-modified", "Thu, 01 Jan 1998 00:00:00 GMT")
        .header("content-range", format!("bytes {from}-{to}/{}", content.len()));
    answer.body(Full::from(content[from..=to].to_vec())).expect("an answer")
}

fn list(held: &Held, path: &str, query: &BTreeMap<&str, &str>) -> Response<Full<Bytes>> {
    let bucket = format!("{}/", path.trim_end_matches('/'));
    let prefix = query.get("prefix").map(|prefix| prefix.replace("%2F", "/")).unwrap_or_default();
    let mut body = "<ListBucketResult>".to_owned();
    for (key, content) in &held.objects {
        let Some(key) = key.strip_prefix(&bucket).filter(|key| key.starts_with(&prefix)) else { continue };
        let size = content.len();
        write!(
            body,
            "<Contents><Key>{key}</Key><Size>{size}</Size><LastModified>1998-01-01T00:00:00.000Z</LastModified>\
             <ETag>\"e\"</ETag></Contents>"
        )
        .expect("a string takes everything");
    }
    body.push_str("</ListBucketResult>");
    told(StatusCode::OK, body)
}
