import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { Type } from '@sinclair/typebox'
import type { Static } from '@sinclair/typebox'
import { defineAgent, startAgent } from '@hypercode/base-agent'
import type { Agent, AgentSettings, RunningAgent, TaskContext } from '@hypercode/base-agent'
import { createFakeControlPlane } from '@hypercode/base-agent/testing'
import type { FakeControlPlane, FakeOptions } from '@hypercode/base-agent/testing'
import { createLogger } from '@hypercode/telemetry'
import type { Logger } from '@hypercode/telemetry'
import { test as base } from 'vitest'

interface Fixtures {
  /** Lease and heartbeat of the platform; `test.override` sets others. */
  timing: FakeOptions
  platform: FakeControlPlane
  start: (agent: Agent, settings?: Partial<AgentSettings>) => Promise<RunningAgent>
  run: (file: string, env?: Record<string, string>) => AgentProcess
}

/** A fake control plane per test, and agents on it that end with the test. */
export const test = base.extend<Fixtures>({
  timing: {},
  platform: async ({ timing }, use) => {
    const platform = await createFakeControlPlane(timing)
    await use(platform)
    await platform.close()
  },
  start: async ({ platform }, use) => {
    const running: RunningAgent[] = []
    await use(async (agent, settings = {}) => {
      const started = await startAgent(agent, { ...platform.settings, logger: silent(), ...settings })
      running.push(started)
      return started
    })
    platform.comeBack()
    await Promise.all(running.map((one) => one.stop({ drainMs: 0 })))
  },
  run: async ({ platform }, use) => {
    const processes: AgentProcess[] = []
    await use((file, env = {}) => {
      const started = runAgent(file, { ...platform.env, ...env })
      processes.push(started)
      return started
    })
    for (const { child, ended } of processes) {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL')
      await ended
    }
  },
})

export const silent = (): Logger => createLogger({ service: 'test', level: 'silent' })

export interface LogLine {
  readonly level: string
  readonly msg: string
  readonly [field: string]: unknown
}

/** A logger and the lines that it has written. */
export function recordingLogger(): { readonly logger: Logger; readonly lines: LogLine[] } {
  const lines: LogLine[] = []
  const destination = { write: (text: string) => void lines.push(...parseLines(text)) }
  return { logger: createLogger({ service: 'test', level: 'debug', destination }), lines }
}

export const Text = Type.Object({ text: Type.String() })
export type Text = Static<typeof Text>

/** An agent with the skill `work` whose handler is `onTask`. */
export const agentOf = (
  onTask: (ctx: TaskContext, input: Text) => Promise<Text> | Text,
  options: { slots?: number } = {},
): Agent<typeof Text, typeof Text> =>
  defineAgent({
    name: 'worker',
    version: '1.0.0',
    slots: options.slots ?? 1,
    skills: [{ id: 'work' }],
    input: Text,
    output: Text,
    onTask,
  })

/** Resolves when `signal` is aborted. */
export const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })

export interface AgentProcess {
  readonly child: ChildProcess
  readonly lines: LogLine[]
  readonly stderr: () => string
  /** Resolves with exit code and signal. */
  readonly ended: Promise<{ readonly code: number | null; readonly signal: NodeJS.Signals | null }>
}

/** Starts an agent file below the package as a process of its own, from source. */
function runAgent(file: string, env: Record<string, string>): AgentProcess {
  const path = fileURLToPath(new URL(`../${file}`, import.meta.url))
  const child = spawn(process.execPath, ['--conditions=@hypercode/source', path], {
    env: {
      PATH: process.env['PATH'],
      NODE_COMPILE_CACHE: process.env['NODE_COMPILE_CACHE'],
      LOG_LEVEL: 'info',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const lines: LogLine[] = []
  let rest = ''
  let errors = ''
  child.stdout.on('data', (chunk: Buffer) => {
    rest += chunk.toString()
    const end = rest.lastIndexOf('\n') + 1
    lines.push(...parseLines(rest.slice(0, end)))
    rest = rest.slice(end)
  })
  child.stderr.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const ended = new Promise<{ code: number | null; signal: NodeJS.Signals | null }>((resolve) => {
    child.once('close', (code, signal) => resolve({ code, signal }))
  })
  return { child, lines, stderr: () => errors, ended }
}

function parseLines(text: string): LogLine[] {
  return text
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as LogLine)
}
