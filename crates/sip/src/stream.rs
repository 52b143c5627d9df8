//! Messages out of a byte stream (RFC 3261 §18.3, RFC 5626 §3.5.1).

use crate::message::scan::trim;
use crate::message::{Header, MAX_MESSAGE};
use crate::uri::decimal;
use bytes::{Buf, Bytes, BytesMut};

/// What a stream carried.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// One message, from its start line to the end of its body.
    Message(Bytes),
    /// A double CRLF; the answer is a single one.
    KeepAlive,
}

/// Why a stream is beyond repair: where the next message starts is unknown, so the connection has to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A message longer than [`MAX_MESSAGE`].
    #[error("message too long for a stream")]
    TooLong,
    /// No Content-Length, more than one, or one that is no number.
    #[error("no usable Content-Length on a stream")]
    ContentLength,
}

/// Cuts a byte stream into messages, holding at most one incomplete message plus what was pushed last.
#[derive(Debug, Default)]
pub struct Framer {
    buffer: BytesMut,
    /// How far the buffer was searched for the end of the header.
    searched: usize,
    /// The whole length of the message at the front, once its header is complete.
    length: Option<usize>,
}

impl Framer {
    /// An empty framer.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds bytes as they came. Take all frames after each push: the buffer then never exceeds one message plus the
    /// pushed bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// The bytes that wait for more.
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next frame; `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`FrameError`]: close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.length.is_none() {
            if let Some(frame) = self.skip_line_ends() {
                return Ok(Some(frame));
            }
            self.length = self.message_length()?;
        }
        match self.length {
            Some(length) if self.buffer.len() >= length => {
                self.length = None;
                self.searched = 0;
                Ok(Some(Frame::Message(self.buffer.split_to(length).freeze())))
            }
            Some(_) | None => Ok(None),
        }
    }

    /// Drops CRLFs before a start line (RFC 3261 §7.5); two in a row are a keep-alive.
    fn skip_line_ends(&mut self) -> Option<Frame> {
        loop {
            if self.buffer.starts_with(b"\r\n\r\n") {
                self.buffer.advance(4);
                return Some(Frame::KeepAlive);
            }
            // A single CRLF may be the first half of a keep-alive; it is dropped once something else follows.
            let single =
                self.buffer.starts_with(b"\r\n") && self.buffer.len() > 2 && !b"\r\n\r\n".starts_with(&self.buffer);
            if !single {
                return None;
            }
            self.buffer.advance(2);
        }
    }

    fn message_length(&mut self) -> Result<Option<usize>, FrameError> {
        let from = self.searched.saturating_sub(3);
        let Some(end) = memchr::memmem::find(&self.buffer[from..], b"\r\n\r\n").map(|i| i + from + 4) else {
            self.searched = self.buffer.len();
            return if self.buffer.len() > MAX_MESSAGE { Err(FrameError::TooLong) } else { Ok(None) };
        };
        let body = content_length(&self.buffer[..end])?;
        let length = end.checked_add(body).filter(|l| *l <= MAX_MESSAGE).ok_or(FrameError::TooLong)?;
        Ok(Some(length))
    }
}

/// The one Content-Length of a message's head. A folded value is read with its continuation.
fn content_length(head: &[u8]) -> Result<usize, FrameError> {
    let mut found = None;
    let mut at = memchr::memchr(b'\n', head).map_or(head.len(), |i| i + 1);
    while at < head.len() {
        let mut end = memchr::memchr(b'\n', &head[at..]).map_or(head.len(), |i| i + at + 1);
        while matches!(head.get(end), Some(b' ' | b'\t')) {
            end = memchr::memchr(b'\n', &head[end..]).map_or(head.len(), |i| i + end + 1);
        }
        let line = &head[at..end];
        if let Some(colon) = memchr::memchr(b':', line)
            && Header::from_name(trim(&line[..colon])) == Some(Header::ContentLength)
        {
            let value = decimal(trim(&line[colon + 1..])).ok_or(FrameError::ContentLength)?;
            if found.replace(value).is_some() {
                return Err(FrameError::ContentLength);
            }
        }
        at = end;
    }
    let length = found.ok_or(FrameError::ContentLength)?;
    usize::try_from(length).map_err(|_| FrameError::TooLong)
}

#[cfg(test)]
#[path = "stream_tests.rs"]
mod tests;
