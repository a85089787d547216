import { execFileSync } from 'node:child_process'
import { appendFileSync, chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { createScriptedModel } from '@hypercode/base-agent/testing'
import type { ModelRequest, ModelTurn } from '@hypercode/base-agent/testing'
import { ROUTES } from '@hypercode/contracts'
import type { JournalEntry } from '@hypercode/contracts'
import { fleetOf, pidOf, startPlatform } from '@hypercode/e2e'
import type { Platform } from '@hypercode/e2e'
import { provideBubblewrap } from '@hypercode/local-stack'
import { ROOT, serverFolders } from '../checkout.ts'
import type { FigureSpec } from './figure.ts'

const KILLS = 3
const TASK_MAX_MS = 180_000
const STEPS = 12

export const coderResume: FigureSpec = {
  name: 'coder-resume',
  about: `a coder that is killed ${KILLS} times with kill -9 at random steps of one task: the diff of an undisturbed one, no command finished twice`,
  bar: 'same diff, 0 commands twice',
  async measure() {
    const bubblewrap = await provideBubblewrap(serverFolders().runtimeDir)
    if (bubblewrap === undefined) throw new Error('there is no bubblewrap, and the task runs commands')
    const root = repository()
    const model = await createScriptedModel({ script: worker })
    const platform = await startPlatform({
      durable: true,
      env: { LOG_LEVEL: 'info', FACTORY_ENV_FROM: 'SANDBOX_BWRAP', SANDBOX_BWRAP: bubblewrap },
    })
    try {
      await startCoder(platform, model.baseUrl)
      const calm = await edit(platform, root, [])
      const steps = shuffled(STEPS - 2)
        .slice(0, KILLS)
        .sort((a, b) => a - b)
      const killed = await edit(platform, root, steps)
      const same = calm.diff === killed.diff && calm.diff.includes('+done 3')
      return {
        figure: killed.twice,
        unit: 'commands twice',
        ok: same && killed.twice === 0 && killed.kills === KILLS && killed.commands === calm.commands,
        more: {
          sameDiff: same,
          kills: killed.kills,
          atSteps: steps.join(' '),
          attempts: killed.attempts,
          commands: killed.commands,
        },
      }
    } finally {
      await platform.stop()
      await model.close()
      rmSync(root, { recursive: true, force: true })
    }
  },
}

interface Edited {
  readonly diff: string
  readonly kills: number
  readonly attempts: number
  readonly commands: number
  /** Commands that were started although an earlier run of theirs was on record. */
  readonly twice: number
  /** Commands that a kill cut off, and that ran again. */
  readonly cutOff: number
}

/** Has the coder do the task, and kills its process when it has come to each of the steps. */
async function edit(platform: Platform, root: string, killAt: readonly number[]): Promise<Edited> {
  const { client } = platform
  const { body: mission } = await client.call(ROUTES.submitMission, {
    body: { manifest: crewOf(root), input: {} } as never,
  })
  const params = { id: mission.id }
  const left = [...killAt]
  const untilMs = performance.now() + TASK_MAX_MS
  let kills = 0
  let ended = mission
  while (ended.endedAt === undefined) {
    if (performance.now() > untilMs) throw new Error(`the task has not ended within ${TASK_MAX_MS} ms`)
    await sleep(20)
    const steps = left.length === 0 ? [] : await recordedSteps(platform, mission.id)
    if (left.length > 0 && steps.length >= (left[0] as number)) {
      left.shift()
      await killCoder(platform)
      kills += 1
    }
    ended = (await client.call(ROUTES.getMission, { params })).body
  }
  if (ended.state !== 'completed') throw new Error(`the mission ended ${ended.state}: ${ended.error?.message}`)
  const { body: tasks } = await client.call(ROUTES.listMissionTasks, { params, query: { limit: 10 } })
  const task = tasks.items[0]
  if (task === undefined) throw new Error('the mission has no task')
  const { body: diff } = await client.raw(ROUTES.getArtifact, { params: { id: task.id, name: 'patch.diff' } })
  const recordedMs = new Map(
    (await recordedSteps(platform, mission.id)).map(({ name = '', startedAt }) => [name, Date.parse(startedAt)]),
  )
  const starts = (await toolCalls(platform, task.id)).filter(({ step }) => step.includes('run_command'))
  const twice = starts.filter(({ step, atMs }) => atMs > (recordedMs.get(step) ?? Number.POSITIVE_INFINITY)).length
  return {
    diff: diff.toString('utf8'),
    kills,
    attempts: task.attempt,
    commands: [...recordedMs.keys()].filter((name) => name.includes('run_command')).length,
    twice,
    cutOff: starts.length - new Set(starts.map(({ step }) => step)).size - twice,
  }
}

async function recordedSteps({ client }: Platform, id: string): Promise<JournalEntry[]> {
  const { body } = await client.call(ROUTES.getMissionJournal, { params: { id }, query: { limit: 500 } })
  return body.items.filter(({ kind }) => kind === 'step')
}

/** Every tool call that the coder has begun for a task, from the log of its instance. */
async function toolCalls(platform: Platform, taskId: string): Promise<{ step: string; atMs: number }[]> {
  const [coder] = await fleetOf(platform).list('coder')
  const { body } = await platform.client.raw(ROUTES.readInstanceLogs, {
    params: { id: coder?.id ?? '' },
    query: { follow: false },
  })
  return body
    .toString('utf8')
    .split('\n')
    .filter((line) => line.startsWith('data: ') && line.includes('tool called'))
    .map((line) => JSON.parse(line.slice('data: '.length)) as { taskId: string; step: string; ts: string })
    .filter((line) => line.taskId === taskId)
    .map(({ step, ts }) => ({ step, atMs: Date.parse(ts) }))
}

async function killCoder(platform: Platform): Promise<void> {
  const fleet = fleetOf(platform)
  const [coder] = await fleet.list('coder')
  if (coder === undefined) throw new Error('there is no coder')
  process.kill(
    pidOf(await fleet.until(coder.id, 'the coder to be up', (one) => one.lifecycle === 'ready', 30_000)),
    'SIGKILL',
  )
}

async function startCoder(platform: Platform, baseUrl: string): Promise<void> {
  const fleet = fleetOf(platform)
  await fleet.blueprint('coder', {
    entry: { path: path.join(ROOT, 'apps/coder-agent/dist/server.js') },
    args: [],
    skills: ['code.edit'],
    envFrom: ['SANDBOX_BWRAP'],
    model: { baseUrl, name: 'scripted' },
    resources: { cpu: 2, memory: '1Gi' },
  })
  await fleet.spawn('coder')
}

const crewOf = (root: string) => ({
  apiVersion: 'hypercode/v1',
  kind: 'Crew',
  metadata: { name: 'coder-resume' },
  spec: {
    members: [{ id: 'coder', skill: 'code.edit' }],
    tasks: [
      {
        id: 'edit',
        member: 'coder',
        input: { root, instruction: 'Do the three things, and check after each of them.' },
        retry: { maxAttempts: 10, initialInterval: '100ms', maxInterval: '500ms' },
      },
    ],
  },
})

/** Writes three files and runs a command, which changes a fourth one, after each; then it is done. */
function worker({ messages }: ModelRequest): ModelTurn {
  const turn = messages.filter(({ role }) => role === 'assistant').length
  const round = Math.floor(turn / 2) + 1
  if (round > 3) return { text: 'All three things are done.' }
  if (turn % 2 === 0)
    return { toolCalls: [{ name: 'write_file', input: { path: `part-${round}.txt`, content: `part ${round}\n` } }] }
  return { toolCalls: [{ name: 'run_command', input: { argv: ['node', 'check.mjs', String(round)] } }] }
}

/** Its check notes each of its runs in a file, so that a second one would be seen in the diff. */
function repository(): string {
  const root = mkdtempSync(path.join(tmpdir(), 'hypercode-coder-figure-'))
  chmodSync(root, 0o755)
  mkdirSync(path.join(root, 'src'))
  writeFileSync(path.join(root, 'notes.txt'), 'notes\n')
  const check = "import { appendFileSync } from 'node:fs'\nappendFileSync('notes.txt', `done ${process.argv[2]}\\n`)\n"
  appendFileSync(path.join(root, 'check.mjs'), check)
  const git = (...args: string[]): void =>
    void execFileSync('git', ['-c', 'user.name=a', '-c', 'user.email=a@b', ...args], { cwd: root })
  git('init', '-q')
  git('add', '.')
  git('commit', '-q', '-m', 'start')
  return root
}

/** 1 to `count` in an order by chance. */
function shuffled(count: number): number[] {
  return Array.from({ length: count }, (_, index) => ({ step: index + 1, at: Math.random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ step }) => step)
}
