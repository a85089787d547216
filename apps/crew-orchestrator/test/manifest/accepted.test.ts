import type { CrewManifest } from '@hypercode/contracts'
import { describe, expect, test } from 'vitest'
import { compile, withBlueprints } from '../../src/manifest/compile.ts'
import { dependenciesOf, waves } from '../../src/manifest/graph.ts'
import { parseManifest, readManifest } from '../../src/manifest/parse.ts'
import { crewOf } from '../crew-of.ts'

const parsed = (text: string): CrewManifest => {
  const { manifest, faults } = parseManifest(text)
  if (manifest === undefined) throw new Error(JSON.stringify(faults))
  return manifest
}

const FULL = `
apiVersion: hypercode/v1
kind: Crew
metadata: { name: feature-crew, description: All that can be said, labels: { team: core } }
spec:
  process: dag
  members:
    - { id: planner, skill: plan.break-down }
    - { id: coder, skill: code.edit, requires: [lang.typescript] }
  tasks:
    - { id: ship, member: coder, dependsOn: [build] }
    - { id: plan, member: planner, input: { goal: "\${mission.input.goal}" } }
    - id: build
      member: coder
      dependsOn: [plan]
      forEach: "\${tasks.plan.output.files}"
      when: "\${tasks.plan.output.files.length} > 0"
      input: { file: "\${item}", number: "\${index}" }
      priority: 5
      retry: { maxAttempts: 4, initialInterval: 2s, backoff: 2, maxInterval: 5m, nonRetryable: [schema_invalid], onExhausted: pause }
      timeouts: { queue: 10m, attempt: 20m, total: 2h, heartbeat: 45s }
  policy: { deadline: 6h, onTaskFailure: continue }
`

describe('a manifest becomes a plan', () => {
  test('with who undoes a task, of the version that the blueprint means', () => {
    const members = [{ id: 'm', skill: 'undo', requires: ['db'], pool: 'p', blueprint: 'fixer@stable' }]
    const compensate = { member: 'm', retry: { maxAttempts: 9 }, timeouts: { attempt: '1m' } }
    const tasks = [
      { id: 'a', member: 'w', compensate },
      { id: 'b', member: 'w', compensate: { skill: 'undo', input: null } },
    ]
    const crew = crewOf('x', tasks, { members: [{ id: 'w', skill: 'w' }, ...members] })
    const plan = compile(readManifest(crew).manifest as CrewManifest)
    const [a, b] = withBlueprints(plan, new Map([['fixer@stable', 4]])).tasks
    expect(a).toMatchObject({ queue: 'w', requires: [] })
    expect(a?.policy?.compensate).toMatchObject({
      queue: 'undo@p',
      requires: ['db@p', 'blueprint:fixer@4'],
      retry: { maxAttempts: 9 },
      timeouts: { attemptMs: 60_000 },
    })
    expect(a?.policy?.compensate).not.toHaveProperty('input')
    expect(b?.policy?.compensate).toMatchObject({ queue: 'undo', requires: [], input: null })
  })

  test('in an order in which each task comes after those that it waits for, with every limit in milliseconds', () => {
    const plan = compile(parsed(FULL))
    expect(plan).toMatchObject({ crew: 'feature-crew', onTaskFailure: 'continue', deadlineMs: 21_600_000 })
    expect(plan.tasks.map((task) => task.key)).toEqual(['plan', 'build', 'ship'])
    expect(plan.tasks[0]).toMatchObject({
      queue: 'plan.break-down',
      requires: [],
      leaf: false,
      input: null,
      template: { input: { goal: '${mission.input.goal}' }, reads: [] },
      timeouts: { queueMs: null, attemptMs: null, heartbeatMs: null, totalMs: null },
    })
    expect(plan.tasks[1]).toMatchObject({
      queue: 'code.edit',
      requires: ['lang.typescript'],
      dependsOn: ['plan'],
      leaf: false,
      priority: 5,
      template: { reads: ['plan'], forEach: '${tasks.plan.output.files}' },
      retry: { maxAttempts: 4, initialIntervalMs: 2000, maxIntervalMs: 300_000, onExhausted: 'pause' },
      timeouts: { queueMs: 600_000, attemptMs: 1_200_000, totalMs: 7_200_000, heartbeatMs: 45_000 },
    })
    expect(plan.tasks[2]).toMatchObject({ leaf: true, template: null, input: null })
  })

  test('a first wait that is longer than the usual longest one is kept', () => {
    const { tasks } = compile(
      readManifest(crewOf('slow', [{ id: 'a', retry: { initialInterval: '5m' } }])).manifest as never,
    )
    expect(tasks[0]?.retry).toMatchObject({ initialIntervalMs: 300_000, maxIntervalMs: 300_000 })
  })

  test.for([
    ['sequential', [['a'], ['b'], ['c']]],
    ['parallel', [['a', 'b', 'c']]],
    ['dag', [['a', 'b', 'c']]],
  ] as const)('process %s', ([process, expected]) => {
    const manifest = crewOf('x', [{ id: 'a' }, { id: 'b' }, { id: 'c' }], { process }) as CrewManifest
    expect(readManifest(manifest).faults).toEqual([])
    expect(waves(dependenciesOf(manifest))).toEqual(expected)
    expect(
      compile(manifest)
        .tasks.filter((task) => task.leaf)
        .map((task) => task.key),
    ).toEqual(process === 'sequential' ? ['c'] : ['a', 'b', 'c'])
  })

  test('what a sequence says itself is said once', () => {
    const manifest = crewOf('x', [{ id: 'a' }, { id: 'b', dependsOn: ['a'] }], {
      process: 'sequential',
    }) as CrewManifest
    expect(dependenciesOf(manifest).get('b')).toEqual(['a'])
  })
})
