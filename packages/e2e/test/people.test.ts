import { ROUTES } from '@hypercode/contracts'
import type { ServiceProcess } from '@hypercode/testkit/tools'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crewOf, startScenario } from './scenario.ts'
import type { Scenario } from './scenario.ts'

let scenario: Scenario
beforeAll(async () => {
  scenario = await startScenario()
})
afterAll(async () => scenario.stop())

// Goal: people need nothing but an open stream to be asked, and no process has to live as long as they think.
// Method: the question is heard on the stream of the mission; the orchestrator is killed before it is answered.
test('a question is told on the stream of its mission, outlives a kill, and its answer ends the mission', async () => {
  const { client } = scenario
  await scenario.worker('asked')
  const { body: mission } = await client.call(ROUTES.submitMission, {
    body: {
      manifest: crewOf('asks', [{ id: 'pay', input: { value: 5 }, approval: { title: 'Pay?' } }]) as never,
      input: {},
    },
  })
  const types: string[] = []
  for await (const event of client.stream(ROUTES.watchMission, { params: { id: mission.id } })) {
    types.push(event.type)
    if (event.type !== 'hypercode.approval.requested.v1') continue
    const { approvalId } = event.data as { approvalId: string }
    const orchestrator = scenario.orchestrators[0] as ServiceProcess
    orchestrator.kill('SIGKILL')
    await orchestrator.exited
    await orchestrator.restart()
    const params = { id: approvalId }
    const { body: asked } = await client.call(ROUTES.getApproval, { params })
    expect(asked).toMatchObject({ state: 'open', title: 'Pay?', data: { value: 5 }, missionId: mission.id })
    const { body: decided } = await client.call(ROUTES.approveApproval, { params, body: { hash: asked.hash } })
    expect(decided.state).toBe('approved')
  }
  expect(types.filter((type) => type.includes('.approval.'))).toEqual([
    'hypercode.approval.requested.v1',
    'hypercode.approval.decided.v1',
  ])
  expect(types.at(-1)).toBe('hypercode.mission.completed.v1')
  expect((await scenario.end(mission.id)).output).toMatchObject({ pay: { value: 5 } })
})
