import type { ClaimedTask, Fault } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, stillTest as test, sweep } from '../harness.ts'
import { expectInvariants } from '../invariants.ts'

const schemas = { Build: { type: 'object', properties: { passed: { type: 'boolean' } }, required: ['passed'] } }
const quick = { initialInterval: '1ms', maxInterval: '1ms' }
const crew = (task: Record<string, unknown>): object => ({
  ...crewOf('x', [{ id: 'build', retry: quick, ...task }]),
  schemas,
})

test('an output that does not fit is an attempt that failed, and the next one is told what was wrong', async ({
  stage,
}) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crew({ output: { schemaRef: '#/schemas/Build' } }))
  const [first] = (await agent.claim()) as [ClaimedTask]
  const answer = await agent.complete(first, { passed: 'yes' })
  expect(answer.body.results[0]).toMatchObject({ status: 'accepted', state: 'scheduled' })
  await expect.poll(async () => await sweep(stage)).toBeGreaterThan(0)
  const [second] = (await agent.claim()) as [ClaimedTask]
  expect(second.previousError).toEqual({
    code: 'output_invalid',
    message: 'the output does not fit its schema: /passed must be boolean',
  })
  await agent.complete(second, { passed: true })
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { build: { passed: true } } })
  await expectInvariants(stage.db)
})

test('each element of a forEach is held to the schema', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crew({ forEach: [1, 2], output: { type: 'integer' }, retry: { maxAttempts: 1 }, onChildFailure: 'continue' }),
  )
  const [one, two] = (await agent.claim()) as [ClaimedTask, ClaimedTask]
  await agent.complete(one, 'no number')
  await agent.complete(two, 2)
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { build: [null, 2] } })
  await expectInvariants(stage.db)
})

test('a crew with a schema that is none is refused with its place', async ({ stage }) => {
  const wrong = {
    ...crewOf('x', [
      { id: 'a', output: { type: 'thing' } },
      { id: 'b', output: { schemaRef: '#/schemas/Other' } },
    ]),
    schemas: { Loop: { $ref: '#/schemas/Loop' } },
  }
  const answer = await stage.operator.call<{ faults: Fault[] }>('POST', '/v1/missions', {
    manifest: wrong,
    input: null,
  })
  expect(answer.status).toBe(422)
  expect(answer.body.faults.map(({ pointer }) => pointer)).toEqual([
    '/manifest/schemas/Loop',
    '/manifest/spec/tasks/0/output',
    '/manifest/spec/tasks/1/output/schemaRef',
  ])
})
