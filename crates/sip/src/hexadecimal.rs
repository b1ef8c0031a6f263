//! Bytes as text, as digests, nonces and tags are written.

/// In lower-case hex. Written at once: `hex::encode` asks for room digit by digit.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    let mut text = vec![0; 2 * bytes.len()];
    // The room is right, and every digit is ASCII.
    let _ = hex::encode_to_slice(bytes, &mut text);
    String::from_utf8(text).unwrap_or_default()
}
