# The smallest guest that a test can believe: `connectors/simulators/libvirt_guest.py` holds its bytes.
#
# QEMU loads it as a multiboot kernel (32 bits, flat memory). It says so on the first serial port, then
# sleeps; the timer wakes it 18 times a second to see whether the ACPI power button was pressed, and
# then it powers the machine off. 0x600 is where SeaBIOS puts the ACPI registers of the machine q35.
#
#   as --32 libvirt_guest.s -o guest.o && objcopy -O binary guest.o guest.bin
.code32
.set base, 0x100000
.set idt, 0x110000
header:
  .long 0x1badb002, 0x00010000, 0xe4514ffe      # magic, "addresses follow", and what makes the sum 0
  .long base, base, 0, 0, base + entry - header # header at, load at, load all, no bss, start
entry:
  mov $base + message - header, %esi
  mov $0x3f8, %edx                              # the first serial port
say:
  lodsb
  test %al, %al
  jz listen
  out %al, (%dx)
  jmp say
listen:
  mov $0x602, %edx                              # PM1_EN: let the power button be seen
  mov $0x100, %eax
  out %ax, (%dx)
  mov $base + tick - header, %eax               # an interrupt gate for vector 8, the timer
  mov %ax, idt + 0x40
  mov %cs, idt + 0x42
  movw $0x8e00, idt + 0x44
  shr $16, %eax
  mov %ax, idt + 0x46
  lidt base + table - header
  mov $0x118000, %esp
  mov $0xfe, %al                                # only the timer may interrupt
  out %al, $0x21
  mov $0xff, %al
  out %al, $0xa1
idle:
  sti
  hlt
  cli
  mov $0x600, %edx                              # PM1_STS: was the button pressed?
  in (%dx), %ax
  test $1, %ah
  jz idle
  mov $0x604, %edx                              # PM1_CNT: sleep type 0 is QEMU's power off
  in (%dx), %ax
  and $0xc3ff, %ax
  or $0x2000, %ax
  out %ax, (%dx)
  jmp idle
tick:
  push %eax
  mov $0x20, %al                                # the interrupt is dealt with
  out %al, $0x20
  pop %eax
  iret
table:
  .word 0x7ff
  .long idt
message:
  .asciz "tierwise-guest-up\r\n"
