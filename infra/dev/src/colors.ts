import picocolors from 'picocolors'

/** Colours for a terminal alone: left to itself the library also paints what a CI keeps, or what is read by a program. */
export const pc = picocolors.createColors(
  process.stdout.isTTY === true && process.stderr.isTTY === true && !process.env['NO_COLOR'],
)
