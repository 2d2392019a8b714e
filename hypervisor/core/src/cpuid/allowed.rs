//! The features a guest may see, bit by bit, each with the reason why it is safe to show.
//!
//! A bit that is not in the table is not shown, whatever the host has: a feature of tomorrow stays hidden until
//! someone has thought about its state and its side effects.

use Reason::{Baseline, Emulated, Extended, Information, Paging, Switched, User};

/// Why a feature may be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reason {
    /// Part of every x86-64 CPU or of the machine that the hypervisor models.
    Baseline,
    /// Instructions without state beyond registers that are switched anyway.
    User,
    /// Vector or other state that needs these XCR0 bits; shown where the guest may set them all.
    Extended(u64),
    /// Works on the guest's own control registers and page tables; nested paging keeps it inside.
    Paging,
    /// The registers behind it belong to the vCPU and are switched with it.
    Switched,
    /// The hypervisor implements it.
    Emulated,
    /// Describes a property of the CPU; enables nothing.
    Information,
}

/// A feature word: where in CPUID a bit is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(
    missing_docs,
    reason = "the names are the places: leaf, subleaf and register"
)]
pub enum Word {
    Leaf1Ecx,
    Leaf1Edx,
    Leaf7Ebx,
    Leaf7Ecx,
    Leaf7Edx,
    Leaf7Sub1Eax,
    Leaf7Sub1Edx,
    LeafDSub1Eax,
    Extended1Ecx,
    Extended1Edx,
    Extended7Edx,
    Extended8Ebx,
    Extended21Eax,
}

/// One row of the table.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct AllowedFeature {
    /// Where the bit is.
    pub word: Word,
    /// The bit.
    pub bit: u8,
    /// The vendors' name for it.
    pub name: &'static str,
    /// Why it may be shown.
    pub reason: Reason,
}

const SSE: u64 = 1 << 1;
const AVX: u64 = SSE | 1 << 2;
const AVX512: u64 = AVX | 0b111 << 5;
const PKRU: u64 = 1 << 9;

const fn row(word: Word, bit: u8, name: &'static str, reason: Reason) -> AllowedFeature {
    AllowedFeature {
        word,
        bit,
        name,
        reason,
    }
}

/// The features that may be shown to guests.
pub const FEATURES: &[AllowedFeature] = &[
    row(Word::Leaf1Ecx, 0, "SSE3", User),
    row(Word::Leaf1Ecx, 1, "PCLMULQDQ", User),
    row(Word::Leaf1Ecx, 9, "SSSE3", User),
    row(Word::Leaf1Ecx, 12, "FMA", Extended(AVX)),
    row(Word::Leaf1Ecx, 13, "CMPXCHG16B", User),
    row(Word::Leaf1Ecx, 17, "PCID", Paging),
    row(Word::Leaf1Ecx, 19, "SSE4.1", User),
    row(Word::Leaf1Ecx, 20, "SSE4.2", User),
    row(Word::Leaf1Ecx, 22, "MOVBE", User),
    row(Word::Leaf1Ecx, 23, "POPCNT", User),
    row(Word::Leaf1Ecx, 25, "AES", User),
    row(Word::Leaf1Ecx, 26, "XSAVE", Extended(SSE)),
    row(Word::Leaf1Ecx, 28, "AVX", Extended(AVX)),
    row(Word::Leaf1Ecx, 29, "F16C", Extended(AVX)),
    row(Word::Leaf1Ecx, 30, "RDRAND", User),
    row(Word::Leaf1Edx, 0, "FPU", Baseline),
    row(Word::Leaf1Edx, 1, "VME", Baseline),
    row(Word::Leaf1Edx, 2, "DE", Baseline),
    row(Word::Leaf1Edx, 3, "PSE", Paging),
    row(Word::Leaf1Edx, 4, "TSC", Baseline),
    row(Word::Leaf1Edx, 5, "MSR", Baseline),
    row(Word::Leaf1Edx, 6, "PAE", Paging),
    row(Word::Leaf1Edx, 7, "MCE", Emulated),
    row(Word::Leaf1Edx, 8, "CMPXCHG8B", User),
    row(Word::Leaf1Edx, 9, "APIC", Emulated),
    row(Word::Leaf1Edx, 11, "SYSENTER", Switched),
    row(Word::Leaf1Edx, 12, "MTRR", Emulated),
    row(Word::Leaf1Edx, 13, "PGE", Paging),
    row(Word::Leaf1Edx, 14, "MCA", Emulated),
    row(Word::Leaf1Edx, 15, "CMOV", User),
    row(Word::Leaf1Edx, 16, "PAT", Switched),
    row(Word::Leaf1Edx, 17, "PSE-36", Paging),
    row(Word::Leaf1Edx, 19, "CLFLUSH", User),
    row(Word::Leaf1Edx, 23, "MMX", User),
    row(Word::Leaf1Edx, 24, "FXSR", Switched),
    row(Word::Leaf1Edx, 25, "SSE", User),
    row(Word::Leaf1Edx, 26, "SSE2", User),
    row(Word::Leaf1Edx, 27, "Self-snoop", Information),
    row(Word::Leaf7Ebx, 0, "FSGSBASE", Switched),
    row(Word::Leaf7Ebx, 3, "BMI1", User),
    row(Word::Leaf7Ebx, 5, "AVX2", Extended(AVX)),
    row(Word::Leaf7Ebx, 6, "FDP_EXCPTN_ONLY", Information),
    row(Word::Leaf7Ebx, 7, "SMEP", Paging),
    row(Word::Leaf7Ebx, 8, "BMI2", User),
    row(Word::Leaf7Ebx, 9, "ERMS", Information),
    row(Word::Leaf7Ebx, 10, "INVPCID", Paging),
    row(Word::Leaf7Ebx, 13, "FCS and FDS deprecated", Information),
    row(Word::Leaf7Ebx, 16, "AVX512F", Extended(AVX512)),
    row(Word::Leaf7Ebx, 17, "AVX512DQ", Extended(AVX512)),
    row(Word::Leaf7Ebx, 18, "RDSEED", User),
    row(Word::Leaf7Ebx, 19, "ADX", User),
    row(Word::Leaf7Ebx, 20, "SMAP", Paging),
    row(Word::Leaf7Ebx, 21, "AVX512_IFMA", Extended(AVX512)),
    row(Word::Leaf7Ebx, 23, "CLFLUSHOPT", User),
    row(Word::Leaf7Ebx, 24, "CLWB", User),
    row(Word::Leaf7Ebx, 28, "AVX512CD", Extended(AVX512)),
    row(Word::Leaf7Ebx, 29, "SHA", User),
    row(Word::Leaf7Ebx, 30, "AVX512BW", Extended(AVX512)),
    row(Word::Leaf7Ebx, 31, "AVX512VL", Extended(AVX512)),
    row(Word::Leaf7Ecx, 1, "AVX512_VBMI", Extended(AVX512)),
    row(Word::Leaf7Ecx, 2, "UMIP", Paging),
    row(Word::Leaf7Ecx, 3, "PKU", Extended(PKRU)),
    row(Word::Leaf7Ecx, 6, "AVX512_VBMI2", Extended(AVX512)),
    row(Word::Leaf7Ecx, 8, "GFNI", User),
    row(Word::Leaf7Ecx, 9, "VAES", Extended(AVX)),
    row(Word::Leaf7Ecx, 10, "VPCLMULQDQ", Extended(AVX)),
    row(Word::Leaf7Ecx, 11, "AVX512_VNNI", Extended(AVX512)),
    row(Word::Leaf7Ecx, 12, "AVX512_BITALG", Extended(AVX512)),
    row(Word::Leaf7Ecx, 14, "AVX512_VPOPCNTDQ", Extended(AVX512)),
    row(Word::Leaf7Ecx, 22, "RDPID", Switched),
    row(Word::Leaf7Ecx, 27, "MOVDIRI", User),
    row(Word::Leaf7Ecx, 28, "MOVDIR64B", User),
    row(Word::Leaf7Edx, 4, "FSRM", Information),
    row(Word::Leaf7Edx, 10, "MD_CLEAR", Information),
    row(Word::Leaf7Edx, 14, "SERIALIZE", User),
    row(Word::Leaf7Edx, 23, "AVX512_FP16", Extended(AVX512)),
    row(Word::Leaf7Sub1Eax, 4, "AVX_VNNI", Extended(AVX)),
    row(Word::Leaf7Sub1Eax, 5, "AVX512_BF16", Extended(AVX512)),
    row(Word::Leaf7Sub1Eax, 10, "FZLRM", Information),
    row(Word::Leaf7Sub1Eax, 11, "FSRS", Information),
    row(Word::Leaf7Sub1Eax, 12, "FSRCS", Information),
    row(Word::Leaf7Sub1Eax, 23, "AVX_IFMA", Extended(AVX)),
    row(Word::Leaf7Sub1Edx, 4, "AVX_VNNI_INT8", Extended(AVX)),
    row(Word::Leaf7Sub1Edx, 5, "AVX_NE_CONVERT", Extended(AVX)),
    row(Word::LeafDSub1Eax, 0, "XSAVEOPT", Extended(SSE)),
    row(Word::LeafDSub1Eax, 1, "XSAVEC", Extended(SSE)),
    row(Word::LeafDSub1Eax, 2, "XGETBV with ECX=1", Extended(SSE)),
    row(Word::Extended1Ecx, 0, "LAHF in 64-bit mode", User),
    row(Word::Extended1Ecx, 5, "LZCNT", User),
    row(Word::Extended1Ecx, 6, "SSE4A", User),
    row(Word::Extended1Ecx, 7, "Misaligned SSE", User),
    row(Word::Extended1Ecx, 8, "PREFETCHW", User),
    row(Word::Extended1Ecx, 11, "XOP", Extended(AVX)),
    row(Word::Extended1Ecx, 16, "FMA4", Extended(AVX)),
    row(Word::Extended1Ecx, 21, "TBM", User),
    row(Word::Extended1Ecx, 22, "Topology extensions", Emulated),
    row(Word::Extended1Edx, 0, "FPU", Baseline),
    row(Word::Extended1Edx, 1, "VME", Baseline),
    row(Word::Extended1Edx, 2, "DE", Baseline),
    row(Word::Extended1Edx, 3, "PSE", Paging),
    row(Word::Extended1Edx, 4, "TSC", Baseline),
    row(Word::Extended1Edx, 5, "MSR", Baseline),
    row(Word::Extended1Edx, 6, "PAE", Paging),
    row(Word::Extended1Edx, 7, "MCE", Emulated),
    row(Word::Extended1Edx, 8, "CMPXCHG8B", User),
    row(Word::Extended1Edx, 9, "APIC", Emulated),
    row(Word::Extended1Edx, 11, "SYSCALL", Switched),
    row(Word::Extended1Edx, 12, "MTRR", Emulated),
    row(Word::Extended1Edx, 13, "PGE", Paging),
    row(Word::Extended1Edx, 14, "MCA", Emulated),
    row(Word::Extended1Edx, 15, "CMOV", User),
    row(Word::Extended1Edx, 16, "PAT", Switched),
    row(Word::Extended1Edx, 17, "PSE-36", Paging),
    row(Word::Extended1Edx, 20, "NX", Paging),
    row(Word::Extended1Edx, 22, "MMX extensions", User),
    row(Word::Extended1Edx, 23, "MMX", User),
    row(Word::Extended1Edx, 24, "FXSR", Switched),
    row(Word::Extended1Edx, 26, "1 GiB pages", Paging),
    row(Word::Extended1Edx, 27, "RDTSCP", Switched),
    row(Word::Extended1Edx, 29, "Long mode", Baseline),
    row(Word::Extended7Edx, 8, "Invariant TSC", Information),
    row(Word::Extended8Ebx, 0, "CLZERO", User),
    row(
        Word::Extended8Ebx,
        2,
        "XSAVE keeps error pointers",
        Information,
    ),
    row(
        Word::Extended21Eax,
        0,
        "No nested data breakpoints",
        Information,
    ),
    row(
        Word::Extended21Eax,
        2,
        "LFENCE always serialising",
        Information,
    ),
    row(
        Word::Extended21Eax,
        6,
        "Null selectors clear the base",
        Information,
    ),
];

/// The bits of a word that may be shown to a guest which can set the bits `xcr0` in its XCR0.
pub(super) fn mask(word: Word, xcr0: u64) -> u32 {
    FEATURES
        .iter()
        .filter(|feature| feature.word == word)
        .filter(|feature| match feature.reason {
            Extended(needed) => needed & !xcr0 == 0,
            _ => true,
        })
        .fold(0, |mask, feature| {
            mask | 1u32.wrapping_shl(feature.bit.into())
        })
}
