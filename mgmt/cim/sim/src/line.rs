//! The two threads of a connection: they move bytes between a socket and the server's thread.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc::{Receiver, Sender, SyncSender, sync_channel};
use std::thread;

/// Identifies a connection.
pub(crate) type LineId = u64;

/// What the threads tell the server.
pub(crate) enum FromLine {
    /// Bytes from the client; the reader waits until they are acknowledged.
    Data(LineId, Vec<u8>),
    /// The client has closed its side.
    End(LineId),
    /// The writer has sent what it was given, or failed to.
    Written(LineId, bool),
}

/// The server's end of a connection.
pub(crate) struct Line {
    write: Sender<Vec<u8>>,
    acknowledge: SyncSender<()>,
    socket: TcpStream,
}

impl Line {
    /// Starts the threads of a connection.
    ///
    /// # Errors
    /// Those of the socket.
    pub(crate) fn start<M>(
        id: LineId,
        socket: TcpStream,
        events: &Sender<M>,
        wrap: fn(FromLine) -> M,
    ) -> std::io::Result<Self>
    where
        M: Send + 'static,
    {
        socket.set_nodelay(true)?;
        let (write, to_write) = std::sync::mpsc::channel();
        let (acknowledge, acknowledged) = sync_channel(1);
        let reading = socket.try_clone()?;
        let writing = socket.try_clone()?;
        let (read_events, write_events) = (events.clone(), events.clone());
        thread::spawn(move || read(id, reading, &read_events, wrap, &acknowledged));
        thread::spawn(move || write_all(id, writing, &write_events, wrap, &to_write));
        Ok(Line {
            write,
            acknowledge,
            socket,
        })
    }

    /// Gives the writer bytes; it tells when they are sent.
    pub(crate) fn write(&self, bytes: Vec<u8>) {
        // A writer that is gone has told so already.
        let _ = self.write.send(bytes);
    }

    /// Lets the reader go on.
    pub(crate) fn acknowledge(&self) {
        let _ = self.acknowledge.try_send(());
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let _ = self.socket.shutdown(Shutdown::Both);
    }
}

fn read<M>(
    id: LineId,
    mut socket: TcpStream,
    events: &Sender<M>,
    wrap: fn(FromLine) -> M,
    acknowledged: &Receiver<()>,
) {
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let count = socket.read(&mut buffer).unwrap_or(0);
        let bytes = buffer.get(..count).unwrap_or_default();
        let event = if bytes.is_empty() {
            FromLine::End(id)
        } else {
            FromLine::Data(id, bytes.to_vec())
        };
        let ended = matches!(event, FromLine::End(_));
        if events.send(wrap(event)).is_err() || ended || acknowledged.recv().is_err() {
            return;
        }
    }
}

fn write_all<M>(
    id: LineId,
    mut socket: TcpStream,
    events: &Sender<M>,
    wrap: fn(FromLine) -> M,
    to_write: &Receiver<Vec<u8>>,
) {
    while let Ok(bytes) = to_write.recv() {
        let sent = socket.write_all(&bytes).is_ok();
        if events.send(wrap(FromLine::Written(id, sent))).is_err() || !sent {
            return;
        }
    }
}
