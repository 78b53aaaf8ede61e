//! The layer before every call, over a socket.

use super::*;
use crate::access::rules::demo_rules;

/// A message without fields is enough: what is tested is who gets through.
#[derive(Clone, PartialEq, prost::Message)]
struct Note {
    #[prost(string, tag = "1")]
    text: String,
}

type Handled<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Answers with what it knows about its caller.
#[derive(Clone)]
struct WhoAmI;

impl tonic::server::UnaryService<Note> for WhoAmI {
    type Response = Note;
    type Future = Handled<Result<tonic::Response<Note>, Status>>;

    fn call(&mut self, request: tonic::Request<Note>) -> Self::Future {
        let token_seen = request.metadata().contains_key("authorization");
        let caller = request.extensions().get::<Caller>().cloned();
        Box::pin(async move {
            let caller = caller.ok_or_else(|| Status::internal("no caller"))?;
            let text = format!("{} {} token:{token_seen}", caller.subject(), caller.role());
            Ok(tonic::Response::new(Note { text }))
        })
    }
}

/// A gRPC service of our package, written by hand.
macro_rules! demo_service {
    ($type:ident, $name:literal) => {
        #[derive(Clone)]
        struct $type;

        impl NamedService for $type {
            const NAME: &'static str = $name;
        }

        impl Service<Request<Body>> for $type {
            type Response = Response<Body>;
            type Error = std::convert::Infallible;
            type Future = Handled<Result<Self::Response, Self::Error>>;

            fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
                Poll::Ready(Ok(()))
            }

            fn call(&mut self, request: Request<Body>) -> Self::Future {
                Box::pin(async move {
                    let codec = tonic_prost::ProstCodec::<Note, Note>::default();
                    Ok(tonic::server::Grpc::new(codec).unary(WhoAmI, request).await)
                })
            }
        }
    };
}

demo_service!(DemoService, "safelane.v1.DemoService");
demo_service!(Reflection, "grpc.reflection.v1.ServerReflection");

/// Serves the demo service and health behind the layer; answers with a channel to it.
async fn serve(verifier: Option<Verifier>) -> Channel {
    let (_, health) = tonic_health::server::health_reporter();
    let routes = Routes::new(health).add_service(DemoService).add_service(Reflection).prepare();
    let service = TowerToHyperService::new(
        AuthLayer::new(demo_rules(), verifier.map(std::sync::Arc::new)).layer(routes),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let builder = hyper_util::server::conn::auto::Builder::new(TokioExecutor::new());
            let service = service.clone();
            tokio::spawn(async move {
                let _ = builder.serve_connection(TokioIo::new(stream), service).await;
            });
        }
    });
    Channel::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap()
}

/// Calls a method with these `authorization` headers and answers with the text or the refusal.
async fn call(channel: &Channel, path: &'static str, tokens: &[&str]) -> Result<String, Status> {
    let mut client = tonic::client::Grpc::new(channel.clone());
    client.ready().await.unwrap();
    let mut request = tonic::Request::new(Note::default());
    for token in tokens {
        request.metadata_mut().append("authorization", token.parse().unwrap());
    }
    let codec = tonic_prost::ProstCodec::<Note, Note>::default();
    let path = http::uri::PathAndQuery::from_static(path);
    client.unary(request, path, codec).await.map(|answer| answer.into_inner().text)
}

fn assert_refused(refused: &Status, code: Code, reason: &str, text: &str) {
    assert_eq!((refused.code(), refused.message()), (code, text));
    let details = refused.get_error_details();
    let info = details.error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (reason, "safelane.v1"));
}

fn assert_unauthenticated(refused: &Status) {
    let text = "a valid bearer token is required";
    assert_refused(refused, Code::Unauthenticated, "ERROR_REASON_UNAUTHENTICATED", text);
}

fn assert_forbidden(refused: &Status) {
    let text = "the caller's role does not allow this call";
    assert_refused(refused, Code::PermissionDenied, "ERROR_REASON_PERMISSION_DENIED", text);
}

const PLAN: &str = "/safelane.v1.DemoService/Plan";
const REPORT: &str = "/safelane.v1.DemoService/Report";
const REFLECT: &str = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const SERVING: i32 = 1;

#[tokio::test]
async fn a_call_with_a_good_token_reaches_its_handler_with_the_caller_and_without_the_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let token = format!("Bearer {}", bench.sign(&good_claims()));
    let channel = serve(Some(bench.verifier)).await;
    let answer = call(&channel, PLAN, &[&token]).await.unwrap();
    assert_eq!(answer, "lea coordinator token:false");
}

#[tokio::test]
async fn a_call_without_one_valid_token_is_unauthenticated() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let good = format!("Bearer {}", bench.sign(&good_claims()));
    let mut claims = good_claims();
    claims["exp"] = json!(NOW - 3600);
    let expired = format!("Bearer {}", bench.sign(&claims));
    let channel = serve(Some(bench.verifier)).await;
    let basic = good.replace("Bearer", "Basic");
    let cases: [&[&str]; 6] = [&[], &[&basic], &[&expired], &[&good, &good], &["Bearer"], &["Bearer x"]];
    for tokens in cases {
        for path in [PLAN, REFLECT, "/safelane.v1.DemoService/Unknown"] {
            assert_unauthenticated(&call(&channel, path, tokens).await.unwrap_err());
        }
    }
}

#[tokio::test]
async fn a_call_that_the_role_may_not_make_is_denied_and_an_unknown_method_is_unknown() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let token = format!("Bearer {}", bench.sign(&good_claims()));
    let channel = serve(Some(bench.verifier)).await;
    assert_forbidden(&call(&channel, REPORT, &[&token]).await.unwrap_err());
    let unknown = "/other.v1.Service/Call";
    assert_eq!(call(&channel, unknown, &[&token]).await.unwrap_err().code(), Code::Unimplemented);
    // Only whoever may call at all hears which methods there are.
    assert_eq!(call(&channel, unknown, &[]).await.unwrap_err().code(), Code::Unauthenticated);
}

#[tokio::test]
async fn a_refusal_is_a_trailers_only_answer() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let routes = Routes::new(DemoService).prepare();
    let mut service = AuthLayer::new(demo_rules(), Some(std::sync::Arc::new(bench.verifier))).layer(routes);
    let request = Request::builder().uri(PLAN).body(Body::empty()).unwrap();
    let response = service.call(request).await.unwrap();
    assert_eq!(response.status(), 200);
    let header = |name: &str| text_of(response.headers(), name);
    assert_eq!(header("grpc-status"), "16");
    assert_eq!(header("content-type"), "application/grpc");
    assert!(http_body::Body::is_end_stream(response.body()));
}

fn text_of(headers: &HeaderMap, name: &str) -> String {
    headers[name].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn reflection_is_open_to_every_role_with_a_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let tokens = Role::ALL.map(|role| {
        let mut claims = good_claims();
        claims["role"] = json!(role.name());
        format!("Bearer {}", bench.sign(&claims))
    });
    let channel = serve(Some(bench.verifier)).await;
    for token in &tokens {
        assert!(call(&channel, REFLECT, &[token]).await.is_ok());
    }
}

#[tokio::test]
async fn health_is_open_to_all_even_with_a_bad_token() {
    let bench = Bench::new(KeyAlgorithm::Eddsa);
    let channel = serve(Some(bench.verifier)).await;
    let mut client = HealthClient::new(channel.clone());
    for token in [None, Some("Bearer x")] {
        let mut request = tonic::Request::new(HealthCheckRequest::default());
        if let Some(token) = token {
            request.metadata_mut().insert("authorization", token.parse().unwrap());
        }
        assert_eq!(client.check(request).await.unwrap().into_inner().status, SERVING);
    }
    let similar = call(&channel, "/grpc.health.v1beta.Health/Check", &[]).await.unwrap_err();
    assert_unauthenticated(&similar);
}

#[tokio::test]
async fn without_a_key_set_every_caller_is_the_local_admin_under_the_same_rules() {
    let channel = serve(None).await;
    for tokens in [&[][..], &["Bearer x"]] {
        let answer = call(&channel, PLAN, tokens).await.unwrap();
        assert_eq!(answer, "local-admin admin token:false");
        assert!(call(&channel, REFLECT, tokens).await.is_ok());
        assert_forbidden(&call(&channel, REPORT, tokens).await.unwrap_err());
    }
}
