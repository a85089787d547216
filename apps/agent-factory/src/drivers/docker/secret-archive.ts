const BLOCK = 512
const READ_BY_OWNER = 0o400

/** A tar archive (ustar) of small files that one user can read. `at` is the time that they carry. */
export function secretArchive(secrets: Readonly<Record<string, string>>, uid: number, at: Date): Buffer {
  const files = Object.entries(secrets).flatMap(([name, value]) => {
    const content = Buffer.from(value)
    return [header(name, content.length, uid, at), content, Buffer.alloc(padding(content.length))]
  })
  return Buffer.concat([...files, Buffer.alloc(2 * BLOCK)])
}

function header(name: string, size: number, uid: number, at: Date): Buffer {
  if (Buffer.byteLength(name) > 100) throw new RangeError(`${name} is too long for a file in an archive`)
  const block = Buffer.alloc(BLOCK)
  const octal = (value: number, width: number): string => `${value.toString(8).padStart(width - 1, '0')}\0`
  block.write(name, 0)
  block.write(octal(READ_BY_OWNER, 8), 100)
  block.write(octal(uid, 8), 108)
  block.write(octal(uid, 8), 116)
  block.write(octal(size, 12), 124)
  block.write(octal(Math.floor(at.getTime() / 1000), 12), 136)
  block.write(' '.repeat(8), 148) // the sum is taken with blanks in its own place
  block.write('0', 156)
  block.write('ustar\u000000', 257)
  const sum = block.reduce((total, byte) => total + byte, 0)
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148)
  return block
}

const padding = (size: number): number => (BLOCK - (size % BLOCK)) % BLOCK
