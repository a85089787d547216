import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { startStack } from '@hypercode/local-stack'
import type { Stack } from '@hypercode/local-stack'
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest'
import type { Sandbox } from '../src/index.ts'
import type { Escape, Targets } from './escapes.ts'
import { ESCAPES } from './escapes.ts'
import { runOutside, runtimeDir, temporaryFolder, workingSandbox } from './helpers.ts'

const MIB = 1024 * 1024
const isRoot = process.getuid?.() === 0

// Goal: no command reaches what is not its own.
// Method: each script does its deed without the sandbox, which shows that it works here, and then fails to do it inside.
describe('no escape', () => {
  let sandbox: Sandbox
  let stack: Stack
  beforeAll(async () => {
    sandbox = await workingSandbox()
    const dir = path.join(tmpdir(), `hc-sandbox-stack-${process.pid}`)
    stack = await startStack({ dir, runtimeDir, durable: false, ephemeral: true })
  })
  afterAll(async () => await stack?.stop())

  test.each(ESCAPES)('$name', { timeout: 30_000 }, async (escape) => {
    if (mustWorkOutside(escape)) {
      const targets = await setUp(stack)
      const outside = await runOutside(escape.argv(targets), targets.workspace)
      expect(hasEscaped(escape, outside.stdout, targets), `outside: ${outside.stdout.slice(-300)}`).toBe(true)
    }
    const targets = await setUp(stack)
    const inside = await sandbox.run({
      argv: escape.argv(targets),
      workspace: targets.workspace,
      timeoutMs: 10_000,
      memoryBytes: 256 * MIB, // so that /tmp and /dev/shm have 32
      fileBytesMax: 48 * MIB,
    })
    expect(inside.timedOut).toBe(false)
    expect(hasEscaped(escape, inside.stdout, targets), inside.stdout.slice(-300)).toBe(false)
    expect(isAlive(targets.bystander)).toBe(true)
  })
})

const mustWorkOutside = ({ needsRoot, mayBeAbsent }: Escape): boolean =>
  mayBeAbsent === undefined && (needsRoot === undefined || isRoot)

function hasEscaped({ leaves }: Escape, stdout: string, targets: Targets): boolean {
  if (leaves !== undefined) return existsSync(leaves(targets))
  return stdout.includes('ESCAPED') || stdout.includes(targets.token)
}

async function setUp(stack: Stack): Promise<Targets> {
  const token = randomBytes(16).toString('hex')
  const dir = temporaryFolder()
  const [workspace, elsewhere] = [path.join(dir, 'workspace'), path.join(dir, 'elsewhere')]
  for (const folder of [workspace, elsewhere]) mkdirSync(folder)
  writeFileSync(path.join(elsewhere, 'secret'), token)
  const unixSocket = path.join(elsewhere, 'socket')
  const abstractSocket = `\0${token}`
  process.env['HC_SANDBOX_TEST'] = token
  onTestFinished(() => void delete process.env['HC_SANDBOX_TEST'])
  await answerOn({ path: unixSocket }, token)
  await answerOn({ path: abstractSocket }, token)
  return {
    ...{ workspace, elsewhere, token, unixSocket, abstractSocket },
    bystander: startBystander(token),
    port: await answerOn({ host: '127.0.0.1', port: 0 }, token),
    redisPort: Number(new URL(stack.redisUrl).port),
    postgresPort: Number(new URL(stack.directDatabaseUrl).port),
  }
}

function startBystander(token: string): number {
  const child = spawn('/bin/sh', ['-c', 'read line', token], {
    env: { TOKEN: token },
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  if (child.pid === undefined) throw new Error('no bystander')
  return child.pid
}

async function answerOn(where: { host: string; port: number } | { path: string }, token: string): Promise<number> {
  const server = createServer((socket) => {
    socket.on('error', () => socket.destroy())
    socket.end(token)
  })
  onTestFinished(() => void server.close())
  await new Promise<void>((resolve) => server.listen(where, resolve))
  const address = server.address() as AddressInfo | string
  return typeof address === 'string' ? 0 : address.port
}

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false // ESRCH is the answer
  }
}
