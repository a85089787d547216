/** What the tests let a driver run: `agent.ts BEHAVIOUR [ARGUMENT…]`. Says `started` first, so that a test knows when. */
import { spawn } from 'node:child_process'
import { mkdtempSync, readFileSync } from 'node:fs'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'

const [behaviour = 'wait', ...rest] = process.argv.slice(2)

const behaviours: Record<string, () => unknown> = {
  wait: () => forever(),
  exit: () => process.exit(Number(rest[0])),
  stubborn: () => {
    process.on('SIGTERM', () => say({ msg: 'no' }))
    forever()
  },
  // Ends at SIGTERM, but leaves one behind that does not: in a session of its own, and with our output in its hands.
  family: () => {
    const child = spawn(process.execPath, [import.meta.filename, 'stubborn'], { detached: true, stdio: 'inherit' })
    say({ msg: 'child', pid: child.pid })
    forever()
  },
  say: () => {
    for (const text of rest) process.stdout.write(`${text}\n`)
    forever()
  },
  scream: () => process.stderr.write('help\n', () => forever()),
  count: async () => {
    for (let line = 0; ; line++) {
      say({ msg: 'line', line })
      await sleep(5)
    }
  },
  tell: () => {
    const status = unlessFails(() => readFileSync('/proc/self/status', 'utf8')) ?? ''
    say({
      msg: 'told',
      env: process.env,
      argv: process.argv.slice(2),
      cwd: process.cwd(),
      uid: process.getuid?.(),
      writable: ['/', '/agent', '/usr', '/etc', '/run', '/tmp'].filter(isWritable),
      capabilities: /^CapBnd:\s+(\S+)$/m.exec(status)?.[1],
      noNewPrivileges: /^NoNewPrivs:\s+(\S+)$/m.exec(status)?.[1],
    })
    forever()
  },
  secret: () => {
    say({ msg: 'secret', value: readFileSync(process.env[`${rest[0]}_FILE`] ?? '', 'utf8') })
    forever()
  },
  // Outside of V8's heap: only the machine can say no.
  buffers: async () => {
    const held: Buffer[] = []
    for (;;) {
      held.push(Buffer.alloc(8 * 1024 * 1024, 1))
      await sleep(5)
    }
  },
  heap: () => {
    const held: number[][] = []
    for (;;) held.push(Array.from({ length: 10_000 }, () => Math.random()))
  },
  spin: () => {
    const started = process.hrtime.bigint()
    for (;;) if (process.hrtime.bigint() - started > 600_000_000_000n) break
  },
}

say({ msg: 'started', behaviour })
await behaviours[behaviour]?.()

function isWritable(folder: string): boolean {
  return unlessFails(() => mkdtempSync(path.join(folder, 'x-'))) !== undefined
}

function unlessFails<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch {
    return undefined // what went wrong does not matter to those who ask
  }
}

function say(line: Record<string, unknown>): void {
  process.stdout.write(`${JSON.stringify(line)}\n`)
}

function forever(): void {
  setInterval(() => undefined, 1000)
}
