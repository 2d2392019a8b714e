//! Segment descriptors and the task-state segment of one CPU.

use core::arch::asm;
use core::cell::UnsafeCell;

use bulkhead_core::id::CpuId;

use crate::layout::Stack;

/// Selector of the 64-bit code segment; the boot GDT uses the same.
pub const CODE: u16 = 0x08;
/// Selector of the data segment; the boot GDT uses the same.
pub const DATA: u16 = 0x10;
/// Selector of the task-state segment.
pub const TSS: u16 = 0x20;

/// Index of the #DF stack in the interrupt stack table, as gates count it.
pub const IST_DOUBLE_FAULT: u8 = 1;
/// Index of the NMI stack.
pub const IST_NMI: u8 = 2;
/// Index of the machine-check stack.
pub const IST_MACHINE_CHECK: u8 = 3;

/// The task-state segment (APM 2 12.2.5): only the interrupt stacks matter.
#[repr(C, packed(4))]
struct TaskState {
    reserved0: u32,
    stacks: [u64; 3],
    reserved1: u64,
    interrupt_stacks: [u64; 7],
    reserved2: u64,
    reserved3: u16,
    io_map: u16,
}

const TSS_BYTES: u64 = size_of::<TaskState>() as u64;
const _: () = assert!(TSS_BYTES == 104);

/// GDT and TSS of one CPU. LTR marks the TSS busy in the GDT, hence the cell.
#[repr(C, align(64))]
pub(crate) struct CpuTables {
    gdt: UnsafeCell<[u64; 6]>,
    tss: TaskState,
}

/// Operand of LGDT and LIDT.
#[repr(C, packed)]
pub(crate) struct TablePointer {
    pub limit: u16,
    pub base: u64,
}

impl CpuTables {
    pub(crate) const fn new(cpu: CpuId) -> Self {
        // In the order of the IST numbers above, which count from 1.
        let interrupt_stacks = [
            Stack::DOUBLE_FAULT.top(cpu).as_u64(),
            Stack::NMI.top(cpu).as_u64(),
            Stack::MACHINE_CHECK.top(cpu).as_u64(),
            0,
            0,
            0,
            0,
        ];
        CpuTables {
            gdt: UnsafeCell::new([0, 0x00af_9b00_0000_ffff, 0x00cf_9300_0000_ffff, 0, 0, 0]),
            tss: TaskState {
                reserved0: 0,
                stacks: [0; 3],
                reserved1: 0,
                interrupt_stacks,
                reserved2: 0,
                reserved3: 0,
                // Beyond the limit: no I/O permission bits.
                io_map: TSS_BYTES as u16,
            },
        }
    }

    /// Where the task-state segment is.
    pub(crate) fn task_state(&self) -> u64 {
        (&raw const self.tss) as u64
    }

    /// Loads GDT and TSS on the running CPU.
    ///
    /// # Safety
    /// The tables must stay where they are for good, and belong to the running CPU.
    pub(crate) unsafe fn load(&'static self) {
        let base = (&raw const self.tss) as u64;
        // An available 64-bit TSS descriptor (APM 2 4.8.3).
        let low =
            (TSS_BYTES - 1) | (base & 0x00ff_ffff) << 16 | 0x89 << 40 | (base >> 24 & 0xff) << 56;
        let pointer = TablePointer {
            limit: size_of::<[u64; 6]>() as u16 - 1,
            base: self.gdt.get() as u64,
        };
        // SAFETY: the caller vouches that nobody else uses these tables. The code and data
        // descriptors are the same as in the GDT in use, so the running segments stay valid.
        unsafe {
            let gdt = &mut *self.gdt.get();
            gdt[4] = low;
            gdt[5] = base >> 32;
            asm!(
                "lgdt [{pointer}]",
                "mov ss, {data:x}",
                "mov ds, {data:x}",
                "mov es, {data:x}",
                "ltr {tss:x}",
                pointer = in(reg) &raw const pointer,
                data = in(reg) DATA,
                tss = in(reg) TSS,
                options(nostack, preserves_flags)
            );
        }
    }
}
