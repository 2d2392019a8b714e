//! What is known of a VMCS: fields are read when they are first asked for, and written at the next entry.
//!
//! Invariants: a field is read only while its VMCS is current on the running CPU; writes are kept until [`Vmcs::flush`], which
//! runs on that CPU before the entry.

use core::cell::Cell;

use super::access::VmcsAccess;
use super::field::Field;

/// The cache of one VMCS.
pub struct Vmcs<A> {
    access: A,
    values: [Cell<u64>; Field::COUNT],
    /// Fields whose cached value is right.
    known: Cell<u128>,
    /// Fields that the CPU does not have yet.
    dirty: u128,
}

impl<A: VmcsAccess> Vmcs<A> {
    /// The cache of a VMCS of which nothing is known.
    pub const fn new(access: A) -> Self {
        Self {
            access,
            values: [const { Cell::new(0) }; Field::COUNT],
            known: Cell::new(0),
            dirty: 0,
        }
    }

    /// A field's value.
    #[inline(always)]
    pub fn get(&self, field: Field) -> u64 {
        let Some(value) = self.values.get(field.index()) else {
            return 0;
        };
        if self.known.get() & field.bit() == 0 {
            value.set(self.access.read(field));
            self.known.set(self.known.get() | field.bit());
        }
        value.get()
    }

    /// Sets a field from the next entry on.
    #[inline(always)]
    pub fn set(&mut self, field: Field, value: u64) {
        let Some(slot) = self.values.get(field.index()) else {
            return;
        };
        if self.known.get() & field.bit() != 0 && slot.get() == value {
            return;
        }
        slot.set(value);
        self.known.set(self.known.get() | field.bit());
        self.dirty |= field.bit();
    }

    /// Changes some bits of a field.
    pub fn update(&mut self, field: Field, clear: u64, set: u64) {
        self.set(field, self.get(field) & !clear | set);
    }

    /// Tells the CPU all that it does not have yet.
    #[inline(always)]
    pub fn flush(&mut self) {
        if self.dirty == Field::Rip.bit() {
            // All that most exits leave to be told.
            self.dirty = 0;
            self.access.write(Field::Rip, self.get(Field::Rip));
        } else if self.dirty != 0 {
            self.flush_all();
        }
    }

    #[inline(never)]
    fn flush_all(&mut self) {
        let mut rest = core::mem::take(&mut self.dirty);
        while rest != 0 {
            let index = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            if let (Some(field), Some(value)) = (Field::ALL.get(index), self.values.get(index)) {
                self.access.write(*field, value.get());
            }
        }
    }

    /// The guest has run: what it can have changed is not known any more.
    #[inline(always)]
    pub fn forget(&mut self) {
        self.known.set(self.known.get() & Field::STEADY);
    }

    /// Notes a value that the CPU has by itself.
    #[inline(always)]
    pub fn note(&mut self, field: Field, value: u64) {
        if let Some(slot) = self.values.get(field.index()) {
            slot.set(value);
            self.known.set(self.known.get() | field.bit());
        }
    }

    /// How the VMCS is reached.
    #[inline(always)]
    pub const fn access(&self) -> &A {
        &self.access
    }
}

#[cfg(test)]
pub mod fake {
    //! A VMCS that counts.

    use super::*;
    use crate::vmx::instructions::{Entered, EntryBlock};
    use std::cell::RefCell;
    use std::collections::HashMap;

    /// Fields, and how often they were accessed.
    #[derive(Default)]
    pub struct Fake {
        pub fields: RefCell<HashMap<u32, u64>>,
        pub reads: Cell<u32>,
        pub writes: Cell<u32>,
        exit: RefCell<Vec<(Field, u64)>>,
        ending: Cell<Entered>,
    }

    impl VmcsAccess for Fake {
        fn read(&self, field: Field) -> u64 {
            self.reads.set(self.reads.get() + 1);
            let fields = self.fields.borrow();
            fields.get(&field.encoding()).copied().unwrap_or(0)
        }

        fn write(&self, field: Field, value: u64) {
            self.writes.set(self.writes.get() + 1);
            self.fields.borrow_mut().insert(field.encoding(), value);
        }

        unsafe fn enter(&self, _block: &mut EntryBlock) -> Entered {
            self.fields.borrow_mut().extend(
                self.exit
                    .borrow()
                    .iter()
                    .map(|(field, value)| (field.encoding(), *value)),
            );
            self.ending.get()
        }
    }

    impl Fake {
        /// What fields the next exits set.
        pub fn exits_with(&self, fields: &[(Field, u64)]) {
            *self.exit.borrow_mut() = fields.to_vec();
        }

        /// How the next entries go.
        pub fn ends_with(&self, ending: Entered) {
            self.ending.set(ending);
        }

        /// VMREADs and VMWRITEs since the last call.
        pub fn take_counts(&self) -> (u32, u32) {
            (self.reads.take(), self.writes.take())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fake::Fake;
    use super::*;

    fn counts(vmcs: &Vmcs<Fake>) -> (u32, u32) {
        (vmcs.access().reads.get(), vmcs.access().writes.get())
    }

    #[test]
    fn a_field_is_read_once_between_exits() {
        let mut vmcs = Vmcs::new(Fake::default());
        assert_eq!((vmcs.get(Field::Rip), vmcs.get(Field::Rip)), (0, 0));
        assert_eq!(counts(&vmcs), (1, 0));
        vmcs.forget();
        vmcs.get(Field::Rip);
        assert_eq!(counts(&vmcs), (2, 0));
    }

    #[test]
    fn writes_wait_for_the_entry_and_the_same_value_is_not_written_again() {
        let mut vmcs = Vmcs::new(Fake::default());
        vmcs.set(Field::TscOffset, 5);
        vmcs.set(Field::TscOffset, 7);
        assert_eq!(counts(&vmcs), (0, 0));
        vmcs.flush();
        vmcs.flush();
        assert_eq!(counts(&vmcs), (0, 1));
        assert_eq!(
            vmcs.access().fields.borrow()[&Field::TscOffset.encoding()],
            7
        );
        vmcs.forget();
        vmcs.set(Field::TscOffset, 7);
        vmcs.flush();
        assert_eq!(counts(&vmcs), (0, 1));
    }
}
