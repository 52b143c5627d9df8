//! Small helpers over `rsip`'s messages.

use anyhow::{Context, Result, bail};
use rsip::headers::{Header, Headers, UntypedHeader};
use rsip::message::{HasHeaders, HeadersExt};
use rsip::{Method, Request, Response, StatusCode, Uri};

/// The value of the first header called `name`, whichever way `rsip` keeps it.
pub fn value(message: &impl HasHeaders, name: &str) -> Option<String> {
    values(message, name).into_iter().next()
}

/// The values of all headers called `name`, in order.
pub fn values(message: &impl HasHeaders, name: &str) -> Vec<String> {
    let matching = |header: &Header| {
        let line = header.to_string();
        let (key, value) = line.split_once(':')?;
        key.trim().eq_ignore_ascii_case(name).then(|| value.trim().to_owned())
    };
    message.headers().iter().filter_map(matching).collect()
}

/// The `tag` parameter of a From or To value.
pub fn tag(value: &str) -> Option<&str> {
    let params = value.rsplit_once('>').map_or(value, |(_, params)| params);
    params.split(';').find_map(|p| p.trim().strip_prefix("tag="))
}

/// The URI of a From, To or Contact value.
pub fn uri_in(value: &str) -> Result<Uri> {
    let bare = match (value.find('<'), value.find('>')) {
        (Some(open), Some(close)) if open < close => &value[open + 1..close],
        _ => value.split(';').next().unwrap_or_default().trim(),
    };
    Uri::try_from(bare).with_context(|| format!("the URI of {value:?}"))
}

/// The user part of a From or To value; empty when there is none.
pub fn user_in(value: &str) -> String {
    uri_in(value).ok().and_then(|uri| uri.user().map(str::to_owned)).unwrap_or_default()
}

/// The Call-ID, without which a message belongs nowhere.
pub fn call_id(message: &impl HeadersExt) -> Result<String> {
    Ok(message.call_id_header().context("a message without Call-ID")?.value().to_owned())
}

/// Number and method of the CSeq.
pub fn cseq(message: &impl HeadersExt) -> Result<(u32, Method)> {
    let text = message.cseq_header().context("a message without CSeq")?.value().to_owned();
    let Some((number, method)) = text.split_once(' ') else { bail!("CSeq {text:?}") };
    let method = method.trim().parse::<Method>().with_context(|| format!("CSeq {text:?}"))?;
    Ok((number.trim().parse().with_context(|| format!("CSeq {text:?}"))?, method))
}

/// The branch of the top Via: together with the method it names the transaction (RFC 3261 §17).
pub fn branch(message: &impl HasHeaders) -> Option<String> {
    let via = value(message, "Via")?;
    via.split(';').find_map(|p| p.trim().strip_prefix("branch=").map(str::to_owned))
}

/// A fresh branch, tag or Call-ID.
pub fn token(prefix: &str) -> String {
    format!("{prefix}{:016x}", rand::random::<u64>())
}

/// A response to `request` with the headers that RFC 3261 §8.2.6 wants copied. `to_tag` is ours; 100 has none.
pub fn reply(request: &Request, status: u16, to_tag: Option<&str>, extra: Vec<Header>, body: Vec<u8>) -> Response {
    let mut headers: Vec<Header> = Vec::new();
    for header in request.headers.iter() {
        match header {
            Header::Via(_) | Header::From(_) | Header::CallId(_) | Header::CSeq(_) | Header::RecordRoute(_) => {
                headers.push(header.clone());
            }
            Header::To(to) => headers.push(Header::To(with_tag(to.value(), to_tag).into())),
            _ => {}
        }
    }
    headers.extend(extra);
    headers.push(Header::ContentLength((body.len() as u32).into()));
    Response { status_code: StatusCode::from(status), version: rsip::Version::V2, headers: headers.into(), body }
}

fn with_tag(to: &str, tag_wanted: Option<&str>) -> String {
    match tag_wanted {
        Some(wanted) if tag(to).is_none() => format!("{to};tag={wanted}"),
        Some(_) | None => to.to_owned(),
    }
}

/// A request with everything but its Via, which the endpoint writes.
pub fn request(method: Method, uri: Uri, headers: Vec<Header>, body: Vec<u8>) -> Request {
    let mut all: Headers = headers.into();
    all.push(Header::MaxForwards(70.into()));
    all.push(Header::UserAgent("carillon-soft-phone".into()));
    all.push(Header::ContentLength((body.len() as u32).into()));
    Request { method, uri, version: rsip::Version::V2, headers: all, body }
}

/// Headers that tell what the body is.
pub fn sdp_type() -> Header {
    Header::ContentType("application/sdp".to_owned().into())
}

/// The status as a number.
pub fn status(response: &Response) -> u16 {
    response.status_code.code()
}
