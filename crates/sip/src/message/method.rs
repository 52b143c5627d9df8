//! Request methods.

use bytes::Bytes;
use std::fmt;

macro_rules! methods {
    ($($variant:ident = $name:literal;)*) => {
        /// A request method. Methods are case sensitive (RFC 3261 §7.1).
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub enum Method {
            $(#[doc = concat!("`", $name, "`.")] $variant,)*
            /// A method that Carillon does not know; the token byte for byte.
            Other(Bytes),
        }

        impl Method {
            /// The method that `token`, a part of `message`, names.
            pub(crate) fn of(message: &Bytes, token: &[u8]) -> Self {
                Self::known(token).unwrap_or_else(|| Method::Other(message.slice_ref(token)))
            }

            /// The known method with this name.
            pub fn known(token: &[u8]) -> Option<Self> {
                $(if token == $name.as_bytes() { return Some(Method::$variant); })*
                None
            }

            /// The token on the wire.
            pub fn as_bytes(&self) -> &[u8] {
                match self {
                    $(Method::$variant => $name.as_bytes(),)*
                    Method::Other(token) => token,
                }
            }
        }
    };
}

methods! {
    Invite = "INVITE";
    Ack = "ACK";
    Bye = "BYE";
    Cancel = "CANCEL";
    Register = "REGISTER";
    Options = "OPTIONS";
    Info = "INFO";
    Update = "UPDATE";
    Prack = "PRACK";
    Refer = "REFER";
    Notify = "NOTIFY";
    Subscribe = "SUBSCRIBE";
    Message = "MESSAGE";
    Publish = "PUBLISH";
}

impl Method {
    /// Whether a request of this method carries a Contact that refreshes the peer's target (RFC 3261 §12.2, RFC 3311,
    /// RFC 6665, RFC 3515).
    pub const fn refreshes_target(&self) -> bool {
        matches!(self, Method::Invite | Method::Update | Method::Subscribe | Method::Notify | Method::Refer)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&String::from_utf8_lossy(self.as_bytes()))
    }
}
