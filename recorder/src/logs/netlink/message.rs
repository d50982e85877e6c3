//! Takes a datagram of netlink apart: `struct nlmsghdr` of the kernel's `linux/netlink.h`, then the text of a record. Pure.

use std::borrow::Cow;

/// Length, type, flags, sequence, port.
const HEADER: usize = 16;

/// What messages begin at multiples of.
const ALIGNED: usize = 4;

/// One message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The type of record, such as 1326.
    pub kind: u16,
    /// `audit(SECONDS.MILLIS:SERIAL): …`; bytes that are no UTF-8 are replaced.
    pub text: Cow<'a, str>,
}

/// All messages of a datagram; what follows a length that cannot be is passed over.
pub fn messages(mut datagram: &[u8]) -> impl Iterator<Item = Message<'_>> {
    std::iter::from_fn(move || {
        let (header, _) = datagram.split_at_checked(HEADER)?;
        let length = u32::from_ne_bytes(*header.first_chunk()?);
        let kind = u16::from_ne_bytes([header[4], header[5]]);
        let mut length = usize::try_from(length).ok()?;
        // Some kernels leave the header out of the length that they give (`kauditd_send_multicast_skb`).
        if length.checked_add(HEADER) == Some(datagram.len()) {
            length = datagram.len();
        }
        if length < HEADER {
            datagram = &[];
            return None;
        }
        let length = length.min(datagram.len());
        let payload = &datagram[HEADER..length];
        datagram = datagram.get(length.next_multiple_of(ALIGNED)..).unwrap_or_default();
        let end = payload.iter().position(|byte| *byte == 0).unwrap_or(payload.len());
        Some(Message { kind, text: String::from_utf8_lossy(&payload[..end]) })
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As the kernel lays a message out, with a length that may be wrong.
    fn message(length: usize, kind: u16, payload: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(length).unwrap().to_ne_bytes().to_vec();
        bytes.extend(kind.to_ne_bytes());
        bytes.extend([0; 10]);
        bytes.extend(payload);
        bytes
    }

    fn texts(datagram: &[u8]) -> Vec<(u16, String)> {
        messages(datagram).map(|message| (message.kind, message.text.into_owned())).collect()
    }

    #[test]
    fn the_text_is_what_follows_the_header() {
        let right = [(1326, "audit(1.1:1): x".to_owned())];
        let text = b"audit(1.1:1): x";
        assert_eq!(texts(&message(HEADER + text.len(), 1326, text)), right);
        assert_eq!(texts(&message(text.len(), 1326, text)), right, "the length without the header");
        let padded = b"audit(1.1:1): x\0\0\0";
        assert_eq!(texts(&message(HEADER + padded.len(), 1326, padded)), right);
    }

    #[test]
    fn several_messages_begin_where_they_are_aligned() {
        let mut both = message(HEADER + 3, 1400, b"abc\0");
        both.extend(message(HEADER + 2, 1326, b"de"));
        assert_eq!(texts(&both), [(1400, "abc".to_owned()), (1326, "de".to_owned())]);
    }

    #[test]
    fn lengths_that_cannot_be_end_it() {
        assert_eq!(texts(&message(0, 1400, b"abcd")), []);
        assert_eq!(texts(&message(15, 1400, b"abcd")), []);
        assert_eq!(texts(&message(4_000_000_000, 1400, b"abcd")), [(1400, "abcd".to_owned())]);
        assert_eq!(texts(&[0; 15]), []);
        assert_eq!(texts(&message(HEADER, 1400, b"")), [(1400, String::new())]);
    }

    proptest! {
        #[test]
        fn whatever_the_bytes_are_it_ends(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            // Each message takes a header at least.
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER + 1);
        }

        #[test]
        fn any_length_over_real_text_is_bounded(length in any::<u32>(), text in "\\PC{0,60}") {
            let bytes = message(usize::try_from(length).unwrap(), 1326, text.as_bytes());
            let told: usize = messages(&bytes).map(|message| message.text.len()).sum();
            prop_assert!(told <= 3 * bytes.len());
        }
    }
}
