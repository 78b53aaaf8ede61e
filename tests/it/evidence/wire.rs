//! A client that sends the bytes of a message as they are, whether they are one or not.

use bytes::BufMut as _;
use prost::Message as _;
use safelane::rpc::pb;
use tonic::Status;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};

/// `PostEntries` as a path.
pub(crate) const PATH: &str = "/safelane.v1.FundingService/PostEntries";

/// Raw requests, and the answers of `PostEntries`.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = pb::PostEntriesResponse;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        into.put_slice(&item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = pb::PostEntriesResponse;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Self::Item>, Status> {
        let decoded = pb::PostEntriesResponse::decode(from);
        decoded.map(Some).map_err(|error| Status::internal(error.to_string()))
    }
}
