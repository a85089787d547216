import { existsSync, readFileSync, statSync } from 'node:fs'
import path from 'node:path'
import { isAlive, signalProcess, startStack } from '@hypercode/local-stack'
import { describe, expect, onTestFinished, test } from 'vitest'
import { serverFolders } from '../src/checkout.ts'
import { parseReport } from '../src/report.ts'
import {
  agentsOf,
  command,
  faultyRepository,
  processesOf,
  shows,
  start,
  stateFolder,
  whileUp,
} from './start-command.ts'
import { until } from './temporary-folder.ts'

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
    await until(() => {
      const { pids } = JSON.parse(readFileSync(path.join(home, 'state.json'), 'utf8')) as {
        pids: Record<string, number>
      }
      return ['gateway', 'redis'].every((name) => pids[name] === processesOf(home)[name]?.pid)
    }, 20_000)
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
