//! Sending a whole upload to a store, in parts when it is large. What was begun and cannot be finished is given up, so that
//! no parts stay behind that somebody pays for.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use bytes::Bytes;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _, WriteMultipart};

/// Bytes of one part; S3 takes no smaller ones.
pub(super) const PART_BYTES: usize = 5 * 1024 * 1024;
/// Parts of one file that are sent at a time.
const PARTS_MAX: usize = 2;

/// Sends a file that must have so many bytes.
pub(super) async fn send(store: &dyn ObjectStore, from: PathBuf, to: &Path, size: u64) -> io::Result<()> {
    let file = tokio::task::spawn_blocking(move || File::open(from)).await??;
    if size <= PART_BYTES as u64 {
        let (_, whole) = read_part(file).await?;
        expect_size(whole.len() as u64, size)?;
        store.put(to, whole.into()).await?;
        return Ok(());
    }
    let upload = store.put_multipart(to).await?;
    let mut sending = WriteMultipart::new_with_chunk_size(upload, PART_BYTES);
    match send_parts(&mut sending, file, size).await {
        // It gives up what fails by itself.
        Ok(()) => Ok(sending.finish().await.map(drop)?),
        Err(error) => {
            if let Err(told) = sending.abort().await {
                tracing::warn!(%told, "parts of a file that could not be sent stay in the bucket");
            }
            Err(error)
        }
    }
}

async fn send_parts(sending: &mut WriteMultipart, mut file: File, size: u64) -> io::Result<()> {
    let mut sent = 0;
    loop {
        sending.wait_for_capacity(PARTS_MAX).await?;
        let (rest, part) = read_part(file).await?;
        file = rest;
        sent += part.len() as u64;
        if part.is_empty() {
            break;
        }
        sending.put(part);
    }
    // Whatever goes wrong with the last parts must be known before the file is put together.
    sending.wait_for_capacity(0).await?;
    expect_size(sent, size)
}

fn expect_size(sent: u64, size: u64) -> io::Result<()> {
    if sent == size { Ok(()) } else { Err(io::Error::other("an upload has not the size that it had")) }
}

/// The next part of a file, empty at its end.
async fn read_part(mut file: File) -> io::Result<(File, Bytes)> {
    let read = tokio::task::spawn_blocking(move || {
        let mut part = Vec::new();
        (&mut file).take(PART_BYTES as u64).read_to_end(&mut part)?;
        Ok((file, Bytes::from(part)))
    });
    read.await?
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    #[tokio::test]
    async fn a_file_of_another_size_is_not_sent() {
        let folder = tempfile::tempdir().unwrap();
        let (store, to) = (InMemory::new(), Path::from("objects/x"));
        for size in [100, PART_BYTES + 100] {
            let from = folder.path().join("from");
            std::fs::write(&from, vec![7; size]).unwrap();
            let size = size as u64;
            for wrong in [size - 1, size + 1] {
                send(&store, from.clone(), &to, wrong).await.unwrap_err();
                assert!(store.head(&to).await.is_err(), "{size}");
            }
            send(&store, from, &to, size).await.unwrap();
            assert_eq!(store.head(&to).await.unwrap().size, size);
            store.delete(&to).await.unwrap();
        }
    }
}
