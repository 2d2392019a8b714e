//! The state save area: the guest's registers.

use bulkhead_core::addr::Gpa;
use bulkhead_core::decode::Segment as Name;

use super::layout::{Segment, Vmcb, clean};

/// EFER.SVME: must be set in every VMCB, and is hidden from the guest.
pub const EFER_SVME: u64 = 1 << 12;

impl Vmcb {
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
    pub fn segment_base(&self, segment: Name) -> u64 {
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
