//! Header names, long and compact (RFC 3261 §7.3.3, §20).

/// The size of the table of names.
const SLOTS: usize = 128;

/// Where a name stands in the table, by its length and three of its letters: one look decides for any name.
const fn slot(name: &[u8]) -> Option<usize> {
    let (Some(first), Some(last)) = (name.first(), name.last()) else { return None };
    let middle = name[name.len() / 2];
    Some((letter(*first) + 20 * letter(*last) + 16 * letter(middle) + name.len()) % SLOTS)
}

/// A letter in small, as a number; other bytes as any number.
const fn letter(b: u8) -> usize {
    (b | 0x20) as usize
}

macro_rules! headers {
    ($($variant:ident = $name:literal $(| $short:literal)?;)*) => {
        /// A header that Carillon reads or writes. Others pass through by name, byte for byte.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Header {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
        }

        impl Header {
            /// The name as it is written on the wire (always the long form).
            pub const fn name(self) -> &'static str {
                match self { $(Header::$variant => $name,)* }
            }

            /// Reads a long or compact name in any case; `None` for a header that is not in the list.
            pub fn from_name(name: &[u8]) -> Option<Self> {
                if let [letter] = name {
                    return Self::from_letter(letter.to_ascii_lowercase());
                }
                let candidate = BY_SLOT[slot(name)?]?;
                name.eq_ignore_ascii_case(candidate.name().as_bytes()).then_some(candidate)
            }

            fn from_letter(letter: u8) -> Option<Self> {
                match letter {
                    $($($short => Some(Header::$variant),)?)*
                    _ => None,
                }
            }
        }

        /// Every header at the slot of its name. Two names in one slot do not compile.
        const BY_SLOT: [Option<Header>; SLOTS] = {
            let mut table = [None; SLOTS];
            $(match slot($name.as_bytes()) {
                Some(slot) => {
                    assert!(table[slot].is_none(), "choose other factors in slot()");
                    table[slot] = Some(Header::$variant);
                }
                None => panic!("a header has a name"),
            })*
            table
        };
    };
}

headers! {
    Via = "Via" | b'v';
    From = "From" | b'f';
    To = "To" | b't';
    CallId = "Call-ID" | b'i';
    CSeq = "CSeq";
    Contact = "Contact" | b'm';
    MaxForwards = "Max-Forwards";
    ContentLength = "Content-Length" | b'l';
    ContentType = "Content-Type" | b'c';
    Route = "Route";
    RecordRoute = "Record-Route";
    Expires = "Expires";
    Allow = "Allow";
    Supported = "Supported" | b'k';
    Require = "Require";
    ProxyRequire = "Proxy-Require";
    Unsupported = "Unsupported";
    Authorization = "Authorization";
    ProxyAuthorization = "Proxy-Authorization";
    WwwAuthenticate = "WWW-Authenticate";
    ProxyAuthenticate = "Proxy-Authenticate";
    Accept = "Accept";
    UserAgent = "User-Agent";
    Server = "Server";
    Reason = "Reason";
    RetryAfter = "Retry-After";
    Warning = "Warning";
    MinExpires = "Min-Expires";
    Date = "Date";
    Subject = "Subject" | b's';
    ContentEncoding = "Content-Encoding" | b'e';
    Event = "Event" | b'o';
    ReferTo = "Refer-To" | b'r';
    ReferredBy = "Referred-By" | b'b';
    Replaces = "Replaces";
    SessionExpires = "Session-Expires" | b'x';
    MinSe = "Min-SE";
    RSeq = "RSeq";
    RAck = "RAck";
    Path = "Path";
    ServiceRoute = "Service-Route";
    Privacy = "Privacy";
    PAssertedIdentity = "P-Asserted-Identity";
    PPreferredIdentity = "P-Preferred-Identity";
    Diversion = "Diversion";
    AlertInfo = "Alert-Info";
}

#[cfg(test)]
mod tests {
    use super::Header;

    #[test]
    fn long_and_compact_names_in_any_case_mean_the_same() {
        assert_eq!(Header::from_name(b"call-id"), Some(Header::CallId));
        assert_eq!(Header::from_name(b"I"), Some(Header::CallId));
        assert_eq!(Header::from_name(b"MaX-fOrWaRdS"), Some(Header::MaxForwards));
        assert_eq!(Header::from_name(b"C%6Fntact"), None);
        assert_eq!(Header::from_name(b""), None);
    }
}
