//! [`Outbox`]: messages on their way to interrupt controllers.

use alloc::vec::Vec;

/// A message-signalled interrupt, as the guest programmed it; nobody has checked that the address is an APIC's.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Message {
    /// Where it is written to.
    pub address: u64,
    /// What is written.
    pub data: u32,
}

/// Messages that functions have sent and nobody has taken yet.
#[derive(Debug, Default)]
pub struct Outbox {
    messages: Vec<Message>,
}

impl Outbox {
    /// Adds a message. One that equals another on its way is that one: an APIC would not tell them apart either.
    pub fn send(&mut self, message: Message) {
        if !self.messages.contains(&message) {
            self.messages.push(message);
        }
    }

    /// Whether nothing is on its way.
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Takes everything, oldest first. The memory is kept for the next ones.
    pub fn take(&mut self) -> impl Iterator<Item = Message> {
        self.messages.drain(..)
    }

    /// Takes the newest message.
    pub fn pop(&mut self) -> Option<Message> {
        self.messages.pop()
    }
}
