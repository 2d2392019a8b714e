//! Whether a CPU can be in a state: what VM entries check (SDM 3C 26.3.1, APM 2 15.5.1), and what instructions that load the
//! registers would fault on.

use super::{CpuState, EventKind, ExtendedImage, SegmentRegister, Shadow, segment};
use crate::local_apic::StateError;
use crate::msr::{ControlRules, canonical, valid_pat};

const CR0_PE: u64 = 1;
const CR0_NW: u64 = 1 << 29;
const CR0_CD: u64 = 1 << 30;
const CR0_PG: u64 = 1 << 31;
/// PE, MP, EM, TS, ET, NE, WP, AM, NW, CD, PG.
const CR0_DEFINED: u64 = 0xe005_003f;
const CR4_PAE: u64 = 1 << 5;
const CR4_PCIDE: u64 = 1 << 17;
const EFER_LME: u64 = 1 << 8;
const EFER_LMA: u64 = 1 << 10;
const RFLAGS_ONE: u64 = 1 << 1;
const RFLAGS_IF: u64 = 1 << 9;
const RFLAGS_VM: u64 = 1 << 17;
/// CF, PF, AF, ZF, SF, TF, IF, DF, OF, IOPL, NT, RF, VM, AC, VIF, VIP, ID.
const RFLAGS_DEFINED: u64 = 0x003f_7fd7;

/// Attributes of segments.
const TYPE: u16 = 15;
const ACCESSED: u16 = 1;
const WRITABLE: u16 = 1 << 1;
const CODE: u16 = 1 << 3;
const S: u16 = 1 << 4;
const LONG: u16 = 1 << 9;
const BIG: u16 = 1 << 10;
const GRANULAR: u16 = 1 << 11;
const ATTRIBUTES: u16 = 0xfff;
/// Attributes of every segment in virtual-8086 mode.
const VIRTUAL_8086: u16 = 0x0f3;

/// How the CPU runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Mode {
    Real,
    Virtual8086,
    Protected,
    /// 16-bit or 32-bit code under long mode.
    Compatible,
    Long,
}

fn refuse(bad: bool, what: &'static str) -> Result<(), StateError> {
    if bad {
        Err(StateError::Impossible(what))
    } else {
        Ok(())
    }
}

const fn dpl(segment: &SegmentRegister) -> u8 {
    (segment.attributes >> 5) as u8 & 3
}

const fn fits(value: u64, bits: u32) -> bool {
    matches!(value.checked_shr(bits), Some(0) | None)
}

impl CpuState {
    /// Whether PAE paging uses [`CpuState::page_pointers`].
    pub const fn uses_page_pointers(&self) -> bool {
        self.cr0 & CR0_PG != 0 && self.cr4 & CR4_PAE != 0 && self.efer & EFER_LMA == 0
    }

    fn mode(&self) -> Mode {
        let [_, cs, ..] = &self.segments;
        if self.cr0 & CR0_PE == 0 {
            Mode::Real
        } else if self.rflags & RFLAGS_VM != 0 {
            Mode::Virtual8086
        } else if self.efer & EFER_LMA == 0 {
            Mode::Protected
        } else if cs.attributes & LONG == 0 {
            Mode::Compatible
        } else {
            Mode::Long
        }
    }

    /// Checks it against what the guest's CPUID lets it set.
    ///
    /// # Errors
    /// The first thing that no CPU is in, or that none lets itself be loaded with.
    pub fn check(&self, rules: &ControlRules, physical_bits: u8) -> Result<(), StateError> {
        let bits = u32::from(physical_bits);
        self.check_control(rules, bits)?;
        let mode = self.mode();
        self.check_flags(mode)?;
        self.check_segments(mode)?;
        self.check_system_segments(mode)?;
        self.check_msrs()?;
        self.check_debug()?;
        self.check_event()
    }

    fn check_control(&self, rules: &ControlRules, bits: u32) -> Result<(), StateError> {
        let (cr0, cr4, efer) = (self.cr0, self.cr4, self.efer);
        let paging = cr0 & CR0_PG != 0;
        let long = efer & EFER_LMA != 0;
        refuse(
            cr0 & !CR0_DEFINED != 0
                || cr0 & (CR0_NW | CR0_CD) == CR0_NW
                || paging && cr0 & CR0_PE == 0,
            "CR0",
        )?;
        refuse(!rules.permits_cr4(cr4), "CR4")?;
        refuse(
            !rules.permits_efer(efer) || long != (paging && efer & EFER_LME != 0),
            "EFER",
        )?;
        refuse(
            long && cr4 & CR4_PAE == 0 || !long && cr4 & CR4_PCIDE != 0,
            "CR4 for this mode",
        )?;
        let cr3_bits = if long { bits } else { 32 };
        refuse(
            paging && !fits(self.cr3, cr3_bits) || !fits(self.cr3, bits),
            "CR3",
        )?;
        for pointer in self.page_pointers.unwrap_or_default() {
            // Bits 2:1 and 8:5 are reserved, as are those above the physical addresses.
            let reserved = pointer & 0x1e6 != 0 || !fits(pointer, bits);
            refuse(pointer & 1 != 0 && reserved, "a page-directory pointer")?;
        }
        refuse(
            self.page_pointers.is_some() && !self.uses_page_pointers(),
            "page-directory pointers without PAE paging",
        )
    }

    fn check_flags(&self, mode: Mode) -> Result<(), StateError> {
        let flags = self.rflags;
        let long = self.efer & EFER_LMA != 0;
        let virtual_8086 = flags & RFLAGS_VM != 0;
        refuse(
            flags & !RFLAGS_DEFINED != 0
                || flags & RFLAGS_ONE == 0
                || virtual_8086 && (long || mode == Mode::Real),
            "RFLAGS",
        )?;
        let fits = mode == Mode::Long && canonical(self.rip) || self.rip >> 32 == 0;
        refuse(!fits, "RIP")?;
        let privilege = match mode {
            Mode::Real => 0,
            Mode::Virtual8086 => 3,
            _ => dpl(self.segment(segment::SS)),
        };
        refuse(self.privilege != privilege, "the privilege level")
    }

    fn segment(&self, number: usize) -> &SegmentRegister {
        const NONE: &SegmentRegister = &SegmentRegister {
            selector: 0,
            attributes: 0,
            limit: 0,
            base: 0,
        };
        self.segments.get(number).unwrap_or(NONE)
    }

    fn check_segments(&self, mode: Mode) -> Result<(), StateError> {
        for (number, register) in self.segments.iter().enumerate() {
            refuse(
                register.attributes & !ATTRIBUTES != 0,
                "a segment's attributes",
            )?;
            // FS and GS have bases of 64 bits; that of CS has 32 always, the others' where they count.
            let wide = matches!(number, segment::FS | segment::GS);
            let narrow = number == segment::CS || register.is_usable();
            refuse(
                wide && !canonical(register.base) || !wide && narrow && register.base >> 32 != 0,
                "the base of a segment",
            )?;
            if mode == Mode::Virtual8086 {
                let expected = SegmentRegister {
                    selector: register.selector,
                    attributes: VIRTUAL_8086,
                    limit: 0xffff,
                    base: u64::from(register.selector) << 4,
                };
                refuse(*register != expected, "a segment in virtual-8086 mode")?;
            } else if number != segment::CS && register.is_usable() {
                check_data(register)?;
            }
        }
        if mode == Mode::Virtual8086 {
            return Ok(());
        }
        self.check_code()?;
        let stack = self.segment(segment::SS);
        let code = self.segment(segment::CS);
        refuse(
            stack.is_usable() && (stack.attributes & CODE != 0 || stack.attributes & WRITABLE == 0),
            "SS",
        )?;
        let real_code = code.attributes & TYPE == 3;
        refuse(
            (mode == Mode::Real || real_code) && dpl(stack) != 0,
            "the DPL of SS",
        )
    }

    fn check_code(&self) -> Result<(), StateError> {
        let code = self.segment(segment::CS);
        let attributes = code.attributes;
        // Type 3 is what real mode has loaded: read and write, accessed.
        let kind = match attributes & TYPE {
            3 => dpl(code) == 0,
            9 | 11 => dpl(code) == self.privilege,
            13 | 15 => dpl(code) <= self.privilege,
            _ => false,
        };
        let long_and_big = attributes & LONG != 0 && attributes & BIG != 0;
        refuse(
            !kind
                || !code.is_usable()
                || attributes & S == 0
                || self.efer & EFER_LMA != 0 && long_and_big
                || !limit_fits(code),
            "CS",
        )
    }

    fn check_system_segments(&self, mode: Mode) -> Result<(), StateError> {
        let (tr, ldtr) = (&self.tr, &self.ldtr);
        let kind = tr.attributes & (TYPE | S);
        let long = matches!(mode, Mode::Compatible | Mode::Long);
        refuse(
            tr.attributes & !ATTRIBUTES != 0
                || !(kind == 11 || kind == 3 && !long)
                || !tr.is_usable()
                || tr.selector & 4 != 0
                || !canonical(tr.base)
                || !limit_fits(tr),
            "TR",
        )?;
        refuse(
            ldtr.attributes & !ATTRIBUTES != 0
                || ldtr.is_usable()
                    && (ldtr.attributes & (TYPE | S) != 2
                        || ldtr.selector & 4 != 0
                        || !canonical(ldtr.base)
                        || !limit_fits(ldtr)),
            "LDTR",
        )?;
        refuse(
            !canonical(self.gdtr.base) || !canonical(self.idtr.base),
            "the base of GDTR or IDTR",
        )
    }

    fn check_msrs(&self) -> Result<(), StateError> {
        let [cs, esp, eip] = self.sysenter;
        refuse(
            cs >> 32 != 0 || !canonical(esp) || !canonical(eip),
            "a SYSENTER register",
        )?;
        let [_, lstar, cstar, mask] = self.syscall;
        refuse(
            !canonical(lstar) || !canonical(cstar) || mask >> 32 != 0,
            "a SYSCALL register",
        )?;
        refuse(!canonical(self.kernel_gs_base), "KERNEL_GS_BASE")?;
        refuse(!valid_pat(self.pat), "PAT")?;
        refuse(self.tsc_aux >> 32 != 0, "TSC_AUX")
    }

    fn check_debug(&self) -> Result<(), StateError> {
        refuse(self.dr6 >> 32 != 0 || self.dr7 >> 32 != 0, "DR6 or DR7")?;
        refuse(
            self.pending_debug & !0x500f != 0,
            "pending debug exceptions",
        )
    }

    fn check_event(&self) -> Result<(), StateError> {
        let enabled = self.rflags & RFLAGS_IF != 0;
        refuse(self.shadow == Shadow::Sti && !enabled, "the shadow of STI")?;
        let Some(event) = self.event else {
            return Ok(());
        };
        let legal = match event.kind {
            // An interrupt came between two instructions.
            EventKind::Interrupt => {
                enabled && self.shadow == Shadow::None && event.error_code.is_none()
            }
            EventKind::Nmi => {
                event.vector == 2 && event.error_code.is_none() && self.shadow == Shadow::None
            }
            EventKind::Exception => {
                let has_code = matches!(event.vector, 8 | 10..=14 | 17);
                let code = event.error_code.map(|code| code >> 15);
                let expected = has_code && self.cr0 & CR0_PE != 0;
                event.vector < 32
                    && event.vector != 2
                    && if expected {
                        code == Some(0)
                    } else {
                        // In real mode it is dropped.
                        code.is_none() || has_code && code == Some(0)
                    }
            }
        };
        refuse(!legal, "the event that comes next")
    }
}

fn check_data(register: &SegmentRegister) -> Result<(), StateError> {
    let attributes = register.attributes;
    let readable = attributes & CODE == 0 || attributes & WRITABLE != 0;
    refuse(
        attributes & S == 0 || attributes & ACCESSED == 0 || !readable || !limit_fits(register),
        "a data segment",
    )
}

/// The granularity must be able to express the limit.
const fn limit_fits(register: &SegmentRegister) -> bool {
    if register.attributes & GRANULAR != 0 {
        register.limit & 0xfff == 0xfff
    } else {
        register.limit >> 20 == 0
    }
}

impl ExtendedImage {
    /// Checks what does not depend on the machine.
    ///
    /// # Errors
    /// An XCR0 that the partition cannot have, or components that do not go with it.
    pub fn check(&self, rules: &ControlRules) -> Result<(), StateError> {
        // Without XSAVE there is x87 and SSE, and XCR0 counts as 1.
        let legal = self.xcr0 == 1 || rules.check_xcr0(0, self.xcr0).is_ok();
        refuse(!legal, "XCR0")?;
        refuse(
            !rules.permits_components(self.in_use),
            "the components in use",
        )?;
        let mut last = 1;
        let mut listed = 0_u64;
        for component in &self.components {
            refuse(
                component.number <= last || component.number > Self::MOST,
                "a component's number",
            )?;
            last = component.number;
            listed |= 1_u64.wrapping_shl(u32::from(last));
        }
        refuse(listed != self.in_use & !3, "the components in use")?;
        // Bits above 17 are reserved on every CPU.
        refuse(self.mxcsr() >> 18 != 0, "MXCSR")
    }
}
