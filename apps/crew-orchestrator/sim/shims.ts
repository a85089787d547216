/** What the modules under test import instead of the parts of Node that know real time and real chance. */

/** `node:timers/promises` over the timers of the moment. */
export const setTimeout = async (ms: number): Promise<void> =>
  new Promise((resolve) => {
    globalThis.setTimeout(resolve, ms)
  })

/** A UUIDv7 of the clock and the chance of the moment. */
export function v7(): string {
  const time = Math.floor(Date.now()).toString(16).padStart(12, '0')
  const tail = `${hex(3)}-${'89ab'[Math.floor(Math.random() * 4)]}${hex(3)}-${hex(12)}`
  return `${time.slice(0, 8)}-${time.slice(8)}-7${tail}`
}

const hex = (digits: number): string =>
  Math.floor(Math.random() * 16 ** digits)
    .toString(16)
    .padStart(digits, '0')
