//! Cheap looks at raw bytes before they are parsed: to choose a worker, to refuse work.

use super::scan::{is_lws, trim};

/// The Call-ID of a message, long or compact form, without parsing it; `None` when there is none. The first one
/// counts, so that a message always goes to the same worker; what it is worth is decided by the parser.
pub fn peek_call_id(bytes: &[u8]) -> Option<&[u8]> {
    let mut at = memchr::memchr(b'\n', bytes)? + 1;
    while let Some(line) = bytes.get(at..) {
        let end = memchr::memchr(b'\n', line)?;
        let content = &line[..end];
        if content.is_empty() || content == b"\r" {
            return None;
        }
        if let Some(name_len) = match content[0] {
            b'C' | b'c' if content.len() > 7 && content[..7].eq_ignore_ascii_case(b"call-id") => Some(7),
            b'I' | b'i' => Some(1),
            _ => None,
        } {
            let rest = &content[name_len..];
            let colon = rest.iter().position(|b| !is_lws(*b)).filter(|i| rest[*i] == b':');
            if let Some(colon) = colon {
                let value = trim(&rest[colon + 1..]);
                if !value.is_empty() {
                    return Some(value);
                }
                // The value is folded onto the next line.
                let next = line.get(end + 1..)?;
                return Some(trim(&next[..memchr::memchr(b'\n', next)?])).filter(|v| !v.is_empty());
            }
        }
        at += end + 1;
    }
    None
}

/// Whether the bytes look like an INVITE that starts a new call: no tag in To. Overload refuses only these.
pub fn peek_is_initial_invite(bytes: &[u8]) -> bool {
    if !bytes.starts_with(b"INVITE ") {
        return false;
    }
    let head = &bytes[..memchr::memmem::find(bytes, b"\r\n\r\n").unwrap_or(bytes.len())];
    let to = head.split(|b| *b == b'\n').find(|line| {
        let name = trim(line.split(|b| *b == b':').next().unwrap_or_default());
        line.contains(&b':') && (name.eq_ignore_ascii_case(b"to") || name.eq_ignore_ascii_case(b"t"))
    });
    to.is_some_and(|line| !has_tag(line))
}

fn has_tag(line: &[u8]) -> bool {
    let after = memchr::memrchr(b'>', line).map_or(line, |i| &line[i..]);
    after.split(|b| *b == b';').skip(1).any(|p| {
        let p = trim(p);
        p.len() > 4 && p[..3].eq_ignore_ascii_case(b"tag") && trim(&p[3..]).starts_with(b"=")
    })
}

#[cfg(test)]
mod tests {
    use super::{peek_call_id, peek_is_initial_invite};

    #[test]
    fn call_id_in_all_forms() {
        for raw in [
            "INVITE sip:a SIP/2.0\r\nTo: x\r\nCall-ID: abc@d\r\n\r\n",
            "INVITE sip:a SIP/2.0\r\ni:abc@d\r\n\r\n",
            "INVITE sip:a SIP/2.0\r\nCALL-id \t:  abc@d \r\n\r\n",
            "INVITE sip:a SIP/2.0\r\nIdentity: x\r\nCall-ID:\r\n abc@d\r\n\r\n",
        ] {
            assert_eq!(peek_call_id(raw.as_bytes()), Some(&b"abc@d"[..]), "{raw}");
        }
        assert_eq!(peek_call_id(b"INVITE sip:a SIP/2.0\r\nTo: x\r\n\r\nCall-ID: body\r\n"), None);
        assert_eq!(peek_call_id(b""), None);
    }

    #[test]
    fn initial_invites_have_no_to_tag() {
        assert!(peek_is_initial_invite(b"INVITE sip:a SIP/2.0\r\nFrom: <sip:b>;tag=1\r\nTo: <sip:a>\r\n\r\n"));
        assert!(peek_is_initial_invite(b"INVITE sip:a SIP/2.0\r\nt: <sip:a;tag=2>\r\n\r\n"));
        assert!(!peek_is_initial_invite(b"INVITE sip:a SIP/2.0\r\nt: <sip:a>;x; tag =2\r\n\r\n"));
        assert!(!peek_is_initial_invite(b"BYE sip:a SIP/2.0\r\nTo: <sip:a>\r\n\r\n"));
    }
}
