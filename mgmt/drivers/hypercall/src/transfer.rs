//! The state of partitions on its way out and in.

use bulkhead_abi::hypercall::Number;

use crate::{Hypervisor, PartitionId, Refusal, Trap};

impl<T: Trap> Hypervisor<T> {
    /// Copies a piece of the state of a paused partition, from byte `offset` on, to the page, as much as fits. Returns the length of all of
    /// it. At offset 0 the state is taken anew.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; `Status::Busy` where it is not there yet: try again soon, and answer the partition's
    /// I/O requests meanwhile.
    pub fn partition_save(
        &self,
        partition: PartitionId,
        page: u64,
        offset: u64,
    ) -> Result<u64, Refusal> {
        let arguments = [partition.0.into(), page, offset, 0, 0];
        self.call(Number::PartitionSave, arguments)
    }

    /// Hands in the piece at `offset` of a state of `total` bytes, from the page: as much as fits, or what is left. Returns where to go
    /// on; `None` after the last piece, when the partition is in that state and paused. Its RAM must be filled before.
    ///
    /// # Errors
    /// See [`Hypervisor::version`]; `Status::BadArgument` for a state that is not one of such a partition: the hypervisor's log
    /// says why.
    pub fn partition_restore(
        &self,
        partition: PartitionId,
        page: u64,
        offset: u64,
        total: u64,
    ) -> Result<Option<u64>, Refusal> {
        let arguments = [partition.0.into(), page, offset, total, 0];
        let next = self.call(Number::PartitionRestore, arguments)?;
        Ok((next != 0).then_some(next))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::RefCell;
    use std::vec::Vec;

    /// A hypervisor that takes a state page by page, and has one of 5000 bytes.
    #[derive(Default)]
    struct Fake(RefCell<Vec<(u64, [u64; 5])>>);

    impl Trap for &Fake {
        fn trap(&self, number: u64, arguments: [u64; 5]) -> (u64, u64) {
            self.0.borrow_mut().push((number, arguments));
            let [_, _, offset, total, _] = arguments;
            match number {
                31 => (0, 5000),
                _ if offset + 4096 < total => (0, offset + 4096),
                _ => (0, 0),
            }
        }
    }

    #[test]
    fn a_piece_is_asked_for_by_page_and_offset() {
        let fake = Fake::default();
        let length = Hypervisor::new(&fake).partition_save(PartitionId(3), 0x5000, 4096);
        assert_eq!(length, Ok(5000));
        assert_eq!(*fake.0.borrow(), [(31, [3, 0x5000, 4096, 0, 0])]);
    }

    #[test]
    fn a_state_is_handed_in_until_the_hypervisor_says_zero() {
        let fake = Fake::default();
        let hypervisor = Hypervisor::new(&fake);
        let hand_in = |offset| hypervisor.partition_restore(PartitionId(2), 0x6000, offset, 5000);
        assert_eq!(hand_in(0), Ok(Some(4096)));
        assert_eq!(hand_in(4096), Ok(None));
        assert_eq!(fake.0.borrow()[1], (32, [2, 0x6000, 4096, 5000, 0]));
    }
}
