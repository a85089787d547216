import type { Mission } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { explainKey, onlyShut } from '../explain/explaining.ts'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import type { AgentCaller, Stage } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'
import { turnSubCrews } from './sub-crew-turn.ts'
import { TRIP, UNDO, cancel, failedTrip, one, states, undoAll } from './undoing.ts'

describe('a mission that is canceled', () => {
  test('a completion and a cancel at the same moment: what was completed is undone', async ({ stage, replica }) => {
    const width = 6
    const manifest = crewOf(
      'wide',
      Array.from({ length: width }, (_, n) => ({ id: `t${n}`, compensate: UNDO })),
    )
    let undone = 0
    for (let round = 0; round < 8; round += 1) {
      const agent = await stage.agent(['work', 'undo'])
      const elsewhere = await replica.adopt(agent)
      const mission = await stage.submit(manifest)
      const tasks = await agent.claim()
      const reports = tasks.map((task, n) => (n % 2 === 0 ? agent : elsewhere).complete(task, task.key))
      await Promise.all([...reports.slice(0, round % width), cancel(replica, mission.id), ...reports])
      const completed = (await stage.tasks(mission.id)).filter((task) => task.state === 'completed')
      const keys = await undoAll(elsewhere)
      undone += keys.length
      const ended = await stage.mission(mission.id)
      // Nothing waited, so the cancel may have come when all was done.
      expect(['canceled', 'completed']).toContain(ended.state)
      expect(keys.toSorted()).toEqual(
        ended.state === 'completed' ? [] : completed.map(({ key }) => `${key}:compensate`),
      )
    }
    await expectInvariants(stage.db)
    expect(undone).toBeGreaterThan(0)
  })

  test('while it is paused goes on to undo, and may be paused again', async ({ stage }) => {
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(TRIP)
    await agent.complete(await one(agent), 'A')
    await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
    expect(await cancel(stage, mission.id)).toMatchObject({ state: 'running' })
    await stage.operator.call('POST', `/v1/missions/${mission.id}:pause`)
    expect(await agent.claim({ waitMs: 0 })).toEqual([])
    expect(onlyShut(await explainKey(stage, mission.id, 'a:compensate'), 'mission').command?.path).toMatch(/:resume$/)
    await stage.operator.call('POST', `/v1/missions/${mission.id}:resume`)
    expect(await undoAll(agent)).toEqual(['a:compensate'])
    expect((await stage.mission(mission.id)).state).toBe('canceled')
    await expectInvariants(stage.db)
  })

  test('goes on with another process where the one before was at its end', async ({ stage, replica }) => {
    const { agent, mission } = await failedTrip(stage)
    const held = await one(agent)
    await stage.orchestrator.stop()
    const elsewhere = await replica.adopt(agent)
    await elsewhere.complete(held)
    expect(await undoAll(elsewhere)).toEqual(['a:compensate'])
    expect((await replica.mission(mission.id)).state).toBe('failed')
    await expectInvariants(replica.db)
  })
})

describe('a crew within a crew', () => {
  const nested = async (stage: Stage): Promise<{ agent: AgentCaller; mission: Mission }> => {
    await stage.operator.call(
      'POST',
      '/v1/crews',
      crewOf('inner', [
        { id: 'in', compensate: UNDO },
        { id: 'then', dependsOn: ['in'] },
      ]),
    )
    const agent = await stage.agent(['work', 'undo'])
    const mission = await stage.submit(
      crewOf('outer', [
        { id: 'before', compensate: UNDO },
        { id: 'build', crew: 'inner', member: undefined, dependsOn: ['before'], compensate: UNDO },
        { id: 'after', dependsOn: ['build'] },
      ]),
    )
    await agent.complete(await one(agent))
    await turnSubCrews(stage)
    await agent.complete(await one(agent))
    return { agent, mission }
  }

  test('undoes its own work first when it is canceled, and the crew around it waits for that', async ({ stage }) => {
    const { agent, mission } = await nested(stage)
    await cancel(stage, mission.id)
    expect(await states(stage, mission.id)).toMatchObject({ build: 'waiting', after: 'canceled' })
    await sweep(stage)
    await turnSubCrews(stage)
    expect(await undoAll(agent)).toEqual(['in:compensate'])
    expect(await states(stage, mission.id)).toMatchObject({ build: 'waiting' })
    await turnSubCrews(stage)
    expect(await states(stage, mission.id)).toMatchObject({ build: 'canceled' })
    expect(await undoAll(agent)).toEqual(['before:compensate'])
    expect((await stage.mission(mission.id)).state).toBe('canceled')
    await expectInvariants(stage.db)
  })

  test('when it was completed, is undone by what the task says that began it', async ({ stage }) => {
    const { agent, mission } = await nested(stage)
    await agent.complete(await one(agent))
    await turnSubCrews(stage)
    await agent.fail(await one(agent), { retryable: false })
    expect(await undoAll(agent)).toEqual(['build:compensate', 'before:compensate'])
    expect((await stage.mission(mission.id)).state).toBe('failed')
    await expectInvariants(stage.db)
  })
})
