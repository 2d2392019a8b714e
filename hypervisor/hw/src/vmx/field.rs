//! The fields of the VMCS that the backend uses (SDM 3D appendix B).

/// When the CPU changes a field by itself.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Change {
    /// Never: only software writes it.
    Never,
    /// While the guest runs, or at its exit.
    Exit,
}

macro_rules! fields {
    ($($name:ident = $encoding:literal, $change:ident;)*) => {
        /// A field of the VMCS; the numbers count from 0 for the cache.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        #[repr(u8)]
        #[allow(missing_docs, reason = "the names are the manual's")]
        pub enum Field { $($name),* }

        impl Field {
            /// All fields, in the order of their numbers.
            pub const ALL: &[Field] = &[$(Field::$name),*];
            const ENCODINGS: &[u32] = &[$($encoding),*];
            const CHANGES: &[Change] = &[$(Change::$change),*];
        }
    };
}

fields! {
    Vpid = 0x0000, Never;
    EsSelector = 0x0800, Exit;
    CsSelector = 0x0802, Exit;
    SsSelector = 0x0804, Exit;
    DsSelector = 0x0806, Exit;
    FsSelector = 0x0808, Exit;
    GsSelector = 0x080a, Exit;
    LdtrSelector = 0x080c, Exit;
    TrSelector = 0x080e, Exit;
    InterruptStatus = 0x0810, Exit;
    HostEsSelector = 0x0c00, Never;
    HostCsSelector = 0x0c02, Never;
    HostSsSelector = 0x0c04, Never;
    HostDsSelector = 0x0c06, Never;
    HostFsSelector = 0x0c08, Never;
    HostGsSelector = 0x0c0a, Never;
    HostTrSelector = 0x0c0c, Never;
    IoBitmapA = 0x2000, Never;
    IoBitmapB = 0x2002, Never;
    MsrBitmap = 0x2004, Never;
    TscOffset = 0x2010, Never;
    VirtualApicPage = 0x2012, Never;
    EptPointer = 0x201a, Never;
    EndExits0 = 0x201c, Never;
    EndExits1 = 0x201e, Never;
    EndExits2 = 0x2020, Never;
    EndExits3 = 0x2022, Never;
    XssExitBitmap = 0x202c, Never;
    TscMultiplier = 0x2032, Never;
    GuestPhysicalAddress = 0x2400, Exit;
    LinkPointer = 0x2800, Never;
    DebugControl = 0x2802, Exit;
    GuestPat = 0x2804, Exit;
    GuestEfer = 0x2806, Exit;
    Pdpte0 = 0x280a, Exit;
    Pdpte1 = 0x280c, Exit;
    Pdpte2 = 0x280e, Exit;
    Pdpte3 = 0x2810, Exit;
    HostPat = 0x2c00, Never;
    HostEfer = 0x2c02, Never;
    PinControls = 0x4000, Never;
    ProcessorControls = 0x4002, Never;
    ExceptionBitmap = 0x4004, Never;
    PageFaultMask = 0x4006, Never;
    PageFaultMatch = 0x4008, Never;
    Cr3TargetCount = 0x400a, Never;
    ExitControls = 0x400c, Never;
    ExitMsrStoreCount = 0x400e, Never;
    ExitMsrLoadCount = 0x4010, Never;
    EntryControls = 0x4012, Exit;
    EntryMsrLoadCount = 0x4014, Never;
    EntryEvent = 0x4016, Exit;
    EntryErrorCode = 0x4018, Never;
    EntryLength = 0x401a, Never;
    TprThreshold = 0x401c, Never;
    SecondaryControls = 0x401e, Never;
    InstructionError = 0x4400, Exit;
    ExitReason = 0x4402, Exit;
    ExitEvent = 0x4404, Exit;
    ExitErrorCode = 0x4406, Exit;
    VectoringEvent = 0x4408, Exit;
    VectoringErrorCode = 0x440a, Exit;
    ExitLength = 0x440c, Exit;
    EsLimit = 0x4800, Exit;
    CsLimit = 0x4802, Exit;
    SsLimit = 0x4804, Exit;
    DsLimit = 0x4806, Exit;
    FsLimit = 0x4808, Exit;
    GsLimit = 0x480a, Exit;
    LdtrLimit = 0x480c, Exit;
    TrLimit = 0x480e, Exit;
    GdtrLimit = 0x4810, Exit;
    IdtrLimit = 0x4812, Exit;
    EsRights = 0x4814, Exit;
    CsRights = 0x4816, Exit;
    SsRights = 0x4818, Exit;
    DsRights = 0x481a, Exit;
    FsRights = 0x481c, Exit;
    GsRights = 0x481e, Exit;
    LdtrRights = 0x4820, Exit;
    TrRights = 0x4822, Exit;
    Interruptibility = 0x4824, Exit;
    Activity = 0x4826, Exit;
    SysenterCs = 0x482a, Exit;
    PreemptionTimer = 0x482e, Exit;
    HostSysenterCs = 0x4c00, Never;
    Cr0Mask = 0x6000, Never;
    Cr4Mask = 0x6002, Never;
    Cr0Shadow = 0x6004, Never;
    Cr4Shadow = 0x6006, Never;
    Qualification = 0x6400, Exit;
    Cr0 = 0x6800, Exit;
    Cr3 = 0x6802, Exit;
    Cr4 = 0x6804, Exit;
    EsBase = 0x6806, Exit;
    CsBase = 0x6808, Exit;
    SsBase = 0x680a, Exit;
    DsBase = 0x680c, Exit;
    FsBase = 0x680e, Exit;
    GsBase = 0x6810, Exit;
    LdtrBase = 0x6812, Exit;
    TrBase = 0x6814, Exit;
    GdtrBase = 0x6816, Exit;
    IdtrBase = 0x6818, Exit;
    Dr7 = 0x681a, Exit;
    Rsp = 0x681c, Exit;
    Rip = 0x681e, Exit;
    Rflags = 0x6820, Exit;
    PendingDebug = 0x6822, Exit;
    SysenterEsp = 0x6824, Exit;
    SysenterEip = 0x6826, Exit;
    HostCr0 = 0x6c00, Never;
    HostCr3 = 0x6c02, Never;
    HostCr4 = 0x6c04, Never;
    HostFsBase = 0x6c06, Never;
    HostGsBase = 0x6c08, Never;
    HostTrBase = 0x6c0a, Never;
    HostGdtrBase = 0x6c0c, Never;
    HostIdtrBase = 0x6c0e, Never;
    HostSysenterEsp = 0x6c10, Never;
    HostSysenterEip = 0x6c12, Never;
    HostRip = 0x6c16, Never;
}

impl Field {
    /// How many fields there are.
    pub const COUNT: usize = Self::ALL.len();

    /// Number of the field in the cache.
    #[inline(always)]
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The field's bit in a set of fields.
    #[inline(always)]
    pub const fn bit(self) -> u128 {
        1 << self as u8
    }

    /// The field's encoding.
    #[inline(always)]
    pub const fn encoding(self) -> u32 {
        // An array as long as the enum.
        match Self::ENCODINGS.split_at(self as usize).1 {
            [encoding, ..] => *encoding,
            [] => 0,
        }
    }

    /// The fields that keep their value while the guest runs.
    pub const STEADY: u128 = {
        let mut set = 0;
        let mut rest = Self::CHANGES;
        let mut bit = 0;
        while let [change, tail @ ..] = rest {
            if matches!(change, Change::Never) {
                set |= 1 << bit;
            }
            rest = tail;
            bit += 1;
        }
        set
    };
}

const _: () = assert!(Field::COUNT <= 128);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn encodings_are_unique_and_in_the_manuals_order() {
        let encodings: Vec<_> = Field::ALL.iter().map(|field| field.encoding()).collect();
        assert!(encodings.is_sorted_by(|a, b| a < b));
        assert_eq!(Field::Rip.encoding(), 0x681e);
        assert_eq!(Field::HostRip.encoding(), 0x6c16);
    }

    #[test]
    fn what_a_guest_changes_is_not_steady() {
        for field in [
            Field::Rip,
            Field::Cr0,
            Field::EntryControls,
            Field::ExitReason,
        ] {
            assert_eq!(Field::STEADY & field.bit(), 0, "{field:?}");
        }
        for field in [Field::TscOffset, Field::Cr4Shadow, Field::ProcessorControls] {
            assert_ne!(Field::STEADY & field.bit(), 0, "{field:?}");
        }
    }
}
