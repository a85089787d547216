/**
 * Agents of the storms, several in one process: `node agents/storm-agent.ts`, configured by environment as every agent is, by
 * AGENT_INSTANCES and by SINK_URL. Each task says what it does: `effects` (`keyed`, `plain`) at the sink, `keyed` idempotent; `waitMs`;
 * `sleepMs` without a slot; `poison` kills the process. What was told to stop is noted at the sink, and an attempt that has lost its
 * lease tries to report all the same, as a zombie would.
 */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { AttemptStopped, defineAgent, startAgent } from '@hypercode/base-agent'
import type { RunningAgent, TaskContext } from '@hypercode/base-agent'
import { ApiError, createClient } from '@hypercode/client'
import { ROUTES } from '@hypercode/contracts'
import { Type } from '@sinclair/typebox'

const settings = {
  url: process.env['HYPERCODE_URL'] ?? '',
  clientId: process.env['HYPERCODE_CLIENT_ID'] ?? '',
  clientSecret: process.env['HYPERCODE_CLIENT_SECRET'] ?? '',
}
const sinkUrl = process.env['SINK_URL'] ?? ''
const skill = process.env['AGENT_SKILL'] ?? 'storm.work'
const prefix = process.env['HYPERCODE_INSTANCE'] ?? 'storm'
const SINK_MAX_MS = 20_000

const Input = Type.Object({
  effects: Type.Optional(Type.Array(Type.String())),
  waitMs: Type.Optional(Type.Integer()),
  sleepMs: Type.Optional(Type.Integer()),
  poison: Type.Optional(Type.Boolean()),
  after: Type.Optional(Type.Unknown()),
})

const agentOf = (running: () => RunningAgent | undefined, instance: string) =>
  defineAgent({
    name: `storm-${skill.replaceAll('.', '-')}`,
    version: '1.0.0',
    slots: 4,
    skills: [{ id: skill }],
    input: Input,
    output: Type.Object({ attempt: Type.Integer() }),
    async onTask(ctx, input) {
      tellOfStops(ctx, running()?.incarnation ?? 1, instance)
      if (input.poison === true) process.kill(process.pid, 'SIGKILL')
      for (const effect of input.effects ?? []) {
        const options = { idempotent: effect === 'keyed' }
        await ctx.effect(effect, options, async ({ idempotencyKey }) => await act(ctx, effect, idempotencyKey))
      }
      if (input.sleepMs !== undefined) await ctx.sleep('nap', input.sleepMs)
      await sleep(input.waitMs ?? 0, undefined, { signal: ctx.signal })
      return { attempt: ctx.attempt }
    },
  })

async function act(ctx: TaskContext, effect: string, key: string): Promise<boolean> {
  const request = { taskId: ctx.taskId, effect, attempt: ctx.attempt, intentAtMs: Date.now() }
  const requestHash = createHash('sha256').update(`${ctx.taskId} ${effect}`).digest('hex')
  const answer = await fetch(`${sinkUrl}/${effect}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify({ ...request, key, requestHash }),
    signal: AbortSignal.timeout(SINK_MAX_MS),
  })
  if (!answer.ok) throw new Error(`the sink answered ${answer.status}`)
  return true
}

function tellOfStops(ctx: TaskContext, incarnation: number, instance: string): void {
  const onStop = async (): Promise<void> => {
    const reason = ctx.signal.reason instanceof AttemptStopped ? ctx.signal.reason.reason : 'unknown'
    const told = { taskId: ctx.taskId, missionId: ctx.missionId, attempt: ctx.attempt, reason, atMs: Date.now() }
    const zombie = reason === 'lease_lost' || reason === 'fenced'
    const answer = zombie ? await reportAnyway(ctx, incarnation, instance) : undefined
    await fetch(`${sinkUrl}/note`, { method: 'POST', body: JSON.stringify({ ...told, answer }) })
  }
  // Whether it was told is only counted: a note that does not arrive proves nothing.
  const stop = (): void => void onStop().catch((error: unknown) => ctx.log.warn({ err: error }, 'no note'))
  ctx.signal.addEventListener('abort', stop, { once: true })
}

/** What the SDK refuses to do: the report of an attempt whose lease is over. */
async function reportAnyway(ctx: TaskContext, incarnation: number, instance: string): Promise<string> {
  const client = createClient({
    baseUrl: settings.url,
    credentials: { ...settings, instance },
    retry: { maxRetries: 3 },
  })
  try {
    // An attempt may think too early that its lease is over. Then this is taken, and gives the task back unharmed.
    const report = { taskId: ctx.taskId, attempt: ctx.attempt, outcome: 'released' as const }
    const { body } = await client.call(ROUTES.completeTasks, { body: { incarnation, results: [report] } })
    return body.results[0]?.status ?? 'nothing'
  } catch (error) {
    if (error instanceof ApiError) return error.code
    return 'unanswered'
  } finally {
    await client.close()
  }
}

const names = Array.from({ length: Number(process.env['AGENT_INSTANCES'] ?? '1') }, (_, n) => `${prefix}-${n}`)
const running = new Map<string, RunningAgent>()
await Promise.all(
  names.map(async (instance) => {
    const agent = agentOf(() => running.get(instance), instance)
    running.set(instance, await startAgent(agent, { ...settings, instance }))
  }),
)
process.stdout.write(`${JSON.stringify({ msg: 'agents are registered' })}\n`)
process.once('SIGTERM', () => {
  Promise.all([...running.values()].map(async (one) => one.stop({ drainMs: 0 }))).then(
    () => process.exit(0),
    () => process.exit(1),
  )
})
