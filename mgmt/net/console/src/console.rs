//! [`Console`]: where a guest's output and its viewers meet.

use alloc::collections::VecDeque;
use alloc::rc::Rc;
use alloc::string::String;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};

use mgmt_executor::Signal;

use crate::ring::{Read, Ring};

/// Typed bytes that wait for the guest; then the viewer has to wait.
const INPUT_BYTES: usize = 4 * 1024;

struct Inner {
    name: RefCell<String>,
    ring: RefCell<Ring>,
    input: RefCell<VecDeque<u8>>,
    /// Raised when something was typed.
    typed: RefCell<Option<Signal>>,
    /// Raised when something was printed that somebody may want to see, or typed input was taken.
    shown: RefCell<Option<Signal>>,
    viewers: Cell<usize>,
    is_closed: Cell<bool>,
}

/// A console; clones share it.
#[derive(Clone)]
pub struct Console(Rc<Inner>);

impl Console {
    /// The console of the system with this name.
    pub fn new(name: &str) -> Self {
        Console(Rc::new(Inner {
            name: RefCell::new(name.into()),
            ring: RefCell::default(),
            input: RefCell::default(),
            typed: RefCell::default(),
            shown: RefCell::default(),
            viewers: Cell::new(0),
            is_closed: Cell::new(false),
        }))
    }

    /// The system's name.
    pub fn name(&self) -> String {
        self.0.name.borrow().clone()
    }

    /// The system has another name now.
    pub fn rename(&self, name: &str) {
        *self.0.name.borrow_mut() = name.into();
    }

    /// Raises `signal` when there is typed input: the guest's side waits for it.
    pub fn tell_guest(&self, signal: Signal) {
        *self.0.typed.borrow_mut() = Some(signal);
    }

    /// Raises `signal` when there is news for a viewer: the transport with the sessions waits for it.
    pub fn tell_viewers(&self, signal: Signal) {
        *self.0.shown.borrow_mut() = Some(signal);
    }

    /// The guest has printed these bytes.
    pub fn print(&self, bytes: &[u8]) {
        self.0.ring.borrow_mut().push(bytes);
        self.news();
    }

    /// Adds a remark of ours in a line of its own, for those who watch and for the scroll-back: that the system was
    /// reset, as an example.
    pub fn remark(&self, text: &str) {
        self.print(alloc::format!("\r\n[{text}]\r\n").as_bytes());
    }

    /// Takes at most `limit` typed bytes for the guest.
    pub fn take_input(&self, limit: usize) -> Vec<u8> {
        let mut input = self.0.input.borrow_mut();
        let count = limit.min(input.len());
        let was_full = input.len() >= INPUT_BYTES;
        let bytes = input.drain(..count).collect();
        drop(input);
        if was_full && count > 0 {
            self.news();
        }
        bytes
    }

    /// Typed bytes that wait for the guest.
    pub fn waiting_input(&self) -> usize {
        self.0.input.borrow().len()
    }

    /// Forgets typed bytes: the guest that they were for is gone.
    pub fn drop_input(&self) {
        let waiting = self.waiting_input();
        self.take_input(waiting);
    }

    /// Who watches.
    pub fn viewers(&self) -> usize {
        self.0.viewers.get()
    }

    /// The system is gone: every session ends.
    pub fn close(&self) {
        self.0.is_closed.set(true);
        self.news();
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed.get()
    }

    /// Whether a typed byte can be taken.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting_input() < INPUT_BYTES
    }

    /// Takes a typed byte, if there is [room](Console::has_room).
    pub(crate) fn type_in(&self, byte: u8) {
        if self.has_room() {
            self.0.input.borrow_mut().push_back(byte);
        }
        if let Some(signal) = &*self.0.typed.borrow() {
            signal.raise();
        }
    }

    /// A viewer comes; returns the place that it reads from.
    pub(crate) fn enter(&self) -> u64 {
        self.0.viewers.set(self.0.viewers.get() + 1);
        self.0.ring.borrow().start()
    }

    /// A viewer goes.
    pub(crate) fn leave(&self) {
        self.0.viewers.set(self.0.viewers.get().saturating_sub(1));
    }

    pub(crate) fn read(&self, at: u64, limit: usize) -> Read {
        self.0.ring.borrow().read(at, limit)
    }

    pub(crate) fn has_more(&self, at: u64) -> bool {
        self.0.ring.borrow().end() > at
    }

    fn news(&self) {
        if self.viewers() > 0
            && let Some(signal) = &*self.0.shown.borrow()
        {
            signal.raise();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_side_is_told_when_it_has_something_to_do() {
        let console = Console::new("web1");
        let (guest, viewers) = (Signal::new(), Signal::new());
        console.tell_guest(guest.clone());
        console.tell_viewers(viewers.clone());
        console.print(b"nobody looks");
        assert!(!viewers.take());
        let at = console.enter();
        console.print(b", now somebody does");
        assert!(viewers.take());
        assert_eq!(
            console.read(at, 100).bytes,
            b"nobody looks, now somebody does"
        );
        while console.has_room() {
            console.type_in(b'x');
        }
        assert_eq!(console.waiting_input(), INPUT_BYTES);
        assert!(guest.take());
        assert_eq!(console.take_input(96).len(), 96);
        assert!(viewers.take(), "there is room for who types");
        console.drop_input();
        assert_eq!(console.waiting_input(), 0);
        console.leave();
        console.close();
        assert!(!viewers.take() && console.is_closed());
    }
}
