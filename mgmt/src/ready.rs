//! The line that says, once, that the partition can be used; tools wait for it.

use alloc::rc::Rc;
use core::cell::Cell;
use core::fmt;

use crate::report;

/// Whether the line was printed; clones share it.
#[derive(Clone, Default)]
pub struct Ready(Rc<Cell<bool>>);

impl Ready {
    /// Prints the line, unless it was printed before; `how` follows its fixed words.
    pub fn announce(&self, how: fmt::Arguments<'_>) {
        if !self.0.replace(true) {
            report!("management partition ready{how}");
        }
    }

    /// Whether it was printed.
    pub fn is_announced(&self) -> bool {
        self.0.get()
    }
}
