/**
 * Runs before every test file. When vitest itself is killed, its test processes would go on with their tests, against servers that are
 * gone, and keep what they started alive.
 */
const LISTENS = Symbol.for('hypercode.endWithVitest')
const state = process as typeof process & { [LISTENS]?: true }

// A process that runs several files listens once.
if (state[LISTENS] === undefined) {
  state[LISTENS] = true
  process.once('disconnect', () => process.exit(1))
}
