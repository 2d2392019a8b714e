//! The pair of 8259 interrupt controllers: moved out of the way of the exceptions and masked.

use crate::port::Port;

/// Vectors that the controllers would raise: above the exceptions, and never used otherwise.
const FIRST_VECTOR: u8 = 0x20;

/// Masks both controllers for good (8259A data sheet, initialization command words).
pub fn mask() {
    for (base, vector, wiring) in [(0x20, FIRST_VECTOR, 4), (0xa0, FIRST_VECTOR + 8, 2)] {
        // SAFETY: the controllers have no DMA, and the hypervisor is their only user.
        let (mut command, mut data) = unsafe { (Port::<u8>::new(base), Port::<u8>::new(base + 1)) };
        // Edge-triggered, cascaded, four words; vector; wiring; 8086 mode; then the mask.
        command.write(0x11);
        data.write(vector);
        data.write(wiring);
        data.write(1);
        data.write(0xff);
    }
}
