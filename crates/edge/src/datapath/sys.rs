//! The few system calls that the standard library does not offer, each behind a safe function. This and nothing else in
//! the project is allowed to be unsafe.
#![allow(unsafe_code)]

use std::io;
use std::mem;
use std::net::{SocketAddr, SocketAddrV4, SocketAddrV6, UdpSocket};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// Datagrams that one call receives or sends at most.
pub(super) const AT_ONCE: usize = 8;
/// Sockets that one look at an [`Epoll`] names at most.
const READY_AT_ONCE: usize = 512;

/// The nice value of a datapath thread; 0 is ordinary, -20 the most urgent.
const PREFERRED: libc::c_int = -10;

/// Wakes a thread that waits in [`Epoll`].
pub(super) struct EventFd(OwnedFd);

impl EventFd {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        owned(unsafe { libc::eventfd(0, libc::EFD_CLOEXEC | libc::EFD_NONBLOCK) }).map(EventFd)
    }

    /// Makes the descriptor readable once more.
    pub(super) fn notify(&self) {
        let one = 1u64.to_ne_bytes();
        // SAFETY: the buffer is valid for its 8 bytes. The only failure is a counter at its limit, and then the
        // descriptor is readable anyway.
        unsafe { libc::write(self.0.as_raw_fd(), one.as_ptr().cast(), one.len()) };
    }
}

impl AsRawFd for EventFd {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Tells which descriptors have become readable since they were last named (edge-triggered): who is named must read until
/// nothing is left.
pub(super) struct Epoll {
    descriptor: OwnedFd,
    ready: Vec<libc::epoll_event>,
}

impl Epoll {
    pub(super) fn new() -> io::Result<Self> {
        // SAFETY: takes no pointers.
        let descriptor = owned(unsafe { libc::epoll_create1(libc::EPOLL_CLOEXEC) })?;
        Ok(Epoll { descriptor, ready: Vec::with_capacity(READY_AT_ONCE) })
    }

    /// Watches a descriptor under a number. It leaves by itself when it is closed.
    pub(super) fn add(&self, watched: &impl AsRawFd, number: u64) -> io::Result<()> {
        let mut event = libc::epoll_event { events: (libc::EPOLLIN | libc::EPOLLET) as u32, u64: number };
        let (epoll, watched) = (self.descriptor.as_raw_fd(), watched.as_raw_fd());
        // SAFETY: `event` is valid for reading during the call, and the kernel keeps no pointer to it.
        match unsafe { libc::epoll_ctl(epoll, libc::EPOLL_CTL_ADD, watched, &mut event) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }

    /// Waits up to `timeout` (for ever without one), then appends the numbers of what is readable; true when there may be
    /// more.
    pub(super) fn wait(&mut self, timeout: Option<Duration>, numbers: &mut Vec<u64>) -> bool {
        let millis = timeout.map_or(-1, |time| i32::try_from(time.as_millis()).unwrap_or(i32::MAX));
        let epoll = self.descriptor.as_raw_fd();
        // SAFETY: `ready` has room for `READY_AT_ONCE` events, and the kernel writes no more than that.
        let count = unsafe { libc::epoll_wait(epoll, self.ready.as_mut_ptr(), READY_AT_ONCE as i32, millis) };
        // A signal counts as nothing ready.
        let count = usize::try_from(count).unwrap_or(0);
        // SAFETY: the kernel has written the first `count` events.
        unsafe { self.ready.set_len(count) };
        numbers.extend(self.ready.iter().map(|event| event.u64));
        count == READY_AT_ONCE
    }
}

/// A datagram as it came.
#[derive(Clone, Copy)]
pub(super) struct Received {
    /// Its place in the buffer, counted in slots.
    pub(super) slot: usize,
    pub(super) length: usize,
    /// It did not fit into its slot.
    pub(super) truncated: bool,
    pub(super) from: SocketAddr,
}

/// Receives up to [`AT_ONCE`] datagrams into the slots of `buffer`, each `slot_length` long, from slot `first` on, and
/// appends what came to `received`. Returns how many that were; fewer than asked for means that the socket is empty.
pub(super) fn receive(
    socket: &UdpSocket,
    buffer: &mut [u8],
    slot_length: usize,
    first: usize,
    received: &mut Vec<Received>,
) -> usize {
    // SAFETY: all three are plain C structures for which all zeroes is a valid value.
    let (mut headers, mut vectors, mut names): ([libc::mmsghdr; AT_ONCE], [libc::iovec; AT_ONCE], [Name; AT_ONCE]) =
        unsafe { mem::zeroed() };
    let slots = buffer[first * slot_length..].chunks_exact_mut(slot_length).take(AT_ONCE);
    let mut asked = 0;
    for (index, slot) in slots.enumerate() {
        vectors[index] = libc::iovec { iov_base: slot.as_mut_ptr().cast(), iov_len: slot_length };
        let header = &mut headers[index].msg_hdr;
        header.msg_name = ptr::from_mut(&mut names[index]).cast();
        header.msg_namelen = mem::size_of::<Name>() as libc::socklen_t;
        header.msg_iov = &mut vectors[index];
        header.msg_iovlen = 1;
        asked = index + 1;
    }
    let flags = libc::MSG_DONTWAIT;
    // SAFETY: the first `asked` headers point to a name, a vector and a slot of their own, all alive and not otherwise
    // used during the call, with their true lengths.
    let count =
        unsafe { libc::recvmmsg(socket.as_raw_fd(), headers.as_mut_ptr(), asked as u32, flags, ptr::null_mut()) };
    let count = usize::try_from(count).unwrap_or(0);
    for index in 0..count {
        let Some(from) = names[index].address() else { continue };
        let truncated = headers[index].msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        received.push(Received { slot: first + index, length: headers[index].msg_len as usize, truncated, from });
    }
    count
}

/// A datagram to send.
#[derive(Clone, Copy)]
pub(super) struct Datagram<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) to: SocketAddr,
}

/// Sends datagrams, at most [`AT_ONCE`], from one socket; returns how many the system took. A datagram that cannot be
/// sent does not hold up those behind it.
pub(super) fn send(socket: &UdpSocket, datagrams: &[Datagram<'_>]) -> usize {
    if let [only] = datagrams {
        return usize::from(socket.send_to(only.bytes, only.to).is_ok());
    }
    // SAFETY: both are plain C structures for which all zeroes is a valid value.
    let (mut headers, mut vectors): ([libc::mmsghdr; AT_ONCE], [libc::iovec; AT_ONCE]) = unsafe { mem::zeroed() };
    let mut names = [const { Name::empty() }; AT_ONCE];
    let count = datagrams.len().min(AT_ONCE);
    for (index, datagram) in datagrams[..count].iter().enumerate() {
        names[index] = Name::from(datagram.to);
        // The kernel only reads through this pointer when it sends.
        let base = datagram.bytes.as_ptr().cast_mut().cast();
        vectors[index] = libc::iovec { iov_base: base, iov_len: datagram.bytes.len() };
        let header = &mut headers[index].msg_hdr;
        header.msg_namelen = names[index].length();
        header.msg_name = ptr::from_mut(&mut names[index]).cast();
        header.msg_iov = &mut vectors[index];
        header.msg_iovlen = 1;
    }
    let (mut sent, mut done) = (0, 0);
    while done < count {
        let rest = &mut headers[done..count];
        // SAFETY: each of the `rest` headers points to a name, a vector and bytes that live until the end of this
        // function, with their true lengths.
        let taken = unsafe { libc::sendmmsg(socket.as_raw_fd(), rest.as_mut_ptr(), rest.len() as u32, 0) };
        let taken = usize::try_from(taken).unwrap_or(0);
        sent += taken;
        // When the first of the rest fails, none is taken: it is passed over.
        done += taken.max(1);
    }
    sent
}

/// Room for an address as the kernel writes it.
#[repr(C)]
union Name {
    family: libc::sa_family_t,
    v4: libc::sockaddr_in,
    v6: libc::sockaddr_in6,
}

impl Name {
    const fn empty() -> Self {
        // SAFETY: all zeroes is a valid value of every variant, and names no family.
        unsafe { mem::zeroed() }
    }

    fn length(&self) -> libc::socklen_t {
        // SAFETY: every variant begins with the family.
        match i32::from(unsafe { self.family }) {
            libc::AF_INET => mem::size_of::<libc::sockaddr_in>() as libc::socklen_t,
            _ => mem::size_of::<libc::sockaddr_in6>() as libc::socklen_t,
        }
    }

    fn address(&self) -> Option<SocketAddr> {
        // SAFETY: every variant begins with the family, and every bit pattern of the others is valid.
        unsafe {
            match i32::from(self.family) {
                libc::AF_INET => {
                    let ip = u32::from_be(self.v4.sin_addr.s_addr).into();
                    Some(SocketAddrV4::new(ip, u16::from_be(self.v4.sin_port)).into())
                }
                libc::AF_INET6 => {
                    let ip = self.v6.sin6_addr.s6_addr.into();
                    Some(SocketAddrV6::new(ip, u16::from_be(self.v6.sin6_port), 0, 0).into())
                }
                _ => None,
            }
        }
    }
}

impl From<SocketAddr> for Name {
    fn from(address: SocketAddr) -> Self {
        let mut name = Name::empty();
        match address {
            SocketAddr::V4(v4) => {
                name.v4.sin_family = libc::AF_INET as libc::sa_family_t;
                name.v4.sin_port = v4.port().to_be();
                name.v4.sin_addr.s_addr = u32::from(*v4.ip()).to_be();
            }
            SocketAddr::V6(v6) => {
                name.v6.sin6_family = libc::AF_INET6 as libc::sa_family_t;
                name.v6.sin6_port = v6.port().to_be();
                name.v6.sin6_addr.s6_addr = v6.ip().octets();
                name.v6.sin6_scope_id = v6.scope_id();
            }
        }
        name
    }
}

/// Raises the soft limit of open descriptors to the hard limit: every port is one.
pub(super) fn raise_descriptor_limit() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: `limit` is valid for writing, then for reading. A failure leaves the limit as it was, which shows later as
    // an error that names the socket.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Lets the calling thread go before ordinary ones, where the system allows it: a late packet is heard, a late log line is
/// not. Returns whether it was allowed.
pub(super) fn prefer_this_thread() -> bool {
    // SAFETY: takes no pointers. On Linux a priority belongs to a thread, and 0 names the calling one.
    unsafe { libc::setpriority(libc::PRIO_PROCESS, 0, PREFERRED) == 0 }
}

/// A new descriptor as something that closes itself.
fn owned(descriptor: libc::c_int) -> io::Result<OwnedFd> {
    if descriptor < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just given us this descriptor, and nobody else knows it.
    Ok(unsafe { OwnedFd::from_raw_fd(descriptor) })
}
