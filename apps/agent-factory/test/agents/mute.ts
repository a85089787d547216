/** A process that never registers: it stays, or with `--crash` says a word and ends. */
if (process.argv.includes('--crash')) {
  process.stdout.write('about to crash\n')
  process.exitCode = 7
} else setInterval(() => undefined, 1000)
