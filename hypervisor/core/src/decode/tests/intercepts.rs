use super::super::*;
use super::Random;
use iced_x86::{Decoder, DecoderOptions, Mnemonic};

fn length(bytes: &[u8], kind: Intercepted) -> Option<u8> {
    intercept_length(bytes, CodeSize::Bits64, kind)
}

#[test]
fn plain_encodings_have_their_known_lengths() {
    for (bytes, kind) in [
        (&[0x0f, 0xa2][..], Intercepted::Cpuid),
        (&[0x0f, 0x32], Intercepted::Rdmsr),
        (&[0x0f, 0x30], Intercepted::Wrmsr),
        (&[0xf4], Intercepted::Hlt),
        (&[0x0f, 0x01, 0xd9], Intercepted::Hypercall),
        (&[0x0f, 0x01, 0xc1], Intercepted::Hypercall),
        (&[0x0f, 0x31], Intercepted::Rdtsc),
        (&[0x0f, 0x01, 0xf9], Intercepted::Rdtscp),
        (&[0x0f, 0x33], Intercepted::Rdpmc),
        (&[0xf3, 0x90], Intercepted::Pause),
        (&[0x0f, 0x08], Intercepted::Invd),
        (&[0x0f, 0x09], Intercepted::Wbinvd),
        (&[0xf3, 0x0f, 0x09], Intercepted::Wbinvd),
        (&[0x0f, 0x01, 0xd1], Intercepted::Xsetbv),
        (&[0x0f, 0x01, 0xc8], Intercepted::Monitor),
        (&[0x0f, 0x01, 0xc9], Intercepted::Mwait),
        (&[0x0f, 0x01, 0xd8], Intercepted::Virtualization),
        (&[0x0f, 0x01, 0xdf], Intercepted::Virtualization),
        (&[0x0f, 0x01, 0x38], Intercepted::Invlpg),
        (&[0x0f, 0x01, 0x7c, 0x24, 0x08], Intercepted::Invlpg),
        (&[0x0f, 0x01, 0xe0], Intercepted::Smsw),
        (&[0x0f, 0x01, 0xf0], Intercepted::Lmsw),
        (&[0x0f, 0x06], Intercepted::Clts),
        (&[0x0f, 0x22, 0xc0], Intercepted::MovControl),
        (&[0x44, 0x0f, 0x22, 0xc0], Intercepted::MovControl),
        (&[0x0f, 0x23, 0xf8], Intercepted::MovDebug),
        (&[0xec], Intercepted::PortAccess),
        (&[0xe6, 0x80], Intercepted::PortAccess),
        (&[0x66, 0xed], Intercepted::PortAccess),
        (&[0xf3, 0x6c], Intercepted::PortAccess),
    ] {
        assert_eq!(length(bytes, kind), Some(bytes.len() as u8), "{bytes:02x?}");
        let mut prefixed = vec![0x2e, 0x66];
        prefixed.extend(bytes);
        prefixed.push(0xcc);
        assert_eq!(
            length(&prefixed, kind),
            Some(bytes.len() as u8 + 2),
            "{bytes:02x?}"
        );
        assert_eq!(length(&bytes[..bytes.len() - 1], kind), None);
    }
    assert_eq!(length(&[0x0f, 0xa2], Intercepted::Rdmsr), None);
    assert_eq!(length(&[0x90], Intercepted::Pause), None);
}

fn kind(mnemonic: Mnemonic) -> Option<Intercepted> {
    Some(match mnemonic {
        Mnemonic::Cpuid => Intercepted::Cpuid,
        Mnemonic::Rdmsr => Intercepted::Rdmsr,
        Mnemonic::Wrmsr => Intercepted::Wrmsr,
        Mnemonic::Hlt => Intercepted::Hlt,
        Mnemonic::Rdtsc => Intercepted::Rdtsc,
        Mnemonic::Pause => Intercepted::Pause,
        Mnemonic::Invd => Intercepted::Invd,
        Mnemonic::Wbinvd | Mnemonic::Wbnoinvd => Intercepted::Wbinvd,
        Mnemonic::In | Mnemonic::Out | Mnemonic::Insb | Mnemonic::Outsb => Intercepted::PortAccess,
        Mnemonic::Invlpg => Intercepted::Invlpg,
        Mnemonic::Lmsw => Intercepted::Lmsw,
        Mnemonic::Smsw => Intercepted::Smsw,
        Mnemonic::Clts => Intercepted::Clts,
        Mnemonic::Rdpmc => Intercepted::Rdpmc,
        _ => return None,
    })
}

#[test]
fn random_bytes_have_the_lengths_of_another_decoder() {
    let mut random = Random::new(77);
    let mut seen = 0;
    for _ in 0..150_000 {
        let mut bytes = [0u8; 15];
        for chunk in bytes.chunks_mut(8) {
            chunk.copy_from_slice(&random.next().to_le_bytes()[..chunk.len()]);
        }
        let choice = random.next();
        let start = (choice % 4) as usize;
        for byte in &mut bytes[..start] {
            *byte = [0x66, 0x67, 0xf3, 0xf2, 0x2e, 0x48, 0x41, 0x65][random.next() as usize % 8];
        }
        if choice & 0x100 != 0 {
            bytes[start] = 0x0f;
            bytes[start + 1] &= 0x3f;
            if choice & 0x600 == 0 {
                bytes[start + 1] = 1;
            }
        }
        for (code, bits) in [
            (CodeSize::Bits16, 16),
            (CodeSize::Bits32, 32),
            (CodeSize::Bits64, 64),
        ] {
            let theirs = Decoder::new(bits, &bytes, DecoderOptions::NONE).decode();
            let Some(kind) = kind(theirs.mnemonic()) else {
                continue;
            };
            seen += 1;
            assert_eq!(
                intercepted(&bytes, code),
                Some((kind, theirs.len() as u8)),
                "{code:?} {bytes:02x?} {:?}",
                theirs.code()
            );
        }
    }
    assert!(seen > 7_000, "{seen}");
}
