//! A peer on a TCP connection.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::{Msg, PATIENCE, authorization};

/// A peer on one TCP connection.
pub struct Wire {
    stream: TcpStream,
    pub buffer: Vec<u8>,
}

impl Wire {
    pub fn new(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Wire { stream, buffer: Vec::new() }
    }

    pub fn connect(edge: SocketAddr) -> Self {
        Self::new(TcpStream::connect(edge).unwrap())
    }

    pub fn here(&self) -> SocketAddr {
        self.stream.local_addr().unwrap()
    }

    pub fn send(&mut self, text: &str) {
        self.stream.write_all(text.as_bytes()).unwrap();
    }

    pub fn more(&mut self) -> usize {
        let mut chunk = [0; 4_096];
        let length = self.stream.read(&mut chunk).unwrap();
        self.buffer.extend_from_slice(&chunk[..length]);
        length
    }

    /// The next message that is not 100.
    pub fn recv(&mut self) -> Msg {
        loop {
            if let Some(head) = self.buffer.windows(4).position(|w| w == b"\r\n\r\n") {
                let message = Msg::new(&self.buffer[..head + 4]);
                let length = head + 4 + message.header("Content-Length").parse::<usize>().unwrap();
                if self.buffer.len() >= length {
                    let message = Msg::new(&self.buffer.drain(..length).collect::<Vec<_>>());
                    if message.status() != 100 {
                        return message;
                    }
                    continue;
                }
            }
            assert_ne!(self.more(), 0, "closed");
        }
    }

    pub fn expect_closed(&mut self) {
        while self.more() > 0 {}
    }

    pub fn request(&self, method: &str, user: &str, edge: SocketAddr, cseq: u32, extra: &str, body: &str) -> String {
        let here = self.here();
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        format!(
            "{method} sip:{user}@{edge} SIP/2.0\r\nVia: SIP/2.0/TCP {here};branch=z9hG4bKt{cseq}{method}\r\nFrom: <sip:{user}@{edge}>;tag=f\r\n\
             To: <sip:{user}@{edge}>\r\nCall-ID: tcp{}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\nContact: <sip:{user}@{here};transport=tcp>\r\n\
             {extra}{kind}Content-Length: {}\r\n\r\n{body}",
            here.port(),
            body.len()
        )
    }

    /// Registers as `user`; panics unless it ends with 200.
    pub fn register(&mut self, user: &str, edge: SocketAddr) {
        self.send(&self.request("REGISTER", user, edge, 1, "", ""));
        let challenge = self.recv();
        assert_eq!(challenge.status(), 401, "{}", challenge.text);
        let uri = format!("sip:{user}@{edge}");
        let answer = authorization(&challenge, "SHA-256", "REGISTER", &uri, user, &format!("{user}-secret"), 1);
        self.send(&self.request("REGISTER", user, edge, 2, &answer, ""));
        assert_eq!(self.recv().status(), 200);
    }

    pub fn respond(&mut self, request: &Msg, status: &str, body: &str) {
        let contact = format!("<sip:x@{};transport=tcp>", self.here());
        self.respond_from(request, status, body, &contact);
    }

    /// The same with another Contact.
    pub fn respond_from(&mut self, request: &Msg, status: &str, body: &str, contact: &str) {
        let (vias, routes) = (request.lines_of("Via"), request.lines_of("Record-Route"));
        let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let to = request.header("To");
        let to = if to.contains("tag=") { to.to_owned() } else { format!("{to};tag=tcp") };
        self.send(&format!(
            "SIP/2.0 {status}\r\n{vias}{routes}From: {}\r\nTo: {to}\r\nCall-ID: {}\r\nCSeq: {}\r\nContact: {contact}\r\n{kind}\
             Content-Length: {}\r\n\r\n{body}",
            request.header("From"),
            request.header("Call-ID"),
            request.header("CSeq"),
            body.len()
        ));
    }
}
