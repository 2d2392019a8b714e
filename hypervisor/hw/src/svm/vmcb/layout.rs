//! Where the fields are (APM 2 appendix B), and which of them share a clean bit (15.15.4).

/// A segment register as the VMCB holds it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[repr(C)]
pub struct Segment {
    /// Selector.
    pub selector: u16,
    /// Attributes: bits 7:0 are descriptor bits 47:40, bits 11:8 are descriptor bits 55:52.
    pub attributes: u16,
    /// Limit in bytes, scaled.
    pub limit: u32,
    /// Base address.
    pub base: u64,
}

/// Groups of the clean field.
pub mod clean {
    pub const INTERCEPTS: u32 = 1 << 0;
    pub const MAPS: u32 = 1 << 1;
    pub const TAG: u32 = 1 << 2;
    pub const TPR: u32 = 1 << 3;
    pub const NESTED: u32 = 1 << 4;
    pub const CONTROL: u32 = 1 << 5;
    pub const DEBUG: u32 = 1 << 6;
    pub const TABLES: u32 = 1 << 7;
    pub const SEGMENTS: u32 = 1 << 8;
    pub const CR2: u32 = 1 << 9;
    pub const ALL: u32 = 0xfff;
}

/// The control area.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Control {
    pub(super) intercept_cr_reads: u16,
    pub(super) intercept_cr_writes: u16,
    pub(super) intercept_dr_reads: u16,
    pub(super) intercept_dr_writes: u16,
    pub(super) intercept_exceptions: u32,
    pub(super) intercept_1: u32,
    pub(super) intercept_2: u32,
    pub(super) intercept_3: u32,
    pub(super) reserved_18: [u32; 9],
    pub(super) pause_filter_threshold: u16,
    pub(super) pause_filter_count: u16,
    pub(super) iopm_base: u64,
    pub(super) msrpm_base: u64,
    pub(super) tsc_offset: u64,
    pub(super) tag: u32,
    pub(super) tlb_control: u32,
    pub(super) virtual_interrupt: u64,
    pub(super) interrupt_shadow: u64,
    pub(super) exit_code: u64,
    pub(super) exit_info_1: u64,
    pub(super) exit_info_2: u64,
    pub(super) exit_int_info: u64,
    pub(super) nested_enable: u64,
    pub(super) avic_apic_bar: u64,
    pub(super) ghcb: u64,
    pub(super) event_injection: u64,
    pub(super) nested_cr3: u64,
    pub(super) virtual_extensions: u64,
    pub(super) clean: u32,
    pub(super) reserved_c4: u32,
    pub(super) next_rip: u64,
    pub(super) fetched: u8,
    pub(super) instruction: [u8; 15],
    pub(super) reserved_e0: [u64; 100],
}

/// The state save area.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Save {
    pub(super) es: Segment,
    pub(super) cs: Segment,
    pub(super) ss: Segment,
    pub(super) ds: Segment,
    pub(super) fs: Segment,
    pub(super) gs: Segment,
    pub(super) gdtr: Segment,
    pub(super) ldtr: Segment,
    pub(super) idtr: Segment,
    pub(super) tr: Segment,
    pub(super) reserved_a0: [u8; 43],
    pub(super) cpl: u8,
    pub(super) reserved_cc: u32,
    pub(super) efer: u64,
    pub(super) reserved_d8: [u64; 14],
    pub(super) cr4: u64,
    pub(super) cr3: u64,
    pub(super) cr0: u64,
    pub(super) dr7: u64,
    pub(super) dr6: u64,
    pub(super) rflags: u64,
    pub(super) rip: u64,
    pub(super) reserved_180: [u64; 11],
    pub(super) rsp: u64,
    pub(super) reserved_1e0: [u64; 3],
    pub(super) rax: u64,
    pub(super) star: u64,
    pub(super) lstar: u64,
    pub(super) cstar: u64,
    pub(super) sfmask: u64,
    pub(super) kernel_gs_base: u64,
    pub(super) sysenter_cs: u64,
    pub(super) sysenter_esp: u64,
    pub(super) sysenter_eip: u64,
    pub(super) cr2: u64,
    pub(super) reserved_248: [u64; 4],
    pub(super) pat: u64,
    pub(super) reserved_270: [u64; 306],
}

/// One VMCB: a page of its own.
#[repr(C, align(4096))]
pub struct Vmcb {
    pub(super) control: Control,
    pub(super) save: Save,
}

// SAFETY: integers may be zero.
unsafe impl crate::virtualization::pages::Zeroed for Vmcb {}

const _: () = {
    use core::mem::offset_of;
    assert!(size_of::<Vmcb>() == 4096);
    assert!(offset_of!(Vmcb, save) == 0x400);
    assert!(offset_of!(Control, iopm_base) == 0x40);
    assert!(offset_of!(Control, exit_code) == 0x70);
    assert!(offset_of!(Control, event_injection) == 0xa8);
    assert!(offset_of!(Control, clean) == 0xc0);
    assert!(offset_of!(Control, instruction) == 0xd1);
    assert!(offset_of!(Save, cpl) == 0xcb);
    assert!(offset_of!(Save, efer) == 0xd0);
    assert!(offset_of!(Save, cr4) == 0x148);
    assert!(offset_of!(Save, rip) == 0x178);
    assert!(offset_of!(Save, rsp) == 0x1d8);
    assert!(offset_of!(Save, rax) == 0x1f8);
    assert!(offset_of!(Save, cr2) == 0x240);
    assert!(offset_of!(Save, pat) == 0x268);
};
