import { readFileSync, readdirSync } from 'node:fs'
import { codeOf } from './errors.ts'

const CLOSE_ON_EXEC = 0o2000000

/**
 * The highest file descriptor that whoever started us left open for all programs that we start; 2 when there is none. Node
 * opens its own so that they end here, so what there is stays the same for the life of this process.
 */
export function highestInherited(): number {
  const inherited = readdirSync('/proc/self/fdinfo').map(Number).filter(isInherited)
  return Math.max(2, ...inherited)
}

function isInherited(descriptor: number): boolean {
  try {
    const [, flags = '0'] = /^flags:\s+(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'utf8')) ?? []
    return (Number.parseInt(flags, 8) & CLOSE_ON_EXEC) === 0
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return false // the one that read the folder
    throw error
  }
}
