//! What runs once the machine is up.

pub fn halt() -> ! {
    bulkhead_hw::registers::halt()
}
