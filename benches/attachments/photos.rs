//! Photos that nobody took.

use std::sync::Arc;

use bytes::Bytes;
use sha2::{Digest as _, Sha256};

/// What a JPEG begins with.
const BEGIN: &[u8] = b"\xff\xd8\xff\xe0\x00\x10JFIF\x00\x01";

/// Photos, all different.
#[derive(Clone)]
pub(crate) struct Photos(Arc<Vec<Photo>>);

pub(crate) struct Photo {
    pub(crate) content: Bytes,
    pub(crate) sha256: Vec<u8>,
}

impl Photos {
    pub(crate) fn make(seed: u64, count: usize, bytes: usize) -> Self {
        let noise = noise(seed, bytes);
        let photo = |number: usize| {
            let mut content = noise.clone();
            content[..BEGIN.len()].copy_from_slice(BEGIN);
            content[32..40].copy_from_slice(&(number as u64).to_be_bytes());
            let sha256 = Sha256::digest(&content).to_vec();
            Photo { content: content.into(), sha256 }
        };
        Self(Arc::new((0..count).map(photo).collect()))
    }

    pub(crate) fn all(&self) -> &[Photo] {
        &self.0
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.0.iter().map(|photo| photo.content.len() as u64).sum()
    }
}

fn noise(seed: u64, bytes: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut content = Vec::with_capacity(bytes + 8);
    while content.len() < bytes.max(64) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        content.extend_from_slice(&state.to_be_bytes());
    }
    content
}
