//! VMX of real Intel CPUs, as far as it is published; what is not published is left out.

use super::VmxRecord;

/// Ivy Bridge, family 6 model 58 stepping 9: the log that VirtualBox 7 writes of a machine's capability registers, published with
/// a user's files in 2026.
pub const IVY_BRIDGE: VmxRecord = VmxRecord {
    name: "Ivy Bridge",
    msrs: &[
        (0x3a, 0x0000_0000_0000_0005),
        (0x480, 0x00da_0400_0000_0010),
        (0x481, 0x0000_007f_0000_0016),
        (0x482, 0xfff9_fffe_0401_e172),
        (0x483, 0x007f_ffff_0003_6dff),
        (0x484, 0x0000_ffff_0000_11ff),
        (0x485, 0x0000_0000_1004_01e5),
        (0x486, 0x0000_0000_8000_0021),
        (0x487, 0x0000_0000_ffff_ffff),
        (0x488, 0x0000_0000_0000_2000),
        (0x489, 0x0000_0000_0017_67ff),
        (0x48a, 0x0000_0000_0000_002a),
        (0x48b, 0x0000_08ff_0000_0000),
        (0x48c, 0x0000_0f01_0611_4141),
        (0x48d, 0x0000_007f_0000_0016),
        (0x48e, 0xfff9_fffe_0400_6172),
        (0x48f, 0x007f_ffff_0003_6dfb),
        (0x490, 0x0000_ffff_0000_11fb),
    ],
};

/// Coffee Lake, family 6 model 158 stepping 10: the same of VirtualBox 6.1, published in January 2021.
pub const COFFEE_LAKE: VmxRecord = VmxRecord {
    name: "Coffee Lake",
    msrs: &[
        (0x3a, 0x0000_0000_0000_0005),
        (0x480, 0x00da_0400_0000_0004),
        (0x481, 0x0000_007f_0000_0016),
        (0x482, 0xfff9_fffe_0401_e172),
        (0x483, 0x01ff_ffff_0003_6dff),
        (0x484, 0x0003_ffff_0000_11ff),
        (0x485, 0x0000_0000_7004_c1e7),
        (0x486, 0x0000_0000_8000_0021),
        (0x487, 0x0000_0000_ffff_ffff),
        (0x488, 0x0000_0000_0000_2000),
        (0x489, 0x0000_0000_0037_27ff),
        (0x48a, 0x0000_0000_0000_002e),
        (0x48b, 0x005f_bcff_0000_0000),
        (0x48c, 0x0000_0f01_0673_4141),
        (0x48d, 0x0000_007f_0000_0016),
        (0x48e, 0xfff9_fffe_0400_6172),
        (0x48f, 0x01ff_ffff_0003_6dfb),
        (0x490, 0x0003_ffff_0000_11fb),
        (0x491, 0x0000_0000_0000_0001),
    ],
};

/// IA32_VMX_PROCBASED_CTLS2 alone: of Nehalem the bits that QEMU's model of it names (QEMU 4.2, 2019), of the others a table of
/// capability registers that a researcher read on the parts (VmxCaps, December 2016).
pub const SECONDARY_CONTROLS: [(&str, u64); 11] = [
    ("Nehalem", 0x0000_007f_0000_0000),
    ("Westmere i3-370M", 0x0000_00ff_0000_0000),
    ("Westmere i5-650", 0x0000_00ff_0000_0000),
    ("Sandy Bridge i7-2630QM", 0x0000_00ff_0000_0000),
    ("Sandy Bridge i5-2320", 0x0000_00ff_0000_0000),
    ("Ivy Bridge i3-3217U", 0x0000_00ff_0000_0000),
    ("Ivy Bridge i7-3770", 0x0000_08ff_0000_0000),
    ("Ivy Bridge E3-1270 v2", 0x0000_08ff_0000_0000),
    ("Haswell i7-4600U", 0x0000_7cff_0000_0000),
    ("Haswell i7-4770", 0x0000_7cff_0000_0000),
    ("Skylake i5-6500", 0x001f_fcff_0000_0000),
];
