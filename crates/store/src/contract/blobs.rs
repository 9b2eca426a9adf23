//! The contract of [`Blobs`].

use bojagi_model::Digest;
use bytes::Bytes;
use ring::digest::{SHA256, digest};
use tokio::io::AsyncReadExt as _;

use crate::{Blobs, StoreError};

fn digest_of(bytes: &[u8]) -> Digest {
    Digest::from_bytes(digest(&SHA256, bytes).as_ref().try_into().unwrap())
}

async fn read(blobs: &dyn Blobs, digest: Digest) -> Option<Vec<u8>> {
    let mut blob = blobs.open(digest).await.unwrap()?;
    let mut bytes = Vec::new();
    blob.reader.read_to_end(&mut bytes).await.unwrap();
    assert_eq!(blob.size, bytes.len() as u64);
    Some(bytes)
}

pub(super) async fn check(blobs: &dyn Blobs) {
    let large: Vec<u8> = (0..300_000u32).flat_map(u32::to_le_bytes).collect();
    for content in [b"".to_vec(), b"small".to_vec(), large] {
        let digest = digest_of(&content);
        for _ in 0..2 {
            let mut writer = blobs.begin().await.unwrap();
            for chunk in content.chunks(100_001) {
                writer.write(Bytes::copy_from_slice(chunk)).await.unwrap();
            }
            assert_eq!(writer.commit(digest).await.unwrap(), content.len() as u64);
        }
        assert!(blobs.exists(digest).await.unwrap());
        assert_eq!(read(blobs, digest).await.as_ref(), Some(&content));
    }
    let mut listed = blobs.list().await.unwrap();
    assert_eq!(listed.len(), 3);

    let mut writer = blobs.begin().await.unwrap();
    writer.write(Bytes::from_static(b"other")).await.unwrap();
    let announced = digest_of(b"announced");
    let error = writer.commit(announced).await.unwrap_err();
    assert!(matches!(error, StoreError::DigestMismatch { expected, .. } if expected == announced));
    assert!(!blobs.exists(announced).await.unwrap() && !blobs.exists(digest_of(b"other")).await.unwrap());
    let mut dropped = blobs.begin().await.unwrap();
    dropped.write(Bytes::from_static(b"dropped")).await.unwrap();
    drop(dropped);
    assert!(!blobs.exists(digest_of(b"dropped")).await.unwrap());

    let gone = listed.remove(0);
    blobs.delete(gone).await.unwrap();
    blobs.delete(gone).await.unwrap();
    assert!(read(blobs, gone).await.is_none());
    let mut left = blobs.list().await.unwrap();
    left.sort_unstable();
    listed.sort_unstable();
    assert_eq!(left, listed);
}
