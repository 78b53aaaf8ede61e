//! Clients without our proto files: reflection and gRPC-Web.

use safelane::rpc::pb;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tonic::Code;
use tonic_reflection::pb::{v1, v1alpha};

use crate::desk::Desk;
use crate::harness::{World, in_world};
use crate::lane::within;

const SERVICES: [&str; 3] =
    ["safelane.v1.BudgetReportService", "safelane.v1.FundingService", "safelane.v1.OrganizationService"];

/// What reflection v1 lists.
async fn listed(world: &World) -> Result<Vec<String>, tonic::Status> {
    use v1::server_reflection_request::MessageRequest;
    use v1::server_reflection_response::MessageResponse;
    let asked = MessageRequest::ListServices(String::new());
    let request = v1::ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(world.channel());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let answer = within(answers.message()).await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    Ok(list.service.into_iter().map(|service| service.name).collect())
}

async fn listed_by_the_old_version(world: &World) -> Result<Vec<String>, tonic::Status> {
    use v1alpha::server_reflection_request::MessageRequest;
    use v1alpha::server_reflection_response::MessageResponse;
    let asked = MessageRequest::ListServices(String::new());
    let request = v1alpha::ServerReflectionRequest { host: String::new(), message_request: Some(asked) };
    let mut client = v1alpha::server_reflection_client::ServerReflectionClient::new(world.channel());
    let mut answers = client.server_reflection_info(tokio_stream::once(request)).await?.into_inner();
    let answer = within(answers.message()).await?.and_then(|answer| answer.message_response);
    let Some(MessageResponse::ListServicesResponse(list)) = answer else { panic!("{answer:?}") };
    Ok(list.service.into_iter().map(|service| service.name).collect())
}

#[tokio::test]
async fn reflection_lists_every_service_in_both_versions() {
    in_world(async |world| {
        for found in [listed(world).await.unwrap(), listed_by_the_old_version(world).await.unwrap()] {
            for service in SERVICES.into_iter().chain(["grpc.health.v1.Health"]) {
                assert!(found.iter().any(|name| name == service), "{service} is not in {found:?}");
            }
        }
    })
    .await;
}

#[tokio::test]
async fn reflection_that_is_off_is_not_implemented() {
    let world = World::start_without_reflection().await;
    assert_eq!(listed(&world).await.unwrap_err().code(), Code::Unimplemented);
    assert_eq!(listed_by_the_old_version(&world).await.unwrap_err().code(), Code::Unimplemented);
    world.finish().await;
}

/// One gRPC-Web call over HTTP/1.1, as a browser makes it: the head, and the body without its chunks.
async fn browse(world: &World, method: &str, message: &impl prost::Message) -> (String, Vec<u8>) {
    let content = message.encode_to_vec();
    let length = u32::try_from(content.len()).unwrap().to_be_bytes();
    let frame = [&[0][..], &length, &content].concat();
    let head = format!(
        "POST /{method} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/grpc-web+proto\r\n\
         x-grpc-web: 1\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        world.address,
        frame.len()
    );
    let mut stream = TcpStream::connect(world.address).await.unwrap();
    stream.write_all(&[head.as_bytes(), &frame].concat()).await.unwrap();
    let mut answer = Vec::new();
    within(stream.read_to_end(&mut answer)).await.unwrap();
    let split = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head") + 4;
    let head = String::from_utf8(answer[..split].to_vec()).unwrap().to_lowercase();
    let body = answer[split..].to_vec();
    (head.clone(), if head.contains("transfer-encoding: chunked") { joined(&body) } else { body })
}

/// Takes the chunks of a body together.
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let line = chunks.windows(2).position(|two| two == b"\r\n").expect("a length");
        let length = std::str::from_utf8(&chunks[..line]).unwrap();
        let length = usize::from_str_radix(length, 16).expect("a length");
        if length == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[line + 2..line + 2 + length]);
        chunks = &chunks[line + 2 + length + 2..];
    }
}

/// The frames of a gRPC-Web body: flags and content.
fn frames(mut body: &[u8]) -> Vec<(u8, Vec<u8>)> {
    let mut found = Vec::new();
    while !body.is_empty() {
        let length = u32::from_be_bytes(body[1..5].try_into().unwrap()) as usize;
        found.push((body[0], body[5..5 + length].to_vec()));
        body = &body[5 + length..];
    }
    found
}

#[tokio::test]
async fn a_browser_calls_over_http_1() {
    in_world(async |world| {
        let desk = Desk::open(world).await;
        let method = "safelane.v1.FundingService/GetProgram";
        let request = pb::GetProgramRequest { program_id: desk.program_id.clone(), min_revision: 0 };
        let (head, body) = browse(world, method, &request).await;
        assert!(head.starts_with("http/1.1 200"), "{head}");
        assert!(head.contains("content-type: application/grpc-web+proto"), "{head}");
        let found = frames(&body);
        let [(0, message), (0x80, trailers)] = found.as_slice() else { panic!("{found:?}") };
        let answer: pb::GetProgramResponse = prost::Message::decode(message.as_slice()).unwrap();
        assert_eq!(answer.program.expect("a program").code, "US-HD-1998");
        assert!(String::from_utf8_lossy(trailers).contains("grpc-status:0"));
        let unknown = pb::GetProgramRequest { program_id: crate::harness::fresh_id(), min_revision: 0 };
        let (head, body) = browse(world, method, &unknown).await;
        let trailers = frames(&body).pop().map(|(_, trailers)| trailers).unwrap_or_default();
        let told = format!("{head}{}", String::from_utf8_lossy(&trailers));
        assert!(told.contains("grpc-status:5") || told.contains("grpc-status: 5"), "{told}");
    })
    .await;
}
