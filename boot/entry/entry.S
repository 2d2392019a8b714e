# Entries of the hypervisor image, from reset-like states to the Rust code in long mode.
#
# Included with global_asm! (AT&T syntax) by the hypervisor binary. Everything in .boot.* is linked
# at its physical address, so that 32-bit code can name it; the rest of the image is linked high.
#
# Boot CPU:   pvh_start32 / multiboot2_start32 -> boot_enter_long -> boot_main(magic, info)
# Other CPUs: trampoline (copied below 1 MiB) -> ap_start32 -> boot_enter_long -> ap_main(argument)

# ---------------------------------------------------------------------------------------------
# The PVH note (Xen ELF note 18): the physical address of the 32-bit entry.

    .section .note.pvh, "a", @note
    .balign 4
    .long 4
    .long 8
    .long 18
    .asciz "Xen"
    .quad pvh_start32

# ---------------------------------------------------------------------------------------------
# The Multiboot2 header (Multiboot2 specification 3.1). Architecture 0 is 32-bit protected mode;
# GRUB for UEFI enters there too, after ExitBootServices.

    .section .boot.header, "a", @progbits
    .balign 8
multiboot2_header:
    .long 0xe85250d6
    .long 0
    .long multiboot2_header_end - multiboot2_header
    .long -(0xe85250d6 + (multiboot2_header_end - multiboot2_header))
    # Information request: command line, modules, memory map, framebuffer, ACPI old and new.
    .balign 8
    .word 1, 0
    .long 8 + 6 * 4
    .long 1, 3, 6, 8, 14, 15
    # Entry address for the i386 machine state.
    .balign 8
    .word 3, 0
    .long 12
    .long multiboot2_start32
    # Framebuffer, optional: any size, 32 bits a pixel.
    .balign 8
    .word 5, 1
    .long 20
    .long 0, 0, 32
    # Modules on page boundaries.
    .balign 8
    .word 6, 0
    .long 8
    .balign 8
    .word 0, 0
    .long 8
multiboot2_header_end:

# ---------------------------------------------------------------------------------------------
# 32-bit entries. Paging is off, segments are flat, interrupts are off.

    .section .boot.text, "ax", @progbits
    .code32
    .global pvh_start32
pvh_start32:
    # The magic of the start_info record stands for the protocol.
    movl $0x336ec578, %edi
    movl %ebx, %esi
    jmp boot_start32

multiboot2_start32:
    movl %eax, %edi
    movl %ebx, %esi

boot_start32:
    cli
    cld
    movl $boot_stack32_top, %esp
    # CPUID destroys EBX only, EDI and ESI stay.
    movl $0x80000000, %eax
    cpuid
    cmpl $0x80000001, %eax
    jb boot_no_long_mode
    movl $0x80000001, %eax
    cpuid
    btl $29, %edx
    jnc boot_no_long_mode
    movl %edx, %ebp

    # The identity map: 4 GiB in 2 MiB pages. The loader has zeroed the tables.
    movl $(early_pdpt_low + 3), early_pml4
    movl $(early_pdpt_image + 3), early_pml4 + 511 * 8
    movl $(early_pd_image + 3), early_pdpt_image + 510 * 8
    movl $(early_pd_low + 3), %eax
    xorl %ecx, %ecx
1:  movl %eax, early_pdpt_low(, %ecx, 8)
    addl $4096, %eax
    incl %ecx
    cmpl $4, %ecx
    jne 1b
    movl $0x83, %eax
    xorl %ecx, %ecx
2:  movl %eax, early_pd_low(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $2048, %ecx
    jne 2b
    # The image's high mapping: 16 MiB from physical 0.
    movl $0x83, %eax
    xorl %ecx, %ecx
3:  movl %eax, early_pd_image(, %ecx, 8)
    addl $0x200000, %eax
    incl %ecx
    cmpl $8, %ecx
    jne 3b
    # With 1 GiB pages (bit 26) the identity map goes on to 512 GiB.
    movl $4, early_identity_gib
    btl $26, %ebp
    jnc 5f
    movl $512, early_identity_gib
    movl $4, %ecx
4:  movl %ecx, %eax
    shll $30, %eax
    orl $0x83, %eax
    movl %eax, early_pdpt_low(, %ecx, 8)
    movl %ecx, %eax
    shrl $2, %eax
    movl %eax, early_pdpt_low + 4(, %ecx, 8)
    incl %ecx
    cmpl $512, %ecx
    jne 4b
5:  movl $boot_start64, %ebp
    jmp boot_enter_long

# Switches to long mode on the early tables and jumps to EBP. Destroys EAX, EBX, ECX, EDX.
boot_enter_long:
    lgdt boot_gdt_pointer
    movl %cr4, %eax
    orl $0x20, %eax
    movl %eax, %cr4
    movl $early_pml4, %eax
    movl %eax, %cr3
    # EFER: LME, and NXE where the CPU has it.
    movl $0x80000001, %eax
    cpuid
    movl %edx, %ebx
    movl $0xc0000080, %ecx
    rdmsr
    orl $0x100, %eax
    btl $20, %ebx
    jnc 1f
    orl $0x800, %eax
1:  wrmsr
    # CR0: paging, write protection, protected mode; caches on (CD and NW clear).
    movl %cr0, %eax
    andl $0x9fffffff, %eax
    orl $0x80010001, %eax
    movl %eax, %cr0
    ljmp $0x08, $boot_long

# No long mode: say so on COM1, then end QEMU with a failure code where its debug exit is there.
boot_no_long_mode:
    movl $boot_no_long_mode_text, %ebx
1:  movb (%ebx), %al
    testb %al, %al
    jz 2f
    movw $0x3f8, %dx
    outb %al, %dx
    incl %ebx
    jmp 1b
2:  movw $0xf4, %dx
    movb $0x11, %al
    outb %al, %dx
3:  cli
    hlt
    jmp 3b

    .code64
boot_long:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    xorl %eax, %eax
    movw %ax, %fs
    movw %ax, %gs
    movl %ebp, %ebp
    jmp *%rbp

boot_start64:
    movabsq $boot_stack_top, %rsp
    movl %edi, %edi
    movl %esi, %esi
    xorl %ebp, %ebp
    movabsq $boot_main, %rax
    call *%rax
    ud2

# Further CPUs arrive here from the trampoline, in 32-bit protected mode with the boot GDT.
    .code32
    .global ap_start32
ap_start32:
    movw $0x10, %ax
    movw %ax, %ds
    movw %ax, %es
    movw %ax, %ss
    movl $ap_start64, %ebp
    jmp boot_enter_long

    .code64
ap_start64:
    movabsq $ap_mailbox, %rbx
    # The stack word is a ticket for one CPU: a late one finds 0 and stays out.
    xorl %eax, %eax
    xchgq %rax, 8(%rbx)
    testq %rax, %rax
    jz 1f
    movq (%rbx), %rcx
    movq 16(%rbx), %rdi
    movabsq $ap_high, %rdx
    jmp *%rdx
1:  cli
    hlt
    jmp 1b

    .section .boot.data, "aw", @progbits
boot_no_long_mode_text:
    .asciz "bulkhead: cannot run: this CPU has no 64-bit mode\r\n"
    .balign 8
    .global boot_gdt
boot_gdt:
    .quad 0
    .quad 0x00af9b000000ffff
    .quad 0x00cf93000000ffff
    .quad 0x00cf9b000000ffff
boot_gdt_end:
    .balign 8
    .word 0, 0, 0
boot_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
    .balign 8
early_identity_gib:
    .long 0

    .section .boot.bss, "aw", @nobits
    .balign 4096
early_pml4:
    .skip 4096
early_pdpt_low:
    .skip 4096
early_pdpt_image:
    .skip 4096
early_pd_image:
    .skip 4096
early_pd_low:
    .skip 4 * 4096
    .skip 256
boot_stack32_top:

# ---------------------------------------------------------------------------------------------
# Linked high from here on.

    .section .text.ap_high, "ax", @progbits
    .code64
# RAX: stack top, RCX: the final page tables, RDI: argument. This address is mapped in both.
ap_high:
    movq %rcx, %cr3
    movq %rax, %rsp
    xorl %ebp, %ebp
    call ap_main
    ud2

# Real-mode start of a further CPU. Copied to a page below 1 MiB; needs no patching, because the
# 32-bit part lies at a fixed physical address.
    .section .rodata.trampoline, "a", @progbits
    .balign 16
    .global trampoline_start
trampoline_start:
    .code16
    cli
    cld
    movw %cs, %ax
    movw %ax, %ds
    lgdtl trampoline_gdt_pointer - trampoline_start
    movl %cr0, %eax
    orl $1, %eax
    movl %eax, %cr0
    ljmpl $0x18, $ap_start32
    .balign 8
trampoline_gdt_pointer:
    .word boot_gdt_end - boot_gdt - 1
    .long boot_gdt
    .global trampoline_end
trampoline_end:
    .code64

# Physical addresses in the low part, for the Rust code, which cannot reach so far down.
    .section .rodata.boot_layout, "a", @progbits
    .balign 8
    .global boot_layout
boot_layout:
    .quad early_pml4
    .quad early_identity_gib

    .section .data.ap_mailbox, "aw", @progbits
    .balign 64
    .global ap_mailbox
ap_mailbox:
    .quad 0, 0, 0

    # Generous: the first stage keeps the copied records of loader and firmware on it.
    .section .bss.boot_stack, "aw", @nobits
    .balign 4096
    .global boot_stack
boot_stack:
    .skip 256 * 1024
    .global boot_stack_top
boot_stack_top:
