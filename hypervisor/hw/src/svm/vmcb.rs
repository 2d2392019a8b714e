//! The virtual machine control block: layout and typed access (APM 2 15.5, appendix B).
//!
//! Fields are private. Every setter of state that the CPU may cache clears the clean bit of exactly that group
//! (APM 2 15.15.3), so that no caller can forget it.

use bulkhead_core::addr::{Gpa, Hpa};

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

/// What `EVENTINJ` and `EXITINTINFO` hold (APM 2 15.20).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Event(u64);

/// The kind of an event (bits 10:8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// External interrupt.
    Interrupt,
    /// Non-maskable interrupt.
    Nmi,
    /// Exception.
    Exception,
    /// INT n.
    Software,
    /// A reserved encoding.
    Reserved,
}

impl Event {
    const VALID: u64 = 1 << 31;
    const ERROR_CODE: u64 = 1 << 11;

    /// An external interrupt.
    pub const fn interrupt(vector: u8) -> Self {
        Self(Self::VALID | vector as u64)
    }

    /// A non-maskable interrupt.
    pub const fn nmi() -> Self {
        Self(Self::VALID | 2 << 8 | 2)
    }

    /// An exception.
    pub const fn exception(vector: u8, error_code: Option<u32>) -> Self {
        let base = Self::VALID | 3 << 8 | vector as u64;
        match error_code {
            Some(code) => Self(base | Self::ERROR_CODE | (code as u64) << 32),
            None => Self(base),
        }
    }

    /// The event of this field's content; `None` where it is not valid.
    pub const fn from_bits(bits: u64) -> Option<Self> {
        if bits & Self::VALID != 0 {
            Some(Self(bits))
        } else {
            None
        }
    }

    /// The field's content.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// The vector.
    pub const fn vector(self) -> u8 {
        self.0 as u8
    }

    /// The kind.
    pub const fn kind(self) -> EventKind {
        match self.0 >> 8 & 7 {
            0 => EventKind::Interrupt,
            2 => EventKind::Nmi,
            3 => EventKind::Exception,
            4 => EventKind::Software,
            _ => EventKind::Reserved,
        }
    }
}

/// Groups of the clean field (APM 2 15.15.4).
mod clean {
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

/// `TLB_CONTROL` (APM 2 15.16.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum TlbControl {
    /// Flush nothing.
    Keep = 0,
    /// Flush every tag's entries.
    All = 1,
    /// Flush this tag's entries (needs FlushByAsid).
    ThisTag = 3,
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Control {
    intercept_cr_reads: u16,
    intercept_cr_writes: u16,
    intercept_dr_reads: u16,
    intercept_dr_writes: u16,
    intercept_exceptions: u32,
    intercept_1: u32,
    intercept_2: u32,
    intercept_3: u32,
    reserved_18: [u32; 9],
    pause_filter_threshold: u16,
    pause_filter_count: u16,
    iopm_base: u64,
    msrpm_base: u64,
    tsc_offset: u64,
    tag: u32,
    tlb_control: u32,
    virtual_interrupt: u64,
    interrupt_shadow: u64,
    exit_code: u64,
    exit_info_1: u64,
    exit_info_2: u64,
    exit_int_info: u64,
    nested_enable: u64,
    avic_apic_bar: u64,
    ghcb: u64,
    event_injection: u64,
    nested_cr3: u64,
    virtual_extensions: u64,
    clean: u32,
    reserved_c4: u32,
    next_rip: u64,
    fetched: u8,
    instruction: [u8; 15],
    reserved_e0: [u64; 100],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Save {
    es: Segment,
    cs: Segment,
    ss: Segment,
    ds: Segment,
    fs: Segment,
    gs: Segment,
    gdtr: Segment,
    ldtr: Segment,
    idtr: Segment,
    tr: Segment,
    reserved_a0: [u8; 43],
    cpl: u8,
    reserved_cc: u32,
    efer: u64,
    reserved_d8: [u64; 14],
    cr4: u64,
    cr3: u64,
    cr0: u64,
    dr7: u64,
    dr6: u64,
    rflags: u64,
    rip: u64,
    reserved_180: [u64; 11],
    rsp: u64,
    reserved_1e0: [u64; 3],
    rax: u64,
    star: u64,
    lstar: u64,
    cstar: u64,
    sfmask: u64,
    kernel_gs_base: u64,
    sysenter_cs: u64,
    sysenter_esp: u64,
    sysenter_eip: u64,
    cr2: u64,
    reserved_248: [u64; 4],
    pat: u64,
    reserved_270: [u64; 306],
}

/// One VMCB: a page of its own.
#[repr(C, align(4096))]
pub struct Vmcb {
    control: Control,
    save: Save,
}

// SAFETY: integers may be zero.
unsafe impl super::pages::Zeroed for Vmcb {}

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

/// EFER.SVME: must be set in every VMCB, and is hidden from the guest.
pub const EFER_SVME: u64 = 1 << 12;

/// The groups of intercepts that are fixed for a vCPU's life.
#[derive(Clone, Copy, Debug)]
pub struct Intercepts {
    /// Exception vectors, a bit each.
    pub exceptions: u32,
    /// The word at offset 0xc.
    pub first: u32,
    /// The word at offset 0x10.
    pub second: u32,
    /// Writes to control registers, a bit each.
    pub control_writes: u16,
}

impl Vmcb {
    /// Sets the intercepts.
    pub fn set_intercepts(&mut self, intercepts: Intercepts) {
        self.control.intercept_exceptions = intercepts.exceptions;
        self.control.intercept_1 = intercepts.first;
        self.control.intercept_2 = intercepts.second;
        self.control.intercept_cr_writes = intercepts.control_writes;
        self.control.clean &= !clean::INTERCEPTS;
    }

    /// Sets or clears the bits `mask` of the control-register write intercepts.
    pub fn set_control_write_intercept(&mut self, mask: u16, on: bulkhead_core::vcpu::Watch) {
        let old = self.control.intercept_cr_writes;
        let new = match on {
            bulkhead_core::vcpu::Watch::On => old | mask,
            bulkhead_core::vcpu::Watch::Off => old & !mask,
        };
        if new != old {
            self.control.intercept_cr_writes = new;
            self.control.clean &= !clean::INTERCEPTS;
        }
    }

    /// Sets the permission maps.
    pub fn set_permission_maps(&mut self, ports: Hpa, msrs: Hpa) {
        self.control.iopm_base = ports.as_u64();
        self.control.msrpm_base = msrs.as_u64();
        self.control.clean &= !clean::MAPS;
    }

    /// The TSC offset.
    pub fn tsc_offset(&self) -> u64 {
        self.control.tsc_offset
    }

    /// Sets the TSC offset.
    pub fn set_tsc_offset(&mut self, offset: u64) {
        self.control.tsc_offset = offset;
        self.control.clean &= !clean::INTERCEPTS;
    }

    /// Sets the TLB tag (ASID) if it differs.
    pub fn set_tag(&mut self, tag: u32) {
        if self.control.tag != tag {
            self.control.tag = tag;
            self.control.clean &= !clean::TAG;
        }
    }

    /// Sets what the next entry flushes.
    #[inline]
    pub fn set_tlb_control(&mut self, control: TlbControl) {
        self.control.tlb_control = control as u32;
    }

    /// What the next entry flushes.
    pub fn tlb_control(&self) -> TlbControl {
        match self.control.tlb_control {
            0 => TlbControl::Keep,
            3 => TlbControl::ThisTag,
            _ => TlbControl::All,
        }
    }

    /// Turns on nested paging with these tables.
    pub fn set_nested_root(&mut self, root: Hpa) {
        if self.control.nested_cr3 != root.as_u64() || self.control.nested_enable != 1 {
            self.control.nested_enable = 1;
            self.control.nested_cr3 = root.as_u64();
            self.control.clean &= !clean::NESTED;
        }
    }

    /// The guest's task priority (CR8).
    #[inline]
    pub fn task_priority(&self) -> u8 {
        self.control.virtual_interrupt as u8 & 15
    }

    /// Sets the guest's task priority.
    #[inline]
    pub fn set_task_priority(&mut self, priority: u8) {
        let old = self.control.virtual_interrupt;
        let new = old & !15 | (priority & 15) as u64;
        if new != old {
            self.control.virtual_interrupt = new;
            self.control.clean &= !clean::TPR;
        }
    }

    /// Masks physical interrupts by the host's IF instead of the guest's (`V_INTR_MASKING`).
    pub fn mask_host_interrupts(&mut self) {
        self.control.virtual_interrupt |= 1 << 24;
        self.control.clean &= !clean::TPR;
    }

    /// Raises or drops a virtual interrupt whose only use is the VINTR exit once the guest can take it.
    pub fn set_window(&mut self, on: bulkhead_core::vcpu::Watch) {
        const V_IRQ: u64 = 1 << 8;
        const V_IGN_TPR: u64 = 1 << 20;
        match on {
            bulkhead_core::vcpu::Watch::On => {
                self.control.virtual_interrupt |= V_IRQ | V_IGN_TPR | 0xf << 16;
                self.control.intercept_1 |= 1 << 4;
            }
            bulkhead_core::vcpu::Watch::Off => {
                self.control.virtual_interrupt &= !(V_IRQ | V_IGN_TPR | 0xf << 16);
                self.control.intercept_1 &= !(1 << 4);
            }
        }
        self.control.clean &= !(clean::TPR | clean::INTERCEPTS);
    }

    /// Whether the guest is in the shadow of STI or MOV SS.
    #[inline]
    pub fn in_shadow(&self) -> bool {
        self.control.interrupt_shadow & 1 != 0
    }

    /// Ends the shadow.
    #[inline]
    pub fn end_shadow(&mut self) {
        self.control.interrupt_shadow = 0;
    }

    /// Why the guest exited; the low 32 bits, since emulators differ in the others.
    #[inline]
    pub fn exit_code(&self) -> u32 {
        self.control.exit_code as u32
    }

    /// EXITINFO1.
    #[inline]
    pub fn exit_info_1(&self) -> u64 {
        self.control.exit_info_1
    }

    /// EXITINFO2.
    #[inline]
    pub fn exit_info_2(&self) -> u64 {
        self.control.exit_info_2
    }

    /// The event whose delivery the exit interrupted.
    #[inline]
    pub fn interrupted_event(&self) -> Option<Event> {
        Event::from_bits(self.control.exit_int_info)
    }

    /// The event to be injected at the next entry.
    #[inline]
    pub fn injection(&self) -> Option<Event> {
        Event::from_bits(self.control.event_injection)
    }

    /// Sets or clears the event to be injected at the next entry.
    #[inline]
    pub fn set_injection(&mut self, event: Option<Event>) {
        self.control.event_injection = match event {
            Some(event) => event.bits(),
            None => 0,
        };
    }

    /// The next instruction's RIP, 0 where the CPU does not report it.
    #[inline]
    pub fn next_rip(&self) -> u64 {
        self.control.next_rip
    }

    /// Declares that the CPU's copy of the state is up to date, right after an exit.
    #[inline]
    pub fn set_clean(&mut self) {
        self.control.clean = clean::ALL;
    }

    /// Declares that the CPU has no copy of the state: a first entry, or another CPU.
    pub fn set_dirty(&mut self) {
        self.control.clean = 0;
    }

    /// RIP.
    #[inline]
    pub fn rip(&self) -> u64 {
        self.save.rip
    }

    /// Sets RIP.
    #[inline]
    pub fn set_rip(&mut self, rip: u64) {
        self.save.rip = rip;
    }

    /// RSP.
    #[inline]
    pub fn rsp(&self) -> u64 {
        self.save.rsp
    }

    /// Sets RSP.
    #[inline]
    pub fn set_rsp(&mut self, rsp: u64) {
        self.save.rsp = rsp;
    }

    /// RAX.
    #[inline]
    pub fn rax(&self) -> u64 {
        self.save.rax
    }

    /// Sets RAX.
    #[inline]
    pub fn set_rax(&mut self, rax: u64) {
        self.save.rax = rax;
    }

    /// RFLAGS.
    #[inline]
    pub fn rflags(&self) -> u64 {
        self.save.rflags
    }

    /// Sets RFLAGS.
    pub fn set_rflags(&mut self, rflags: u64) {
        self.save.rflags = rflags;
    }

    /// CR0, CR2, CR3, CR4, EFER with SVME.
    pub fn control_registers(&self) -> [u64; 5] {
        [
            self.save.cr0,
            self.save.cr2,
            self.save.cr3,
            self.save.cr4,
            self.save.efer,
        ]
    }

    /// CR3.
    #[inline]
    pub fn cr3(&self) -> u64 {
        self.save.cr3
    }

    /// Sets CR0, CR3 and CR4.
    pub fn set_control_registers(&mut self, cr0: u64, cr3: Gpa, cr4: u64) {
        self.save.cr0 = cr0;
        self.save.cr3 = cr3.as_u64();
        self.save.cr4 = cr4;
        self.control.clean &= !clean::CONTROL;
    }

    /// CR4.
    #[inline]
    pub fn cr4(&self) -> u64 {
        self.save.cr4
    }

    /// Sets CR4.
    pub fn set_cr4(&mut self, cr4: u64) {
        self.save.cr4 = cr4;
        self.control.clean &= !clean::CONTROL;
    }

    /// Sets CR2.
    pub fn set_cr2(&mut self, cr2: u64) {
        self.save.cr2 = cr2;
        self.control.clean &= !clean::CR2;
    }

    /// Sets EFER; SVME is added.
    pub fn set_efer(&mut self, efer: u64) {
        self.save.efer = efer | EFER_SVME;
        self.control.clean &= !clean::CONTROL;
    }

    /// Sets DR6 and DR7.
    pub fn set_debug(&mut self, dr6: u64, dr7: u64) {
        self.save.dr6 = dr6;
        self.save.dr7 = dr7;
        self.control.clean &= !clean::DEBUG;
    }

    /// The guest's PAT.
    pub fn pat(&self) -> u64 {
        self.save.pat
    }

    /// Sets the guest's PAT.
    pub fn set_pat(&mut self, pat: u64) {
        self.save.pat = pat;
        self.control.clean &= !clean::NESTED;
    }

    /// CS.
    #[inline]
    pub fn cs(&self) -> Segment {
        self.save.cs
    }

    /// Base of CS.
    #[inline]
    pub fn cs_base(&self) -> u64 {
        self.save.cs.base
    }

    /// The base of a segment.
    pub fn segment_base(&self, segment: bulkhead_core::decode::Segment) -> u64 {
        use bulkhead_core::decode::Segment as Name;
        match segment {
            Name::Es => self.save.es.base,
            Name::Cs => self.save.cs.base,
            Name::Ss => self.save.ss.base,
            Name::Ds => self.save.ds.base,
            Name::Fs => self.save.fs.base,
            Name::Gs => self.save.gs.base,
        }
    }

    /// Attributes of SS.
    pub fn ss_attributes(&self) -> u16 {
        self.save.ss.attributes
    }

    /// Current privilege level.
    #[inline]
    pub fn cpl(&self) -> u8 {
        self.save.cpl
    }

    /// Sets all segments, with CPL 0.
    pub fn set_segments(&mut self, code: Segment, data: Segment) {
        self.save.cs = code;
        self.save.ss = data;
        self.save.ds = data;
        self.save.es = data;
        self.save.fs = data;
        self.save.gs = data;
        self.save.cpl = 0;
        self.save.ldtr = Segment {
            attributes: 0x082,
            limit: 0xffff,
            ..Segment::default()
        };
        self.save.tr = Segment {
            attributes: 0x08b,
            limit: 0xffff,
            ..Segment::default()
        };
        self.control.clean &= !clean::SEGMENTS;
    }

    /// Sets GDTR and IDTR.
    pub fn set_tables(&mut self, gdt: Segment, idt: Segment) {
        self.save.gdtr = gdt;
        self.save.idtr = idt;
        self.control.clean &= !clean::TABLES;
    }

    /// The MSRs that VMLOAD and VMSAVE move, and PAT; `None` for others. FS.base and GS.base included.
    pub fn kept_msr(&mut self, msr: u32) -> Option<&mut u64> {
        Some(match msr {
            0x174 => &mut self.save.sysenter_cs,
            0x175 => &mut self.save.sysenter_esp,
            0x176 => &mut self.save.sysenter_eip,
            0xc000_0081 => &mut self.save.star,
            0xc000_0082 => &mut self.save.lstar,
            0xc000_0083 => &mut self.save.cstar,
            0xc000_0084 => &mut self.save.sfmask,
            0xc000_0100 => &mut self.save.fs.base,
            0xc000_0101 => &mut self.save.gs.base,
            0xc000_0102 => &mut self.save.kernel_gs_base,
            _ => return None,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bulkhead_core::vcpu::Watch;

    fn vmcb() -> Box<Vmcb> {
        // SAFETY: every bit pattern, zero included, is a valid Vmcb: it holds integers only.
        unsafe { Box::<Vmcb>::new_zeroed().assume_init() }
    }

    /// A CPU that caches every group and reloads only those that are not clean.
    fn reload(vmcb: &mut Vmcb) -> u32 {
        let dirty = clean::ALL & !vmcb.control.clean;
        vmcb.set_clean();
        dirty
    }

    #[test]
    fn each_setter_clears_exactly_its_clean_group() {
        let mut vmcb = vmcb();
        assert_eq!(reload(&mut vmcb), clean::ALL);
        let cases: [(&str, fn(&mut Vmcb), u32); 12] = [
            ("tsc offset", |v| v.set_tsc_offset(5), clean::INTERCEPTS),
            (
                "maps",
                |v| v.set_permission_maps(Hpa::new(1), Hpa::new(2)),
                clean::MAPS,
            ),
            ("tag", |v| v.set_tag(3), clean::TAG),
            ("tpr", |v| v.set_task_priority(3), clean::TPR),
            (
                "root",
                |v| v.set_nested_root(Hpa::new(0x1000)),
                clean::NESTED,
            ),
            ("pat", |v| v.set_pat(1), clean::NESTED),
            ("efer", |v| v.set_efer(1), clean::CONTROL),
            ("cr2", |v| v.set_cr2(1), clean::CR2),
            ("debug", |v| v.set_debug(1, 1), clean::DEBUG),
            (
                "tables",
                |v| v.set_tables(Segment::default(), Segment::default()),
                clean::TABLES,
            ),
            (
                "segments",
                |v| v.set_segments(Segment::default(), Segment::default()),
                clean::SEGMENTS,
            ),
            (
                "window",
                |v| v.set_window(Watch::On),
                clean::TPR | clean::INTERCEPTS,
            ),
        ];
        for (name, set, group) in cases {
            set(&mut vmcb);
            assert_eq!(reload(&mut vmcb), group, "{name}");
        }
    }

    #[test]
    fn setting_the_same_value_keeps_the_group_clean() {
        let mut vmcb = vmcb();
        vmcb.set_tag(3);
        vmcb.set_task_priority(4);
        vmcb.set_nested_root(Hpa::new(0x1000));
        vmcb.set_clean();
        vmcb.set_tag(3);
        vmcb.set_task_priority(4);
        vmcb.set_nested_root(Hpa::new(0x1000));
        assert_eq!(reload(&mut vmcb), 0);
    }

    #[test]
    fn events_keep_their_parts() {
        let event = Event::exception(14, Some(0x1_0002));
        assert_eq!((event.vector(), event.kind()), (14, EventKind::Exception));
        assert_eq!(event.bits(), 0x0001_0002_8000_0b0e);
        assert_eq!(Event::from_bits(event.bits() & !Event::VALID), None);
        assert_eq!(Event::nmi().kind(), EventKind::Nmi);
    }
}
