/**
 * Runs before every test file. When vitest itself is killed, its test processes would go on with their tests, against servers that are
 * gone, and keep what they started alive.
 */
process.once('disconnect', () => process.exit(1))
