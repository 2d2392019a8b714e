//! Instructions that exit by intercept, and their lengths, for CPUs that do not report the next RIP.

use super::address::ModRm;
use super::cursor::Cursor;
use super::prefixes::Prefixes;
use super::{CodeSize, DecodeError, Repeat};

/// An instruction that can be intercepted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "the names are the instructions'")]
pub enum Intercepted {
    Cpuid,
    Rdmsr,
    Wrmsr,
    Hlt,
    /// VMCALL or VMMCALL.
    Hypercall,
    Rdtsc,
    Rdtscp,
    Rdpmc,
    Pause,
    Invd,
    Wbinvd,
    Xsetbv,
    Monitor,
    Mwait,
    Invlpg,
    /// 0F 01 D8 and DA to DF: VMRUN, VMLOAD, VMSAVE, STGI, CLGI, SKINIT, INVLPGA.
    Virtualization,
    /// IN, OUT, INS, OUTS.
    PortAccess,
    /// MOV to or from a control register.
    MovControl,
    /// MOV to or from a debug register.
    MovDebug,
    /// LMSW.
    Lmsw,
    /// SMSW.
    Smsw,
    Clts,
}

/// The instruction at the start of `bytes` with its length; `None` where it is none of these, or incomplete.
pub fn intercepted(bytes: &[u8], code: CodeSize) -> Option<(Intercepted, u8)> {
    parse(bytes, code).ok()
}

/// The length of the instruction at the start of `bytes` where it is of this kind.
pub fn intercept_length(bytes: &[u8], code: CodeSize, kind: Intercepted) -> Option<u8> {
    match parse(bytes, code) {
        Ok((found, length)) if found == kind => Some(length),
        _ => None,
    }
}

fn parse(bytes: &[u8], code: CodeSize) -> Result<(Intercepted, u8), DecodeError> {
    let mut cursor = Cursor::new(bytes);
    let prefixes = Prefixes::read(&mut cursor, code)?;
    let kind = match cursor.byte()? {
        0x0f => two_byte(&mut cursor, &prefixes)?,
        0x90 if prefixes.repeat == Repeat::WhileEqual => Intercepted::Pause,
        0x6c..=0x6f | 0xec..=0xef => Intercepted::PortAccess,
        0xe4..=0xe7 => {
            cursor.byte()?;
            Intercepted::PortAccess
        }
        0xf4 => Intercepted::Hlt,
        _ => return Err(DecodeError::Unknown),
    };
    Ok((kind, cursor.length()))
}

fn two_byte(cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<Intercepted, DecodeError> {
    Ok(match cursor.byte()? {
        0x01 => return group(cursor, prefixes),
        0x06 => Intercepted::Clts,
        0x08 => Intercepted::Invd,
        // WBNOINVD is WBINVD with a repeat prefix, and exits the same way.
        0x09 => Intercepted::Wbinvd,
        0x20 | 0x22 => {
            // The mode bits of ModRM do not count: always a register.
            cursor.byte()?;
            Intercepted::MovControl
        }
        0x21 | 0x23 => {
            cursor.byte()?;
            Intercepted::MovDebug
        }
        0x30 => Intercepted::Wrmsr,
        0x31 => Intercepted::Rdtsc,
        0x32 => Intercepted::Rdmsr,
        0x33 => Intercepted::Rdpmc,
        0xa2 => Intercepted::Cpuid,
        _ => return Err(DecodeError::Unknown),
    })
}

/// 0F 01, where some register forms are instructions of their own.
fn group(cursor: &mut Cursor<'_>, prefixes: &Prefixes) -> Result<Intercepted, DecodeError> {
    let byte = cursor.peek()?;
    let modrm = ModRm::read(cursor, prefixes)?;
    Ok(match byte {
        0xc1 | 0xd9 => Intercepted::Hypercall,
        0xc8 => Intercepted::Monitor,
        0xc9 => Intercepted::Mwait,
        0xd1 => Intercepted::Xsetbv,
        0xd8 | 0xda..=0xdf => Intercepted::Virtualization,
        0xf9 => Intercepted::Rdtscp,
        _ => match (modrm.extension, modrm.memory) {
            (4, _) => Intercepted::Smsw,
            (6, _) => Intercepted::Lmsw,
            (7, Some(_)) => Intercepted::Invlpg,
            _ => return Err(DecodeError::Unknown),
        },
    })
}
