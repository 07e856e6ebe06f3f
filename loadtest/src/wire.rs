//! A TCP stream below a WebSocket library that knows no compression: messages that the server compressed come up plain.

use crate::frames::{Frame, Walker, put_server_frame};
use crate::inflate;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Of one read, where frames are looked at.
const READ_BYTES: usize = 16 << 10;

pub struct Wire {
    stream: TcpStream,
    unpacking: Option<Box<Unpacking>>,
}

#[derive(Default)]
struct Unpacking {
    walker: Walker,
    /// Frames for the library, and how much of them it has taken.
    plain: Vec<u8>,
    taken: usize,
    /// Why there will be no more.
    fault: Option<String>,
}

impl Wire {
    pub fn plain(stream: TcpStream) -> Self {
        Wire { stream, unpacking: None }
    }

    /// Of a connection that has negotiated compression; `read` is what came already.
    pub fn deflated(stream: TcpStream, read: &[u8]) -> Self {
        let mut unpacking = Unpacking { walker: Walker::inflating(), ..Unpacking::default() };
        unpacking.take(read);
        Wire { stream, unpacking: Some(Box::new(unpacking)) }
    }

    pub fn stream(&self) -> &TcpStream {
        &self.stream
    }
}

impl Unpacking {
    fn take(&mut self, bytes: &[u8]) {
        let Self { walker, plain, fault, .. } = self;
        let walked = walker.walk(bytes, |frame| {
            let Frame { opcode, payload, is_deflated } = frame;
            if !is_deflated {
                return put_server_frame(plain, opcode, payload);
            }
            let inflated = inflate::with_message(payload, |message| put_server_frame(plain, opcode, message));
            if inflated.is_none() {
                fault.get_or_insert_with(|| "a compressed message does not inflate".into());
            }
        });
        if let Err(found) = walked {
            fault.get_or_insert_with(|| found.to_string());
        }
    }

    fn give(&mut self, out: &mut ReadBuf<'_>) {
        let rest = &self.plain[self.taken..];
        let given = rest.len().min(out.remaining());
        out.put_slice(&rest[..given]);
        self.taken += given;
        if self.taken == self.plain.len() {
            self.plain.clear();
            self.taken = 0;
        }
    }
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        out: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Wire { stream, unpacking } = &mut *self;
        let Some(unpacking) = unpacking else { return Pin::new(stream).poll_read(context, out) };
        while unpacking.plain.is_empty() {
            if let Some(fault) = &unpacking.fault {
                return Poll::Ready(Err(io::Error::other(fault.clone())));
            }
            let mut bytes = [0; READ_BYTES];
            let mut read = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *stream).poll_read(context, &mut read))?;
            if read.filled().is_empty() {
                return Poll::Ready(Ok(())); // the end
            }
            unpacking.take(read.filled());
        }
        unpacking.give(out);
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
