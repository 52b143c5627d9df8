//! The SIP addresses of a configuration. The full grammar is `carillon-sip`'s business; what is refused here is what a
//! node of this version cannot send to, so that it is known before the first call.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::center::SipUri;

/// Longer ones do not fit into a datagram with the rest of a request.
const LONGEST: usize = 255;

/// Checks `sip:[user@]address[:port][;transport=udp|tcp]` (RFC 3261 §19.1).
///
/// # Errors
/// What would be right, in words.
pub(super) fn check(text: &str) -> Result<SipUri, &'static str> {
    let (scheme, rest) = text.split_once(':').ok_or("it begins with `sip:`")?;
    if scheme.eq_ignore_ascii_case("sips") {
        return Err("TLS is not supported yet by this version: write `sip:`");
    }
    if !scheme.eq_ignore_ascii_case("sip") {
        return Err("it begins with `sip:`");
    }
    if text.len() > LONGEST || text.bytes().any(|byte| byte <= b' ' || b"<>\"?".contains(&byte) || byte == 0x7f) {
        return Err("it has at most 255 characters, and no space, control character, `<`, `>`, `\"` or `?`");
    }
    let mut parts = rest.split(';');
    let address = parts.next().unwrap_or_default();
    let host_port = address.rsplit_once('@').map_or(address, |(_, host_port)| host_port);
    check_host_port(host_port)?;
    for parameter in parts {
        check_parameter(parameter)?;
    }
    Ok(SipUri(text.into()))
}

fn check_host_port(host_port: &str) -> Result<IpAddr, &'static str> {
    const ADDRESS: &str = "its host is an IP address: names are not supported yet by this version";
    let (host, port) = match host_port.strip_prefix('[') {
        Some(bracketed) => {
            let (host, port) = bracketed.split_once(']').ok_or("an IPv6 address stands in `[` and `]`")?;
            (host.parse::<Ipv6Addr>().map(IpAddr::V6).map_err(|_| ADDRESS)?, port)
        }
        None => {
            let end = host_port.find(':').unwrap_or(host_port.len());
            let (host, port) = host_port.split_at(end);
            (host.parse::<Ipv4Addr>().map(IpAddr::V4).map_err(|_| ADDRESS)?, port)
        }
    };
    match port.strip_prefix(':').map(str::parse::<u16>) {
        None if port.is_empty() => Ok(host),
        Some(Ok(1..)) => Ok(host),
        None | Some(_) => Err("its port is 1 to 65535"),
    }
}

fn check_parameter(parameter: &str) -> Result<(), &'static str> {
    let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
    if !name.eq_ignore_ascii_case("transport") {
        return Ok(());
    }
    match value.to_ascii_lowercase().as_str() {
        "udp" | "tcp" => Ok(()),
        "tls" | "ws" | "wss" => Err("this transport is not supported yet by this version: write `udp` or `tcp`"),
        _ => Err("its transport is `udp` or `tcp`"),
    }
}

#[cfg(test)]
mod tests {
    use super::check;

    #[test]
    fn addresses_that_this_version_can_send_to_are_taken() {
        for good in ["sip:127.0.0.2:5060;transport=udp", "sip:ivan@10.0.0.7", "SIP:a@[::1]:5080;transport=TCP;lr"] {
            assert_eq!(check(good).unwrap().as_str(), good);
        }
        for bad in [
            "127.0.0.2",
            "tel:+33123456789",
            "sips:127.0.0.2",
            "sip:example.org",
            "sip:127.0.0.2:0",
            "sip:127.0.0.2:70000",
            "sip:127.0.0.2:",
            "sip:[::1",
            "sip:",
            "sip:a b@127.0.0.2",
            "sip:127.0.0.2;transport=tls",
            "sip:127.0.0.2;transport=",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
    }
}
