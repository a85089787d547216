import { ROUTES } from '@hypercode/contracts'
import { waitFor } from '@hypercode/testkit/tools'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
beforeAll(async () => {
  scenario = await startScenario()
})
afterAll(async () => scenario.stop())

const submit = async (manifest: object, key: string) =>
  (
    await scenario.client.call(ROUTES.submitMission, {
      body: { manifest: manifest as never, input: {} },
      idempotencyKey: key,
    })
  ).body

// Goal: a mission completes once although an agent and the orchestrator die in the middle of it.
// Method: built services as processes; kill -9 while tasks run, a second worker takes over, and the workers' file tells what was done.
test('an agent and the orchestrator are killed in mid-mission, and the mission completes once', async () => {
  const [first, second] = await Promise.all([scenario.worker('crash-1'), scenario.worker('crash-2')])
  const tasks = ['a', 'b', 'c', 'd', 'e', 'f'].map((id) => ({ id, input: { waitMs: 4000, value: id } }))
  const mission = await submit(
    crewOf('crash', [
      ...tasks,
      { id: 'last', dependsOn: tasks.map((task) => task.id), input: { value: '${tasks.a.output.value}' } },
    ]),
    'crash-1',
  )
  const journalOf = async () =>
    (await scenario.client.call(ROUTES.getMissionJournal, { params: { id: mission.id }, query: { limit: 500 } })).body
      .items
  // Killed only when what the steps did is journaled: a step that is cut off in the middle may run again.
  const isJournaled = async () => (await journalOf()).filter((entry) => entry.kind === 'step').length === 6
  await waitFor(isJournaled, { what: 'the steps of all six tasks', timeoutMs: 10_000 })
  const victim = [first, second].find((worker) => holds(worker)) as ServiceProcess
  victim.kill('SIGKILL')
  const orchestrator = scenario.orchestrators[0] as ServiceProcess
  orchestrator.kill('SIGKILL')
  await orchestrator.exited
  await orchestrator.restart()
  const ended = await scenario.end(mission.id, 60_000)
  expect(ended).toMatchObject({ state: 'completed', tasks: { total: 7, open: 0 }, output: { last: { value: 'a' } } })

  const attempts = (await journalOf()).filter((entry) => entry.kind === 'attempt')
  const completedOf = Map.groupBy(
    attempts.filter((entry) => entry.outcome === 'completed'),
    (entry) => entry.taskId,
  )
  expect(completedOf.size).toBe(7)
  expect([...completedOf.values()].every((entries) => entries.length === 1)).toBe(true)
  // The dead agent's attempts really were lost, so the run proved something.
  expect(attempts.some((entry) => entry.outcome === 'lease_lost')).toBe(true)
  // A step whose result was journaled is not run again by the attempt that took over.
  const steps = Map.groupBy(
    scenario.effects().filter((effect) => effect.at === 'step'),
    (effect) => effect.taskId,
  )
  expect([...steps.values()].every((entries) => entries.length === 1)).toBe(true)
})

const holds = (worker: ServiceProcess): boolean =>
  scenario.effects().some((effect) => effect.pid === worker.pid && effect.at === 'step')

test('the same submit again, after all that, is the same mission', async () => {
  const manifest = crewOf('again', [{ id: 'one', input: {} }])
  const first = await submit(manifest, 'again-1')
  const orchestrator = scenario.orchestrators[0] as ServiceProcess
  orchestrator.kill('SIGKILL')
  await orchestrator.exited
  await orchestrator.restart()
  const second = await submit(manifest, 'again-1')
  expect(second.id).toBe(first.id)
})

// Goal: what a mission undoes is undone once and in its order although the orchestrator dies meanwhile. Method: as above; the mission fails
// with two tasks to undo, and whoever decides is killed while the first of them is at work.
test('the orchestrator is killed while a mission undoes its work', async () => {
  await scenario.worker('undo')
  const undo = { member: 'worker', input: { waitMs: 2500 } }
  const mission = await submit(
    crewOf('undo', [
      { id: 'a', input: {}, compensate: undo },
      { id: 'b', input: {}, dependsOn: ['a'], compensate: undo },
      { id: 'c', input: { waitMs: 'never' }, dependsOn: ['b'], retry: { maxAttempts: 1 } },
    ]),
    'undo-1',
  )
  const idOf = async (key: string): Promise<string | undefined> => {
    const { body } = await scenario.client.call(ROUTES.listMissionTasks, { params: { id: mission.id }, query: {} })
    return body.items.find((task) => task.key === key)?.id
  }
  const first = await waitFor(async () => await idOf('b:compensate'), { what: 'b to be undone', timeoutMs: 20_000 })
  await waitFor(() => scenario.effects().some(({ at, taskId }) => at === 'begin' && taskId === first), {
    what: 'the compensation of b to be at work',
    timeoutMs: 20_000,
  })
  const orchestrator = scenario.orchestrators[0] as ServiceProcess
  orchestrator.kill('SIGKILL')
  await orchestrator.exited
  await orchestrator.restart()
  const ended = await scenario.end(mission.id, 60_000)
  expect(ended).toMatchObject({ state: 'failed', tasks: { total: 5, open: 0 }, error: { code: 'input_invalid' } })
  const second = await idOf('a:compensate')
  const done = scenario.effects().filter(({ at, taskId }) => at === 'end' && (taskId === first || taskId === second))
  expect(done.map(({ taskId }) => taskId)).toEqual([first, second])
})

test('an agent that is asked to stop hands its task back unharmed', async () => {
  const leaving = await scenario.worker('leaving', { DRAIN_MS: '200' })
  await waitFor(
    async () => (await scenario.client.call(ROUTES.listAgents, { query: { skill: 'e2e.work' } })).body.items.length > 0,
    { what: 'the agent to be listed' },
  )
  const mission = await submit(
    crewOf(
      'drain',
      Array.from({ length: 12 }, (_, n) => ({ id: `t${n}`, input: { waitMs: 4000 } })),
    ),
    'drain-1',
  )
  await waitFor(() => holds(leaving), { what: 'the leaving worker to hold a task', timeoutMs: 15_000 })
  expect((await leaving.stop()).code).toBe(0)
  const ended = await scenario.end(mission.id, 60_000)
  expect(ended.state).toBe('completed')
  const { body: journal } = await scenario.client.call(ROUTES.getMissionJournal, {
    params: { id: mission.id },
    query: { limit: 500 },
  })
  expect(journal.items.filter((entry) => entry.outcome === 'released').length).toBeGreaterThan(0)
  expect(journal.items.filter((entry) => entry.outcome === 'lease_lost')).toEqual([])
})
