use crate::testing::{Case, File, Loaded, RSDP, map};
use crate::{Demand, FileIndex, Kind, Piece, Refusal};

const PREFERRED: u64 = 0x100_0000;
const INIT: u32 = 0x40_0000;

/// A kernel like those of today: 3 setup sectors, relocatable, 1 MiB of code.
fn image() -> Vec<u8> {
    let mut file = vec![0; 0x800];
    file[0x1f1] = 3;
    let code: Vec<u8> = (0..1u32 << 18).flat_map(u32::to_le_bytes).collect();
    set(&mut file, 0x1f4, &((code.len() / 16) as u32).to_le_bytes());
    set(&mut file, 0x1fe, &[0x55, 0xaa, 0xeb, 0x6a]);
    set(&mut file, 0x202, b"HdrS\x0f\x02");
    file[0x211] = 1;
    set(&mut file, 0x224, &0x5555_aaaau32.to_le_bytes());
    set(&mut file, 0x22c, &0x7fff_ffffu32.to_le_bytes());
    set(&mut file, 0x230, &0x20_0000u32.to_le_bytes());
    file[0x234] = 1;
    set(&mut file, 0x236, &0x7fu16.to_le_bytes());
    set(&mut file, 0x238, &2047u32.to_le_bytes());
    set(&mut file, 0x250, &0xdead_beef_u64.to_le_bytes());
    set(&mut file, 0x258, &PREFERRED.to_le_bytes());
    set(&mut file, 0x260, &INIT.to_le_bytes());
    file.extend(code);
    file
}

fn set(file: &mut [u8], at: usize, bytes: &[u8]) {
    file[at..at + bytes.len()].copy_from_slice(bytes);
}

/// The image with another field.
fn with(at: usize, bytes: &[u8]) -> File {
    let mut file = image();
    set(&mut file, at, bytes);
    File::new(file)
}

fn parameters(loaded: &Loaded) -> u64 {
    loaded.plan.boot.registers[6]
}

#[test]
fn a_kernel_lies_at_its_preferred_address_and_is_entered_in_64_bit_mode() {
    let file = File::new(image());
    let loaded = Case::default().load(&file);
    assert_eq!(loaded.bytes(PREFERRED, 1 << 20), file.content[0x800..]);
    // What it needs behind it is clear.
    let rest = loaded.bytes(PREFERRED + (1 << 20), INIT as usize - (1 << 20));
    assert!(rest.iter().all(|byte| *byte == 0));

    let boot = &loaded.plan.boot;
    assert_eq!(boot.rip, PREFERRED + 0x200);
    assert_eq!(boot.cr0, 0x8000_0011);
    assert_eq!((boot.cr4, boot.efer), (0x20, 0x100));
    assert_eq!((boot.cs.selector, boot.cs.attributes), (0x10, 0xa9b));
    assert_eq!((boot.data.selector, boot.data.attributes), (0x18, 0xc93));
    // The descriptors in memory are the same.
    assert_eq!(boot.gdt_limit, 31);
    assert_eq!(loaded.u64(boot.gdt_base + 0x10), 0x00af_9b00_0000_ffff);
    assert_eq!(loaded.u64(boot.gdt_base + 0x18), 0x00cf_9300_0000_ffff);
    for at in [0, 0x9_0000, PREFERRED, 0xc000_0000, 0xffff_f000] {
        assert_eq!(translate(&loaded, at), at);
    }
}

/// What the page tables map an address to.
fn translate(loaded: &Loaded, at: u64) -> u64 {
    let mut table = loaded.plan.boot.cr3;
    assert_eq!(table % 4096, 0);
    for shift in [39, 30, 21] {
        let entry = loaded.u64(table + (at >> shift) % 512 * 8);
        assert_eq!(entry & 3, 3);
        if entry & 0x80 != 0 {
            return (entry & !0x1f_ffff) + at % 0x20_0000;
        }
        table = entry & !0xfff;
    }
    panic!("no large page");
}

#[test]
fn the_boot_parameters_say_what_there_is() {
    let case = Case {
        command_line: "console=ttyS0 quiet".into(),
        modules: vec![(File::new(*b"initrd"), "")],
        ..Case::default()
    };
    let loaded = case.load(&File::new(image()));
    let page = parameters(&loaded);
    // The header as it is in the file, up to where it says that it ends.
    assert_eq!(loaded.bytes(page + 0x202, 6), b"HdrS\x0f\x02");
    assert_eq!(loaded.u32(page + 0x224), 0x5555_aaaa);
    assert_eq!(loaded.bytes(page + 0x210, 1), [0xff]);
    assert_eq!(loaded.u64(page + 0x250), 0, "setup_data is not the file's");
    assert!(loaded.bytes(page, 0x70).iter().all(|byte| *byte == 0));
    assert_eq!(loaded.u64(page + 0x70), RSDP.at.0);
    let text = u64::from(loaded.u32(page + 0x228));
    assert_eq!(loaded.text(text), "console=ttyS0 quiet");
    let initrd = u64::from(loaded.u32(page + 0x218));
    assert_eq!(loaded.u32(page + 0x21c), 6);
    assert_eq!(loaded.bytes(initrd, 6), b"initrd");
    // As high as there is memory.
    assert_eq!(initrd, (64 << 20) - 4096);

    let map = map(64);
    assert_eq!(usize::from(loaded.bytes(page + 0x1e8, 1)[0]), map.len());
    for (line, at) in map.iter().zip((page + 0x2d0..).step_by(20)) {
        assert_eq!(loaded.u64(at), line.start.0);
        assert_eq!(loaded.u64(at + 8), line.bytes);
        assert_eq!(loaded.u32(at + 16), line.kind.number());
    }
}

#[test]
fn initrds_are_joined_below_their_limit() {
    let case = Case {
        modules: vec![
            (File::new(*b"first"), ""),
            (File::new(*b""), ""),
            (File::new(*b"second"), ""),
        ],
        ..Case::default()
    };
    let loaded = case.load(&with(0x22c, &0x1ff_ffffu32.to_le_bytes()));
    let page = parameters(&loaded);
    let at = u64::from(loaded.u32(page + 0x218));
    assert_eq!(at, 0x200_0000 - 4096);
    assert_eq!(loaded.bytes(at, 14), b"first\0\0\0second");
    assert_eq!(loaded.u32(page + 0x21c), 14);
}

#[test]
fn without_initrd_and_command_line_the_fields_are_zero() {
    let mut file = image();
    set(&mut file, 0x218, &[1; 8]);
    let loaded = Case::default().load(&File::new(file));
    let page = parameters(&loaded);
    assert_eq!(loaded.u64(page + 0x218), 0);
    assert_eq!(loaded.u32(page + 0x228), 0);
}

#[test]
fn a_relocatable_kernel_gives_way_upwards() {
    // What it prefers is in the hole between conventional memory and 1 MiB.
    let loaded = Case::default().load(&with(0x258, &0xb_0000u64.to_le_bytes()));
    assert_eq!(loaded.plan.boot.rip, 0x20_0000 + 0x200);
    let mut fixed = with(0x258, &0xb_0000u64.to_le_bytes());
    fixed.content[0x234] = 0;
    let refusal = Case::default().refusal(&fixed);
    assert!(matches!(refusal, Refusal::NotUsable { at: 0xb_0000, .. }));
}

#[test]
fn too_little_memory_is_refused_by_name() {
    let case = Case {
        mib: 19,
        ..Case::default()
    };
    let end = PREFERRED + u64::from(INIT);
    let refusal = case.refusal(&File::new(image()));
    assert_eq!(refusal, Refusal::KernelNeeds { end });
    assert!(refusal.to_string().contains("20 MiB"));

    let mut big = File::new(*b"");
    big.bytes = 60 << 20;
    let case = Case {
        modules: vec![(big, "")],
        ..Case::default()
    };
    let refusal = case.refusal(&File::new(image()));
    let (piece, bytes) = (Piece::Initrd, 60 << 20);
    assert_eq!(refusal, Refusal::NoRoom { piece, bytes });
    assert!(refusal.to_string().contains("more memory"));
}

#[test]
fn a_kernel_without_64_bit_entry_is_refused() {
    for file in [
        with(0x236, &0x7eu16.to_le_bytes()),
        with(0x206, &0x20bu16.to_le_bytes()),
    ] {
        let refusal = Case::default().refusal(&file);
        assert!(matches!(refusal, Refusal::No64BitEntry { .. }));
        assert!(refusal.to_string().contains("x86-64"));
    }
    let refusal = Case::default().refusal(&with(0x211, &[0]));
    assert_eq!(refusal, Refusal::NotLoadedHigh);
}

#[test]
fn a_command_line_too_long_is_refused_with_the_limit() {
    let mut case = Case {
        command_line: "x".repeat(2048),
        ..Case::default()
    };
    let file = File::new(image());
    let refusal = case.refusal(&file);
    assert!(
        refusal
            .to_string()
            .contains("2048 bytes and the kernel takes 2047")
    );
    case.command_line.pop();
    case.load(&file);
    case.command_line = "a\0b".into();
    assert_eq!(case.refusal(&file), Refusal::ZeroInText(Piece::CommandLine));
}

#[test]
fn damaged_headers_are_refused() {
    let cut = File::new(&image()[..image().len() - 32]);
    let refusal = Case::default().refusal(&cut);
    assert_eq!(refusal, Refusal::Truncated(FileIndex::Image));
    let cut = File::new(&image()[..0x234]);
    Case::default().refusal(&cut);
    for file in [
        with(0x201, &[0x20]),
        with(0x201, &[0xff]),
        with(0x230, &0x30_0000u32.to_le_bytes()),
        with(0x258, &[0; 8]),
        with(0x258, &[0xff; 8]),
    ] {
        let refusal = Case::default().refusal(&file);
        assert!(matches!(refusal, Refusal::Damaged(_)), "{refusal}");
    }
    // The whole file is setup.
    let refusal = Case::default().refusal(&File::new(&image()[..0x800]));
    assert_eq!(refusal, Refusal::Truncated(FileIndex::Image));
    for init in [0, u32::MAX] {
        let file = with(0x260, &init.to_le_bytes());
        Case::default().try_load(&file).ok();
    }
}

#[test]
fn only_headers_are_read_while_planning() {
    let mut file = File::new(image());
    file.bytes = 40 << 20;
    let mut initrd = File::new(*b"");
    initrd.bytes = 10 << 20;
    let map = map(128);
    let modules = [crate::Module {
        file: &initrd,
        text: "",
    }];
    let order = crate::LoadOrder {
        image: &file,
        kind: Kind::Auto,
        modules: &modules,
        command_line: "",
        memory_map: &map,
        rsdp: None,
    };
    crate::testing::ready(crate::plan(&order)).unwrap();
    assert!(file.bytes_read.get() <= 36 << 10);
    assert_eq!(initrd.bytes_read.get(), 0);
}

#[test]
fn what_cannot_be_read_is_named() {
    let mut file = File::new(image());
    file.broken = true;
    let error = Case::default().try_load(&file).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the image cannot be read: the disk is broken"
    );
}

#[test]
fn another_kind_than_ordered_is_refused() {
    let case = Case {
        kind: Kind::Linux,
        ..Case::default()
    };
    let refusal = case.refusal(&File::new([0x7f; 4096]));
    assert_eq!(refusal, Refusal::NotOfKind(Kind::Linux));
    assert!(refusal.to_string().contains("Linux bzImage"));
    assert!(
        Refusal::Demands(Demand::Display)
            .to_string()
            .contains("display")
    );
}
