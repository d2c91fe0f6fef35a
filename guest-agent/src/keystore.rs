//! Certificates in a key store of Java's (JKS, version 2): Java reads no PEM. Every Java since 1.2 reads this form, with or without the password.

use sha1::{Digest, Sha1};

const MAGIC: u32 = 0xfeed_feed;
const VERSION: u32 = 2;
const TRUSTED_CERTIFICATE: u32 = 2;
/// What Java's own has; it guards nothing.
const PASSWORD: &str = "changeit";
/// Goes into the digest before the content.
const WHITENER: &[u8] = b"Mighty Aphrodite";

/// The key store with these certificates, which are DER.
pub fn write(certificates: &[Vec<u8>]) -> Vec<u8> {
    let mut store = Vec::new();
    store.extend(MAGIC.to_be_bytes());
    store.extend(VERSION.to_be_bytes());
    store.extend(length(certificates.len()));
    for (index, der) in certificates.iter().enumerate() {
        store.extend(TRUSTED_CERTIFICATE.to_be_bytes());
        text(&mut store, &format!("ca-{index}"));
        // When it was made: the same certificates are the same file.
        store.extend(0u64.to_be_bytes());
        text(&mut store, "X.509");
        store.extend(length(der.len()));
        store.extend_from_slice(der);
    }
    let mut digest = Sha1::new();
    for unit in PASSWORD.encode_utf16() {
        digest.update(unit.to_be_bytes());
    }
    digest.update(WHITENER);
    digest.update(&store);
    store.extend(digest.finalize());
    store
}

/// ASCII, which is itself in Java's own UTF-8.
fn text(store: &mut Vec<u8>, ascii: &str) {
    store.extend(u16::try_from(ascii.len()).unwrap_or(0).to_be_bytes());
    store.extend_from_slice(ascii.as_bytes());
}

/// Bundles are limited to some megabytes (trust.rs).
fn length(size: usize) -> [u8; 4] {
    u32::try_from(size).unwrap_or(0).to_be_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::prelude::*;

    #[test]
    fn an_entry_has_its_alias_its_time_its_kind_and_its_bytes() {
        let store = write(&[vec![0x30, 0x00]]);
        let expected = b"\0\0\0\x01\0\0\0\x02\0\x04ca-0\0\0\0\0\0\0\0\0\0\x05X.509\0\0\0\x02\x30\0";
        assert_eq!(&store[8..store.len() - 20], expected);
    }

    #[test]
    fn the_digest_is_of_password_whitener_and_content() {
        let empty = write(&[]);
        assert_eq!(&empty[..12], b"\xfe\xed\xfe\xed\0\0\0\x02\0\0\0\0");
        // As in the empty key store that keytool makes.
        assert_eq!(
            BASE64_STANDARD.encode(&empty[12..]),
            "4mhuRftD36TZkt1BzrayHGMw15I="
        );
    }
}
