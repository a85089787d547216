import { SOCKET_FAMILIES, SYSTEM_CALLS } from './seccomp-rules.ts'

/**
 * The filter of system calls as the kernel takes it: a program of classic BPF, eight bytes an instruction.
 * Undefined for a machine whose system calls we do not know.
 */
export function seccompFilter(arch: NodeJS.Architecture): Buffer | undefined {
  const calls = SYSTEM_CALLS[arch]
  if (calls === undefined) return undefined
  const isRefused = (numbers: readonly number[], answer: number): Instruction[] =>
    numbers.flatMap((number) => [jumpUnless('equal', number, 1), give(answer)])
  return assemble([
    load(ARCHITECTURE),
    jumpUnless('different', calls.audit, 1),
    give(KILL_PROCESS), // a 32-bit call has other numbers
    load(CALL_NUMBER),
    jumpUnless('atLeast', X32_CALLS, 1),
    give(ERRNO | ENOSYS), // x86's third set of numbers
    ...isRefused(calls.absent, ERRNO | ENOSYS),
    ...isRefused(calls.refused, ERRNO | EPERM),
    jumpUnless('equal', calls.socket, 2 + 2 * SOCKET_FAMILIES.length),
    load(FIRST_ARGUMENT),
    ...isRefused(SOCKET_FAMILIES, ALLOW),
    give(ERRNO | EAFNOSUPPORT),
    give(ALLOW),
  ])
}

interface Instruction {
  readonly code: number
  readonly jumpTrue: number
  readonly jumpFalse: number
  readonly value: number
}

// Offsets into struct seccomp_data; the argument is a little-endian 64-bit number of which the kernel reads 32 bits.
const CALL_NUMBER = 0
const ARCHITECTURE = 4
const FIRST_ARGUMENT = 16

const ALLOW = 0x7fff0000
const ERRNO = 0x00050000
const KILL_PROCESS = 0x80000000
const EPERM = 1
const ENOSYS = 38
const EAFNOSUPPORT = 97
const X32_CALLS = 0x40000000

const load = (offset: number): Instruction => ({ code: 0x20, jumpTrue: 0, jumpFalse: 0, value: offset })

const give = (answer: number): Instruction => ({ code: 0x06, jumpTrue: 0, jumpFalse: 0, value: answer })

/** Goes on with the next instruction when the comparison holds, and otherwise passes over `skip` of them. */
function jumpUnless(comparison: 'equal' | 'different' | 'atLeast', value: number, skip: number): Instruction {
  if (comparison === 'different') return { code: 0x15, jumpTrue: skip, jumpFalse: 0, value }
  return { code: comparison === 'equal' ? 0x15 : 0x35, jumpTrue: 0, jumpFalse: skip, value }
}

function assemble(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * 8)
  for (const [index, { code, jumpTrue, jumpFalse, value }] of program.entries()) {
    bytes.writeUInt16LE(code, index * 8)
    bytes.writeUInt8(jumpTrue, index * 8 + 2)
    bytes.writeUInt8(jumpFalse, index * 8 + 3)
    bytes.writeUInt32LE(value >>> 0, index * 8 + 4)
  }
  return bytes
}
