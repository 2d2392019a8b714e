"""Tiny kernels for guests, made of bytes: no compiler is needed.

All print a line when they are ready and then obey what is typed at COM1. They wait for input with HLT and the serial
port's interrupt over the PIC, so that an idle one costs nothing.
"""

import re
import struct

# Where the ELF kernels and the 32-bit flat binary are loaded.
BASE = 0x10_0000
# Where the 16-bit flat binary is loaded, as a boot sector.
BOOT_SECTOR = 0x7C00


def assemble(source, origin, width):
    """Bytes of `source`: pairs of hexadecimal digits, "texts", `label:`, and words that stand for labels.

    @label is its address (`width` bytes, with +N or -N), >label the distance to it (`width` bytes), ~label the distance
    in one byte. A # begins a comment.
    """
    code, labels, places = bytearray(), {}, []
    for line in source.splitlines():
        for token in re.findall(r'"[^"]*"|[^\s"]+', line.split("#")[0]):
            if token.startswith('"'):
                code += token.strip('"').encode().decode("unicode_escape").encode("latin-1")
            elif token.endswith(":"):
                labels[token[:-1]] = origin + len(code)
            elif token[0] in "@>~":
                places.append((len(code), token))
                code += bytes(1 if token[0] == "~" else width)
            else:
                code += bytes.fromhex(token)
    for place, token in places:
        name, sign, more = re.fullmatch(r".(\w+)(?:([+-])(\w+))?", token).groups()
        value = labels[name] + (int(more, 0) * (1 if sign == "+" else -1) if sign else 0)
        size = 1 if token[0] == "~" else width
        if token[0] != "@":
            value -= origin + place + size
        code[place:place + size] = value.to_bytes(size, "little", signed=value < 0)
    return bytes(code), labels


# Echoes what is typed in capitals.
ECHO = r"""
    fa fc                       # cli; cld
    31 c0 8e d8 8e c0           # ds = es = 0
    c7 06 30 00 @serial         # vector 0x0c
    c7 06 32 00 00 00
    b0 11 e6 20                 # PIC: interrupts from 8 on, only IRQ 4
    b0 08 e6 21
    b0 04 e6 21
    b0 01 e6 21
    b0 ef e6 21
    ba f9 03 b0 01 ee           # UART: interrupt for received data
    ba fc 03 b0 0b ee           # OUT2 lets it out
    be @ready
next:
    ac                          # lodsb
    84 c0 74 ~main
    e8 >put
    eb ~next
main:
    e8 >get
    3c 61 72 ~small             # below "a"
    3c 7a 77 ~small             # above "z"
    2c 20
small:
    e8 >put
    3c 0d 75 ~main
    b0 0a
    e8 >put
    eb ~main
get:
    ba fd 03 ec a8 01           # is there a byte?
    75 ~got
    fb f4 fa                    # sti; hlt; cli
    eb ~get
got:
    ba f8 03 ec c3
put:
    50
busy:
    ba fd 03 ec a8 20
    74 ~busy
    58
    ba f8 03 ee c3
serial:
    50 b0 20 e6 20 58 cf        # end of interrupt
ready:
    "ECHO READY\r\n" 00
"""

# Obeys letters: d ADDRESS COUNT (dump 32-bit words), f FROM TO WORD (fill), s FROM TO WORD (count), o (power off), r (reset
# by port 0xcf9), k (reset by the keyboard controller), t (triple fault), h (halt for good), l (loop for good), ? (the line again).
# Numbers have eight hexadecimal digits and nothing between them. An answer is "=", digits, and the end of the line.
MONITOR = r"""
start:
    fa fc                       # cli; cld
    a3 @first_eax
    89 1d @first_ebx
    bc @stack
    0f 01 15 @gdtr              # lgdt
    ea @flat 08 00
flat:
    b8 10 00 00 00
    8e d8 8e c0 8e d0           # ds, es, ss
    b8 @serial                  # the gate of IRQ 4
    66 a3 @gate
    c1 e8 10
    66 a3 @gate+6
    0f 01 1d @idtr              # lidt
    b0 11 e6 20 e6 a0           # PICs: interrupts from 0x20 on, only IRQ 4
    b0 20 e6 21 b0 28 e6 a1
    b0 04 e6 21 b0 02 e6 a1
    b0 01 e6 21 e6 a1
    b0 ef e6 21 b0 ff e6 a1
    66 ba f9 03 b0 01 ee        # UART: interrupt for received data
    66 ba fc 03 b0 0b ee        # OUT2 lets it out
again:
    be @ready e8 >text
    a1 @first_eax e8 >hex
    be @middle e8 >text
    a1 @first_ebx e8 >hex
end_of_line:
    be @newline e8 >text
main:
    e8 >get
    3c 64 0f 84 >dump
    3c 66 0f 84 >fill
    3c 73 0f 84 >search
    3c 6f 0f 84 >off
    3c 72 0f 84 >reset
    3c 6b 0f 84 >keyboard
    3c 74 0f 84 >fault
    3c 68 0f 84 >halt
    3c 6c 0f 84 >loop
    3c 3f 0f 84 >again
    e9 >main
dump:
    e8 >number 89 c6            # esi = address
    e8 >number 89 c1            # ecx = count
    b0 3d e8 >put
word:
    e3 ~end_dump
    51 ad e8 >hex 59 49         # lodsd
    eb ~word
end_dump:
    e9 >end_of_line
fill:
    e8 >range
    f3 ab                       # rep stosd
    b0 3d e8 >put
    e9 >end_of_line
search:
    e8 >range
    31 db
found:
    e3 ~end_search
    f2 af                       # repne scasd
    75 ~end_search
    43
    eb ~found
end_search:
    b0 3d e8 >put
    89 d8 e8 >hex
    e9 >end_of_line
range:                          # edi = from, ecx = words, eax = word
    e8 >number 89 c7
    e8 >number 29 f8 c1 e8 02
    50 e8 >number 59 c3
loop:
    eb ~loop
off:
    66 ba 04 06 66 b8 00 34 66 ef
    e9 >halt
reset:
    66 ba f9 0c b0 06 ee
    e9 >halt
keyboard:
    b0 fe e6 64
    e9 >halt
fault:
    0f 01 1d @nothing cc        # lidt of nothing; int3
halt:
    fa f4 eb ~halt
number:                         # eax = eight digits
    31 db b9 08 00 00 00
digit_in:
    e8 >get
    3c 61 72 02 2c 27 2c 30
    c1 e3 04 08 c3
    e2 ~digit_in
    89 d8 c3
hex:                            # prints eax
    b9 08 00 00 00
digit:
    c1 c0 04 50
    24 0f 3c 0a 72 02 04 27 04 30
    e8 >put
    58 e2 ~digit
    c3
text:                           # prints what esi points to
    ac 84 c0 74 ~end_text
    e8 >put
    eb ~text
end_text:
    c3
get:
    66 ba fd 03 ec a8 01        # is there a byte?
    75 ~got
    fb f4 fa                    # sti; hlt; cli
    eb ~get
got:
    66 ba f8 03 ec c3
put:
    50
busy:
    66 ba fd 03 ec a8 20
    74 ~busy
    58
    66 ba f8 03 ee c3
serial:
    50 b0 20 e6 20 58 cf        # end of interrupt; iret
ready:
    "MONITOR READY eax=" 00
middle:
    " ebx=" 00
newline:
    "\r\n" 00
first_eax:
    00000000
first_ebx:
    00000000
nothing:
    0000 00000000
gdtr:
    1700 @gdt
idtr:
    2701 @gate-0x120
gdt:
    0000000000000000
    ffff0000009bcf00
    ffff00000093cf00
gate:
    0000 0800 008e 0000
"""
MONITOR += "    00" * 1024 + "\nstack:\n"


def echo():
    """A flat 16-bit binary for BOOT_SECTOR."""
    return assemble(ECHO, BOOT_SECTOR, 2)[0]


def monitor(origin=BASE):
    """A flat 32-bit binary for `origin`."""
    return assemble(MONITOR, origin, 4)[0]


def elf(kind):
    """The monitor as ELF file of kind pvh, multiboot or multiboot2."""
    note = b""
    if kind == "multiboot":
        flags = 3
        header = struct.pack("<3I", 0x1BADB002, flags, -(0x1BADB002 + flags) & 0xFFFF_FFFF)
    elif kind == "multiboot2":
        magic, length = 0xE85250D6, 24
        header = struct.pack("<4I", magic, 0, length, -(magic + length) & 0xFFFF_FFFF) + struct.pack("<HHI", 0, 0, 8)
    else:
        header = b""
    start = 128
    code_at = start + 64
    code, labels = assemble(MONITOR, BASE + code_at, 4)
    if kind == "pvh":
        note = struct.pack("<3I4sI", 4, 4, 18, b"Xen\0", labels["start"])
    body = (header + note).ljust(code_at - start, b"\0") + code
    segments = [struct.pack("<8I", 1, 0, BASE, BASE, start + len(body), start + len(body), 7, 4096)]
    if note:
        segments.append(struct.pack("<8I", 4, start, BASE + start, BASE + start, len(note), len(note), 4, 4))
    head = b"\x7fELF\x01\x01\x01".ljust(16, b"\0") + struct.pack(
        "<2H5I6H", 2, 3, 1, labels["start"], 52, 0, 0, 52, 32, len(segments), 40, 0, 0)
    return (head + b"".join(segments)).ljust(start, b"\0") + body
