import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { promisify } from 'node:util'
import { ROUTES } from '@hypercode/contracts'
import type { Mission } from '@hypercode/contracts'
import { spawnService, waitFor } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

const ROOT = path.resolve(import.meta.dirname, '../../..')
const readme = readFileSync(path.join(ROOT, 'README.md'), 'utf8')
const run = promisify(execFile)

let scenario: Scenario
const undo: (() => Promise<unknown> | void)[] = []
beforeAll(async () => {
  scenario = await startScenario()
})
afterAll(async () => {
  for (const step of undo.reverse()) await step()
  await scenario.stop()
})

/** The first fenced block of a language below a heading. */
function blockOf(heading: string, language: string): string {
  const section = readme.slice(readme.indexOf(`## ${heading}\n`))
  const block = new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``).exec(section)?.[1]
  expect(block, heading).toBeDefined()
  return block as string
}

async function runAgent(entry: string, instance: string): Promise<void> {
  const key = await scenario.agentKey()
  const env = {
    HYPERCODE_URL: scenario.url,
    HYPERCODE_CLIENT_ID: key.clientId,
    HYPERCODE_CLIENT_SECRET: key.clientSecret,
    HYPERCODE_INSTANCE: instance,
  }
  const agent = await spawnService({ entry, portVariable: 'AGENT_PORT', env })
  undo.push(async () => agent.stop())
}

// Goal: the ten-line agent of the README runs as it stands there.
test('the agent of the README runs and greets', async () => {
  const code = blockOf('An agent', 'ts')
  expect(code.trim().split('\n').length).toBeLessThanOrEqual(12)
  // Beside the other agents, where its imports lead somewhere.
  const file = path.join(ROOT, 'packages/e2e/agents/.readme-agent.ts')
  writeFileSync(file, code)
  undo.push(() => rmSync(file, { force: true }))
  await runAgent('packages/e2e/agents/.readme-agent.ts', 'readme')
  const manifest = {
    apiVersion: 'hypercode/v1',
    kind: 'Crew',
    metadata: { name: 'greeting' },
    spec: {
      members: [{ id: 'greeter', skill: 'greet' }],
      tasks: [{ id: 'greet', member: 'greeter', input: { name: 'you' } }],
    },
  }
  const { body } = await scenario.client.call(ROUTES.submitMission, {
    body: { manifest: manifest as never },
    headers: { prefer: 'wait=20' },
  })
  expect(body).toMatchObject({ state: 'completed', output: { greet: { text: 'Hello, you!' } } })
})

// Goal: the commands of the README's mission work as they stand there.
// Method: run them in a shell, with the state of our platform in the place of the one of `npm start`.
test('the mission of the README completes', { timeout: 120_000 }, async () => {
  const home = mkdtempSync(path.join(tmpdir(), 'hypercode-readme-'))
  undo.push(() => rmSync(home, { recursive: true, force: true }))
  const urls = {
    gateway: scenario.url,
    registry: scenario.registry.url,
    orchestrator: scenario.orchestrators[0]?.url ?? '',
  }
  writeFileSync(
    path.join(home, 'state.json'),
    JSON.stringify({ urls, ports: {}, pids: { starter: process.pid }, startedAt: new Date().toISOString() }),
  )
  writeFileSync(path.join(home, 'credentials.json'), JSON.stringify({ bootstrap: scenario.bootstrapKey }), {
    mode: 0o600,
  })
  await runAgent('apps/auditor-agent/dist/server.js', 'readme-auditor')
  await waitFor(
    async () =>
      (await scenario.client.call(ROUTES.listAgents, { query: { skill: 'audit.inventory' } })).body.items.length > 0,
    { what: 'the auditor' },
  )
  const script = blockOf('A mission', 'sh').replaceAll('.hypercode/', `${home}/`)
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], {
    cwd: ROOT,
    env: { ...process.env, HYPERCODE_HOME: home },
  })
  expect(JSON.parse(stdout) as Mission).toMatchObject({ state: 'completed', crew: 'quick-look' })
})
