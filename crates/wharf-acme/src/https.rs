//! Requests to the authority: HTTPS, HTTP/1.1, one connection each, bounded in length and time.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::{BodyExt, Limited};
use hyper::body::Bytes;
use hyper::header::{HOST, HeaderValue};
use hyper::{Request, Uri};
use hyper_util::rt::TokioIo;
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient};
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use wharf_net::tls::trust::Trust;

/// How long a request may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Bytes of a response: a chain of certificates has some 5 KB.
const RESPONSE: usize = 256 * 1024;

/// The way to the authority.
#[derive(Clone, Debug)]
pub(crate) struct Https {
    trust: Trust,
}

impl Https {
    pub(crate) fn new(trust: Trust) -> Self {
        Self { trust }
    }
}

impl HttpClient for Https {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let trust = self.trust.clone();
        Box::pin(async move {
            let uri = request.uri().clone();
            let told = |why: String| Error::Other(format!("{uri}: {why}").into());
            match tokio::time::timeout(PATIENCE, ask(trust, request)).await {
                Ok(Ok(response)) => Ok(response),
                Ok(Err(error)) => Err(told(error.to_string())),
                Err(_elapsed) => Err(told(format!("no answer within {} s", PATIENCE.as_secs()))),
            }
        })
    }
}

type Failure = Box<dyn std::error::Error + Send + Sync>;

async fn ask(
    trust: Trust,
    mut request: Request<BodyWrapper<Bytes>>,
) -> Result<BytesResponse, Failure> {
    let uri = request.uri().clone();
    if uri.scheme_str() != Some("https") {
        return Err("an authority is spoken to over https:// only".into());
    }
    let authority = uri.authority().ok_or("no host in it")?;
    let host = authority
        .host()
        .trim_start_matches('[')
        .trim_end_matches(']');
    let port = authority.port_u16().unwrap_or(443);
    let stream = TcpStream::connect((host, port)).await?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .dangerous()
        .with_custom_certificate_verifier(trust.verifier(host, port)?)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())?;
    let stream = TlsConnector::from(Arc::new(config))
        .connect(name, stream)
        .await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let path = uri.path_and_query().map_or("/", |it| it.as_str());
    *request.uri_mut() = path.parse::<Uri>()?;
    let value = HeaderValue::from_str(authority.as_str())?;
    request.headers_mut().insert(HOST, value);
    let exchange = async {
        let response = sender.send_request(request).await?;
        let (parts, body) = response.into_parts();
        let body = Limited::new(body, RESPONSE).collect().await?.to_bytes();
        Ok::<_, Failure>((parts, body))
    };
    let mut exchange = std::pin::pin!(exchange);
    let mut connection = std::pin::pin!(connection);
    let (parts, body) = tokio::select! {
        exchanged = &mut exchange => exchanged?,
        // It also ends when all is said, before the body was read.
        ended = &mut connection => {
            ended?;
            exchange.await?
        }
    };
    Ok(BytesResponse {
        parts,
        body: Box::new(body),
    })
}
