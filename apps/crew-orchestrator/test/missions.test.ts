import type { ClaimedTask } from '@hypercode/contracts'
import { expect } from 'vitest'
import { crewOf, test } from './harness.ts'

test('a mission of one task goes from submit to its end', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(crewOf('single', [{ id: 'only', input: { n: 1 } }]))
  expect(mission).toMatchObject({ state: 'submitted', tasks: { total: 1, open: 1 } })
  const [task] = (await agent.claim()) as [ClaimedTask, ...ClaimedTask[]]
  expect(task).toMatchObject({ key: 'only', attempt: 1, input: { n: 1 }, skill: 'work', missionId: mission.id })
  const answer = await agent.complete(task, { done: true })
  expect(answer).toMatchObject({ status: 200, body: { results: [{ status: 'accepted', state: 'completed' }] } })
  expect(await stage.mission(mission.id)).toMatchObject({
    state: 'completed',
    output: { only: { done: true } },
    tasks: { total: 1, open: 0 },
  })
  expect((await stage.events(mission.id)).map((event) => event.type)).toEqual([
    'mission.submitted',
    'task.queued',
    'mission.started',
    'task.claimed',
    'task.completed',
    'mission.completed',
  ])
})

test('a chain hands outputs on, and a diamond joins once', async ({ stage }) => {
  const agent = await stage.agent(['work'])
  const mission = await stage.submit(
    crewOf('diamond', [
      { id: 'top', input: { goal: '${mission.input.goal}' } },
      { id: 'left', dependsOn: ['top'], input: { from: '${tasks.top.output.value}' } },
      { id: 'right', dependsOn: ['top'], input: 'text ${tasks.top.output.value}' },
      { id: 'join', dependsOn: ['left', 'right'], input: ['${tasks.left.output}', '${tasks.right.output}'] },
    ]),
    { goal: 'go' },
  )
  const [top] = (await agent.claim()) as [ClaimedTask, ...ClaimedTask[]]
  expect(top.input).toEqual({ goal: 'go' })
  await agent.complete(top, { value: 7 })
  const sides = await agent.claim()
  expect(sides.map((task) => [task.key, task.input])).toEqual([
    ['left', { from: 7 }],
    ['right', 'text 7'],
  ])
  await Promise.all(sides.map((task) => agent.complete(task, task.key)))
  const [join, ...more] = (await agent.claim()) as [ClaimedTask, ...ClaimedTask[]]
  expect(more).toEqual([])
  expect(join.input).toEqual(['left', 'right'])
  await agent.complete(join, 'end')
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', output: { join: 'end' } })
})

test('forEach runs one task per element and joins their outputs in order', async ({ stage }) => {
  const agent = await stage.agent(['work'], { slots: 50 })
  const mission = await stage.submit(
    crewOf('fan', [
      { id: 'list', input: {} },
      {
        id: 'each',
        dependsOn: ['list'],
        forEach: '${tasks.list.output}',
        input: { item: '${item}', index: '${index}' },
      },
      { id: 'sum', dependsOn: ['each'], input: '${tasks.each.output}' },
    ]),
  )
  const [list] = (await agent.claim()) as [ClaimedTask, ...ClaimedTask[]]
  await agent.complete(list, ['a', 'b', 'c'])
  const elements = await agent.claim({ max: 50 })
  expect(elements.map((task) => task.key)).toEqual(['each[0]', 'each[1]', 'each[2]'])
  await Promise.all(
    elements.toReversed().map((task) => agent.complete(task, (task.input as { item: string }).item.toUpperCase())),
  )
  const [sum] = (await agent.claim()) as [ClaimedTask, ...ClaimedTask[]]
  expect(sum.input).toEqual(['A', 'B', 'C'])
  await agent.complete(sum, 3)
  expect(await stage.mission(mission.id)).toMatchObject({ state: 'completed', tasks: { total: 6, open: 0 } })
})
