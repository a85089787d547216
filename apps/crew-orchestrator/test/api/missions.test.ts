import { newId } from '@hypercode/contracts'
import type { ClaimedTask, JournalEntry, Mission, Task } from '@hypercode/contracts'
import { describe, expect } from 'vitest'
import { crewOf, stillTest as test } from '../harness.ts'
import type { Caller, Stage } from '../harness.ts'

interface Page<T> {
  items: T[]
  nextCursor?: string
}

/** All pages of a list, one after another. */
async function pages<T>(caller: Caller, path: string): Promise<T[][]> {
  const found: T[][] = []
  for (let cursor: string | undefined; found.length < 50; ) {
    const url = cursor === undefined ? path : `${path}${path.includes('?') ? '&' : '?'}cursor=${cursor}`
    const { status, body } = await caller.call<Page<T>>('GET', url)
    expect(status).toBe(200)
    found.push(body.items)
    cursor = body.nextCursor
    if (cursor === undefined) return found
  }
  throw new Error('the list does not end')
}

const ids = (missions: readonly Mission[]): string[] => missions.map((mission) => mission.id)

async function seven(stage: Stage): Promise<Mission[]> {
  const missions: Mission[] = []
  for (let index = 0; index < 7; index += 1) {
    const { body } = await stage.operator.call<Mission>(
      'POST',
      '/v1/missions',
      {
        manifest: crewOf(index < 3 ? 'red' : 'blue', [{ id: 'a', when: index === 0 ? 'false' : 'true' }]),
        labels: { round: String(index % 2), url: 'a=b' },
      },
      { 'x-correlation-id': `c${index}` },
    )
    missions.unshift(body)
  }
  return missions
}

describe('the list of missions', () => {
  test('is newest first, in pages that miss and repeat nothing', async ({ stage }) => {
    const missions = await seven(stage)
    for (const limit of [1, 3, 7, 500]) {
      const found = await pages<Mission>(stage.operator, `/v1/missions?limit=${limit}`)
      expect(ids(found.flat())).toEqual(ids(missions))
      expect(found).toHaveLength(Math.ceil(7 / limit))
    }
    expect((await pages<Mission>(stage.operator, '/v1/missions')).flat()[0]).toEqual(
      await stage.mission(missions[0]?.id as string),
    )
  })

  test('can be narrowed by state, crew, label and correlation id, and by all of them', async ({ stage }) => {
    const missions = await seven(stage)
    const find = async (query: string): Promise<string[]> =>
      ids((await pages<Mission>(stage.operator, `/v1/missions?${query}`)).flat())
    const at = (...indices: number[]): string[] => indices.map((index) => (missions[6 - index] as Mission).id)
    expect(await find('state=completed')).toEqual(at(0))
    expect(await find('state=submitted&limit=2')).toEqual(at(6, 5, 4, 3, 2, 1))
    expect(await find('crew=red')).toEqual(at(2, 1, 0))
    expect(await find('label=round%3D1')).toEqual(at(5, 3, 1))
    expect(await find('label=url%3Da%3Db&crew=blue')).toEqual(at(6, 5, 4, 3))
    expect(await find('correlationId=c4')).toEqual(at(4))
    expect(await find('crew=red&state=submitted&label=round%3D1&correlationId=c1')).toEqual(at(1))
    expect(await find('crew=red&correlationId=c4')).toEqual([])
    expect(await find(`cursor=${at(2)[0]}`)).toEqual(at(1, 0))
  })

  test('refuses what it does not understand', async ({ stage }) => {
    const queries = [
      'limit=0',
      'limit=501',
      'limit=x',
      'state=gone',
      'label=x',
      'label=%3Dx',
      'cursor=abc',
      'crew=A',
      'what=1',
    ]
    for (const query of queries)
      expect([query, (await stage.operator.call('GET', `/v1/missions?${query}`)).status]).toEqual([query, 400])
    expect((await stage.operator.call('GET', '/v1/missions?label=%00%3Dx')).status).toBe(422)
  })
})

describe('one mission', () => {
  test('has an etag that changes with it', async ({ stage }) => {
    const { id } = await stage.submit(crewOf('x', [{ id: 'a' }]))
    const read = async () => await stage.operator.call<Mission>('GET', `/v1/missions/${id}`)
    const before = await read()
    expect((await read()).headers['etag']).toBe(before.headers['etag'])
    await stage.operator.call('POST', `/v1/missions/${id}:cancel`)
    expect((await read()).headers['etag']).not.toBe(before.headers['etag'])
  })

  test('of no UUID is a bad request, of an unknown one is not found', async ({ stage }) => {
    for (const path of ['/tasks', '/journal', '/artifacts', '']) {
      expect((await stage.operator.call('GET', `/v1/missions/abc${path}`)).status).toBe(400)
      expect((await stage.operator.call('GET', `/v1/missions/${newId()}${path}`)).status).toBe(404)
    }
    expect((await stage.operator.call('POST', `/v1/missions/${newId()}:cancel`)).status).toBe(404)
    expect((await stage.operator.call('GET', `/v1/tasks/${newId()}`)).status).toBe(404)
  })

  test('lists its tasks in the order in which they were planned', async ({ stage }) => {
    const { id } = await stage.submit(
      crewOf('x', [{ id: 'z' }, { id: 'a', forEach: [1, 2, 3], dependsOn: [] }, { id: 'm', dependsOn: ['z'] }]),
    )
    const found = await pages<Task>(stage.operator, `/v1/missions/${id}/tasks?limit=2`)
    expect(found.map((page) => page.map((task) => task.key))).toEqual([
      ['z', 'a'],
      ['m', 'a[0]'],
      ['a[1]', 'a[2]'],
    ])
    const blocked = found.flat().find((task) => task.key === 'm') as Task
    expect(blocked).toMatchObject({ state: 'blocked', reason: 'waits for 1 of its dependencies', attempt: 0 })
    expect((await stage.operator.call('GET', `/v1/tasks/${blocked.id}`)).body).toEqual(blocked)
    expect((await stage.operator.call('GET', `/v1/missions/${id}/tasks?cursor=1`)).status).toBe(400)
  })

  test('tells in its journal every attempt and every step, oldest first', async ({ stage }) => {
    const agent = await stage.agent(['work'])
    const { id } = await stage.submit(
      crewOf('x', [
        { id: 'a', retry: { maxAttempts: 2 } },
        { id: 'b', dependsOn: ['a'] },
      ]),
    )
    const [first] = (await agent.claim()) as [ClaimedTask]
    const put = async (task: ClaimedTask, name: string, response: unknown) =>
      await agent.call('PUT', `/v1/tasks/${task.taskId}/steps/${name}`, {
        incarnation: 1,
        attempt: task.attempt,
        response,
      })
    await put(first, 'one', { n: 1 })
    await put(first, 'two', null)
    await agent.report({ taskId: first.taskId, attempt: 1, outcome: 'released' })
    const [second] = (await agent.claim()) as [ClaimedTask]
    await put(second, 'three', [3])
    await agent.complete(second)
    await agent.claim()
    const entries = (await pages<JournalEntry>(stage.operator, `/v1/missions/${id}/journal?limit=2`)).flat()
    expect(
      entries.map(({ key, kind, attempt, name, outcome, response }) => [key, kind, attempt, name ?? outcome, response]),
    ).toEqual([
      ['a', 'attempt', 1, 'released', undefined],
      ['a', 'step', 1, 'one', { n: 1 }],
      ['a', 'step', 1, 'two', null],
      ['a', 'attempt', 2, 'completed', undefined],
      ['a', 'step', 2, 'three', [3]],
      ['b', 'attempt', 1, undefined, undefined],
    ])
    expect(entries[0]).toMatchObject({ agentInstanceId: agent.instanceId, endedAt: expect.any(String) })
    for (const cursor of ['-1', 'x', '1e3', '99999999999'])
      expect((await stage.operator.call('GET', `/v1/missions/${id}/journal?cursor=${cursor}`)).status).toBe(400)
  })
})
