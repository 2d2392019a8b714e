//! [`GuestConsole`]: what a guest writes to its serial and virtio consoles, on its way to whoever watches, and back.
//!
//! Both show on one console. What is typed goes to the one that has written last: whoever answers a prompt means the one that
//! gave it.

use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use mgmt_console::Console;
use mgmt_executor::Signal;
use mgmt_hypercall::{ConsolePage, EventPort, PartitionId, Refusal};
use mgmt_platform::Memory;

use super::Host;
use crate::report;
use crate::shared_page::SharedPage;

/// What is moved at a time.
const PIECE: usize = 1024;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Writer {
    Serial,
    Virtio,
}

/// The consoles of one guest.
pub struct GuestConsole {
    host: Host,
    id: PartitionId,
    console: Console,
    page: ConsolePage<SharedPage>,
    last: Cell<Writer>,
    /// Typed bytes that its virtio console had no room for.
    untaken: RefCell<Vec<u8>>,
    /// Raised when there is something to give to the guest.
    signal: Signal,
    /// Bytes that the guest has written, and that it was given to read.
    written: Cell<u64>,
    read: Cell<u64>,
}

impl GuestConsole {
    /// The consoles of the guest in a partition; `signal` is raised when something was typed.
    ///
    /// # Errors
    /// There is no memory.
    pub fn new(
        host: &Host,
        id: PartitionId,
        console: Console,
        signal: &Signal,
    ) -> Result<Self, String> {
        let page = host.pages.take().ok_or("no memory for its console page")?;
        // What was typed while the system was off was for nobody.
        console.drop_input();
        console.tell_guest(signal.clone());
        Ok(GuestConsole {
            host: host.clone(),
            id,
            console,
            page: ConsolePage::new(page),
            last: Cell::new(Writer::Serial),
            untaken: RefCell::default(),
            signal: signal.clone(),
            written: Cell::new(0),
            read: Cell::new(0),
        })
    }

    /// Gives the page to the hypervisor; `port` tells when there is something in it.
    ///
    /// # Errors
    /// The hypervisor's refusal.
    pub fn register(&self, port: EventPort) -> Result<(), Refusal> {
        let page = self.page.memory().address();
        self.host.hypervisor.console_page(self.id, page, port)
    }

    /// Takes what the guest has written to its serial port.
    pub fn serial_event(&self) {
        if self.take(Writer::Serial, |into| self.page.take(into)) {
            return;
        }
        // Then there is room for more input.
        if self.console.waiting_input() > 0 {
            self.signal.raise();
        }
    }

    /// Takes what it has written to its virtio console.
    pub fn virtio_output(&self, take: impl FnMut(&mut [u8]) -> usize) {
        self.take(Writer::Virtio, take);
    }

    fn take(&self, writer: Writer, mut take: impl FnMut(&mut [u8]) -> usize) -> bool {
        let mut buffer = [0; PIECE];
        let mut any = false;
        loop {
            let count = take(&mut buffer);
            if count == 0 {
                return any;
            }
            any = true;
            count_bytes(&self.written, count);
            self.last.set(writer);
            self.console.print(buffer.get(..count).unwrap_or_default());
        }
    }

    /// Gives the guest what was typed, as far as it has room; `virtio` takes bytes for its virtio console and returns how many.
    pub fn feed(&self, mut virtio: impl FnMut(&[u8]) -> usize) {
        if self.last.get() == Writer::Virtio {
            let mut untaken = self.untaken.borrow_mut();
            let room = PIECE.saturating_sub(untaken.len());
            untaken.extend(self.console.take_input(room));
            if !untaken.is_empty() {
                // The rest when the guest has room again.
                let taken = virtio(&untaken).min(untaken.len());
                untaken.drain(..taken);
                count_bytes(&self.read, taken);
            }
            return;
        }
        let typed = self.console.take_input(self.page.room());
        if typed.is_empty() {
            return;
        }
        self.page.give(&typed);
        count_bytes(&self.read, typed.len());
        if let Err(refusal) = self.host.hypervisor.console_input(self.id) {
            report!("{}: {refusal}", self.id);
        }
    }

    /// Bytes that the guest has written.
    pub fn written(&self) -> u64 {
        self.written.get()
    }

    /// Bytes that it was given to read.
    pub fn read(&self) -> u64 {
        self.read.get()
    }

    /// A word of ours for those who watch.
    pub fn remark(&self, text: &str) {
        self.serial_event();
        self.console.remark(text);
    }

    /// The guest is off.
    pub fn close(&self) {
        self.serial_event();
        self.console.drop_input();
        self.untaken.borrow_mut().clear();
    }
}

fn count_bytes(counter: &Cell<u64>, more: usize) {
    let more = u64::try_from(more).unwrap_or(u64::MAX);
    counter.set(counter.get().saturating_add(more));
}
