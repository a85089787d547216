import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, existsSync, mkdirSync, readFileSync, readdirSync, statSync, writeFileSync } from 'node:fs'
import path from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ProcessIdentity } from '@hypercode/local-stack'
import { isAlive, signalProcess, startStack } from '@hypercode/local-stack'
import { describe, expect, onTestFailed, onTestFinished, test } from 'vitest'
import { serverFolders } from '../src/checkout.ts'
import { parseReport } from '../src/report.ts'
import { temporaryFolder, until } from './temporary-folder.ts'

const LONG = 240_000
const SERVICES = ['agent-factory', 'agent-registry', 'crew-orchestrator', 'gateway', 'turing-gym']
const AGENTS = 2
const SERVERS = ['pgbouncer', 'postgres', 'redis']

// Goal: what a person gets from `npm start`, on the built services, with real servers and a real audit.
// Method: the commands run as processes with a state folder of their own, as the bootstrap would run them.
describe('npm start', () => {
  test('--once audits a repository, writes the report, exits 0 and leaves nothing running', {
    timeout: LONG,
  }, async () => {
    const home = stateFolder()
    const json = path.join(home, 'out.json')
    const run = start(home, [faultyRepository(home), '--once', '--json', json])
    const processes = await whileUp(run, home)
    expect(await run.ended, run.text()).toBe(0)
    expect(processes.filter(isAlive)).toEqual([])

    const { findings, score } = parseReport(readFileSync(json, 'utf8'))
    expect(findings).toContainEqual(
      expect.objectContaining({ kind: 'secrets', priority: 'P0', file: 'settings.py', line: 5 }),
    )
    expect(findings).toContainEqual(expect.objectContaining({ kind: 'error-handling', file: 'work.py', line: 5 }))
    expect(run.stdout()).toContain(`${score} / 100`)
    expect(run.stdout()).toContain('settings.py:5')
    expect(run.stdout()).not.toContain('\u001B[?25l')
  })

  test('exits 1 below --fail-under, having shown the report', { timeout: LONG }, async () => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home), '--fail-under', '100'])
    expect(await run.ended, run.text()).toBe(1)
    expect(run.stderr()).toMatch(/^the score of \d+ is below 100$/m)
    expect(run.stdout()).toContain('settings.py:5')
  })

  test('stays up, gives tokens, tells where it is without a secret, and stops cleanly', { timeout: LONG }, async () => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home)])
    await shows(run, 'Press Ctrl-C')
    const processes = processesOf(home)
    const agents = agentsOf(home)
    expect(agents.filter(isAlive)).toHaveLength(AGENTS)
    expect(Object.keys(processes).toSorted()).toEqual([...SERVICES, ...SERVERS].toSorted())

    const stateText = readFileSync(path.join(home, 'state.json'), 'utf8')
    const state = JSON.parse(stateText) as { urls: Record<string, string>; pids: Record<string, number> }
    expect(Object.keys(state.urls)).toEqual(['gateway', 'registry', 'orchestrator', 'factory', 'gym'])
    expect(state.pids).toMatchObject({
      starter: run.pid,
      gateway: processes['gateway']?.pid,
      postgres: processes['postgres']?.pid,
    })
    const credentials = readFileSync(path.join(home, 'credentials.json'), 'utf8')
    const secrets = [...credentials.matchAll(/"clientSecret": "([^"]+)"/g)].map(([, secret = '']) => secret)
    expect(secrets).toHaveLength(1)
    expect(secrets.filter((secret) => stateText.includes(secret))).toEqual([])
    expect(statSync(path.join(home, 'credentials.json')).mode & 0o777).toBe(0o600)

    const token = command('token.ts', home, ['--scope', 'agent:read'])
    expect(await token.ended, token.text()).toBe(0)
    expect(token.stdout()).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)
    const answer = await fetch(`${state.urls['gateway']}/v1/agents`, {
      headers: { authorization: `Bearer ${token.stdout().trim()}` },
    })
    expect(answer.status).toBe(200)
    const refused = command('token.ts', home, ['--scope', 'no:such-scope'])
    expect([await refused.ended, refused.stdout()]).toEqual([2, ''])

    const second = start(home, [faultyRepository(home)])
    expect(await second.ended).toBe(1)
    expect(second.stderr()).toContain(`in use by process ${run.pid}`)

    run.kill('SIGTERM')
    expect(await run.ended, run.text()).toBe(0)
    expect([...Object.values(processes), ...agents].filter(isAlive)).toEqual([])
    expect(existsSync(path.join(home, 'state.json'))).toBe(false)
    const late = command('token.ts', home)
    expect([await late.ended, late.stdout()]).toEqual([2, ''])
    expect(late.stderr()).toBe('HyperCode is not up here: run npm start first\n')
  })

  test('after a SIGKILL of the starter uses the servers again and replaces the services', {
    timeout: LONG,
  }, async () => {
    const home = stateFolder()
    const target = faultyRepository(home)
    const first = start(home, [target])
    await shows(first, 'Press Ctrl-C')
    const before = processesOf(home)
    const agentsBefore = agentsOf(home)
    first.kill('SIGKILL')
    await first.ended
    expect(Object.values(before).map(isAlive)).toEqual(Object.values(before).map(() => true))

    const second = start(home, [target, '--once'])
    await shows(second, 'ready: ')
    const during = processesOf(home)
    for (const name of SERVERS) expect([name, during[name]]).toEqual([name, before[name]])
    expect(await second.ended, second.text()).toBe(0)
    const all = [...Object.values(before), ...Object.values(during), ...agentsBefore]
    expect(all.filter(isAlive)).toEqual([])
  })

  test('keeps a service up that is killed', { timeout: LONG }, async () => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home)])
    await shows(run, 'Press Ctrl-C')
    const { gateway, redis } = processesOf(home)
    if (gateway === undefined || redis === undefined) throw new Error('gateway and redis must run')
    signalProcess(gateway, 'SIGKILL')
    signalProcess(redis, 'SIGKILL')
    await until(
      () =>
        ['gateway', 'redis'].every((name) => {
          const now = processesOf(home)[name]
          return now !== undefined && now.pid !== gateway.pid && now.pid !== redis.pid && isAlive(now)
        }),
      20_000,
    )
    expect(run.stdout()).toMatch(/gateway ended \(SIGKILL\) and is started again/)
    expect(run.stdout()).toMatch(/redis ended by itself and is started again/)
    run.kill('SIGINT')
    expect(await run.ended, run.text()).toBe(0)
  })

  test('uses the servers that the environment names, starts none of its own and leaves them running', {
    timeout: LONG,
  }, async () => {
    const home = stateFolder()
    const { runtimeDir } = serverFolders()
    const theirs = await startStack({ dir: path.join(home, 'theirs'), runtimeDir, durable: false, ephemeral: true })
    onTestFinished(async () => await theirs.stop())
    const run = start(home, [faultyRepository(home), '--once'], {
      DATABASE_URL: theirs.databaseUrl,
      DATABASE_DIRECT_URL: theirs.directDatabaseUrl,
      REDIS_URL: theirs.redisUrl,
    })
    expect(await run.ended, run.text()).toBe(0)
    expect(run.stdout()).not.toContain('postgres is up')
    expect(existsSync(path.join(home, 'stack'))).toBe(false)
    expect(Object.values(theirs.servers).map(({ alive }) => alive)).toEqual([true, true, true])
  })

  test('interrupted while it starts stops what it has started', { timeout: LONG }, async () => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home)])
    await shows(run, 'redis is up')
    run.kill('SIGINT')
    expect(await run.ended, run.text()).toBe(130)
    expect(Object.values(processesOf(home)).filter(isAlive)).toEqual([])
  })

  test('whose output nobody reads any more stops, and leaves nothing running', { timeout: LONG }, async () => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home)])
    await shows(run, 'redis is up')
    run.closeOutput()
    expect(await run.ended).toBe(141)
    expect(Object.values(processesOf(home)).filter(isAlive)).toEqual([])
  })

  test.each([
    [{ JWT_SECRET: 'changethis' }, 'JWT_SECRET'],
    [{ OPENAI_API_KEY: 'sk-placeholder-key' }, 'OPENAI_API_KEY'],
  ])('refuses %j with exit code 78 before anything is started', async (env, variable) => {
    const home = stateFolder()
    const run = start(home, [faultyRepository(home), '--once'], env)
    expect(await run.ended).toBe(78)
    expect(run.stderr()).toContain(variable)
    expect(run.stderr()).not.toContain(Object.values(env)[0])
    expect(existsSync(path.join(home, 'stack'))).toBe(false)
  })

  test('refuses a path that is not there with exit code 2 and one line', async () => {
    const home = stateFolder()
    const run = start(home, [path.join(home, 'nowhere'), '--once'])
    expect(await run.ended).toBe(2)
    expect(run.stderr().trim().split('\n')).toEqual([expect.stringContaining('there is no folder')])
  })
})

interface Run {
  readonly pid: number
  readonly stdout: () => string
  readonly stderr: () => string
  /** Both, for the message of a test that fails. */
  readonly text: () => string
  readonly ended: Promise<number | null>
  kill(signal: NodeJS.Signals): void
  /** As `| head` does when it has seen enough. */
  closeOutput(): void
}

const start = (home: string, args: readonly string[], env: Record<string, string> = {}): Run =>
  command('start.ts', home, args, env)

function command(program: string, home: string, args: readonly string[] = [], env: Record<string, string> = {}): Run {
  const bin = fileURLToPath(new URL('../../../node_modules/.bin', import.meta.url))
  const file = fileURLToPath(new URL(`../src/${program}`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', file, ...args], {
    env: { ...process.env, PATH: `${bin}:${process.env['PATH']}`, HYPERCODE_HOME: home, LOG_LEVEL: 'info', ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const texts = { stdout: '', stderr: '' }
  child.stdout.on('data', (chunk: Buffer) => (texts.stdout += chunk.toString()))
  child.stderr.on('data', (chunk: Buffer) => (texts.stderr += chunk.toString()))
  onTestFailed(
    () => void process.stderr.write(`${program} ${args.join(' ')} printed:\n${texts.stdout}${texts.stderr}\n`),
  )
  const ended = once(child, 'close').then(([code]: unknown[]) => (typeof code === 'number' ? code : null))
  return {
    pid: child.pid ?? 0,
    stdout: () => texts.stdout,
    stderr: () => texts.stderr,
    text: () => texts.stdout + texts.stderr,
    ended,
    kill: (signal) => void child.kill(signal),
    closeOutput: () => {
      child.stdout.destroy()
      child.stderr.destroy()
    },
  }
}

/** Waits until a command has printed something; a command that ends without it has failed. */
async function shows(run: Run, text: string): Promise<void> {
  let code: number | null | undefined
  const ended = run.ended.then((end) => (code = end))
  while (!run.stdout().includes(text)) {
    if (code !== undefined) throw new Error(`it ended with ${code} before it showed "${text}":\n${run.text()}`)
    await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, 25))])
  }
}

/** A state folder; whatever a failed test leaves running there is ended with it. */
function stateFolder(): string {
  const home = temporaryFolder()
  chmodSync(home, 0o755)
  onTestFinished(() => {
    for (const identity of [...Object.values(processesOf(home)), ...agentsOf(home)]) signalProcess(identity, 'SIGKILL')
  })
  return home
}

/** The agents that the factory has started, dead or alive, as long as their launches are not forgotten. */
function agentsOf(home: string): ProcessIdentity[] {
  const launches = path.join(home, 'factory/launches')
  if (!existsSync(launches)) return []
  return readdirSync(launches)
    .map((launch) => path.join(launches, launch, 'agent.json'))
    .filter((file) => existsSync(file))
    .map((file) => JSON.parse(readFileSync(file, 'utf8')) as ProcessIdentity)
}

/** The services and servers that the files in a state folder name, dead or alive. */
function processesOf(home: string): Record<string, ProcessIdentity> {
  const read = (file: string): Record<string, unknown> => {
    const full = path.join(home, file)
    return existsSync(full) ? (JSON.parse(readFileSync(full, 'utf8')) as Record<string, unknown>) : {}
  }
  const services = Object.entries(read('platform/processes.json')) as [string, ProcessIdentity][]
  const servers = Object.entries(read('stack/servers.json')) as [string, { process?: ProcessIdentity }][]
  const running = servers.flatMap(([name, { process: identity }]) =>
    identity === undefined ? [] : [[name, identity] as const],
  )
  return Object.fromEntries([...services, ...running])
}

/** All that was seen to run until the command ended. */
async function whileUp(run: Run, home: string): Promise<ProcessIdentity[]> {
  const seen = new Map<number, ProcessIdentity>()
  let isOver = false
  const over = run.ended.then(() => (isOver = true))
  while (!isOver) {
    for (const identity of [...Object.values(processesOf(home)), ...agentsOf(home)]) seen.set(identity.pid, identity)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  await over
  return [...seen.values()]
}

/** A small repository with faults that the audit must find. */
function faultyRepository(home: string): string {
  const dir = path.join(home, 'repository')
  mkdirSync(dir, { recursive: true })
  const settings = [
    'from pydantic_settings import BaseSettings',
    '',
    '',
    'class Settings(BaseSettings):',
    '    JWT_SECRET: str = "changethis"',
    '',
  ]
  const work = [
    'def work(items):',
    '    for item in items:',
    '        try:',
    '            item.run()',
    '        except Exception:',
    '            pass',
    '',
  ]
  writeFileSync(path.join(dir, 'settings.py'), settings.join('\n'))
  writeFileSync(path.join(dir, 'work.py'), work.join('\n'))
  return dir
}
