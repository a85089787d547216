import type { CrewManifest } from '@hypercode/contracts'
import { cpuMsOf } from '@hypercode/testkit/tools'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { compile } from '../../src/manifest/compile.ts'
import { dependenciesOf, findCycle, reachable, waves } from '../../src/manifest/graph.ts'
import { parseManifest, readManifest } from '../../src/manifest/parse.ts'
import { crewOf } from '../crew-of.ts'

/** A manifest that is right by construction: tasks wait for earlier ones and read what they wait for. */
const goodManifest = fc
  .record({
    process: fc.constantFrom('dag', 'sequential', undefined),
    members: fc.integer({ min: 1, max: 4 }),
    tasks: fc.array(
      fc.record({
        member: fc.nat(),
        parents: fc.array(fc.nat(), { maxLength: 4 }),
        input: fc.jsonValue({ maxDepth: 3 }).map((value) => JSON.parse(JSON.stringify(value)) as unknown), // JSON knows no -0
        priority: fc.option(fc.integer({ min: -100, max: 100 }), { nil: undefined }),
        shape: fc.constantFrom('plain', 'when', 'forEach', 'list'),
        attempt: fc.option(fc.constantFrom('500ms', '2s', '10m', '2h', '7d'), { nil: undefined }),
      }),
      { minLength: 1, maxLength: 10 },
    ),
  })
  .map(({ process, members, tasks }) => ({
    apiVersion: 'hypercode/v1',
    kind: 'Crew',
    metadata: { name: 'generated' },
    spec: {
      ...(process === undefined ? {} : { process }),
      members: Array.from({ length: members }, (_, index) => ({ id: `m${index}`, skill: `skill.n${index}` })),
      tasks: tasks.map(({ member, parents, input, priority, shape, attempt }, index) => {
        const dependsOn = index === 0 ? [] : [...new Set(parents.map((parent) => `t${parent % index}`))]
        const read = dependsOn.map((id) => `\${tasks.${id}.output}`)
        return {
          id: `t${index}`,
          member: `m${member % members}`,
          dependsOn,
          input: { data: JSON.stringify(input).includes('${') ? null : input, read },
          ...(priority === undefined ? {} : { priority }),
          ...(attempt === undefined ? {} : { timeouts: { attempt } }),
          ...(shape === 'when' ? { when: '${mission.input.go} == true' } : {}),
          ...(shape === 'forEach' ? { forEach: read[0] ?? '${mission.input}' } : {}),
          ...(shape === 'list' ? { forEach: [1, '${mission.id}', { a: null }] } : {}),
        }
      }),
    },
  }))

describe('whatever comes in', () => {
  test('a right manifest is accepted as YAML, as JSON text and as a value, and means the same', () => {
    fc.assert(
      fc.property(goodManifest, (manifest) => {
        const value = readManifest(manifest)
        expect(value.faults).toEqual([])
        const plan = compile(value.manifest as CrewManifest)
        for (const text of [stringify(manifest, { aliasDuplicateObjects: false }), JSON.stringify(manifest)]) {
          const read = parseManifest(text)
          expect(read.faults).toEqual([])
          expect(compile(read.manifest as CrewManifest)).toEqual(plan)
        }
        const place = new Map(plan.tasks.map((task, index) => [task.key, index]))
        for (const task of plan.tasks)
          for (const parent of task.dependsOn) expect(place.get(parent)).toBeLessThan(place.get(task.key) as number)
      }),
      { numRuns: 100 },
    )
  })

  test('one edge that closes a circle is refused, by names that really form one', () => {
    fc.assert(
      fc.property(goodManifest, fc.nat(), fc.nat(), ({ spec, ...rest }, from, to) => {
        const n = spec.tasks.length
        const [low, high] = [Math.min(from % n, to % n), Math.max(from % n, to % n)]
        const tasks = spec.tasks.map((task, index) => ({
          ...task,
          dependsOn: [
            ...new Set([
              ...task.dependsOn,
              ...(index === low ? [`t${high}`] : []),
              ...(index > low && index <= high ? [`t${index - 1}`] : []),
            ]),
          ],
        }))
        const { faults, manifest } = readManifest({ ...rest, spec: { ...spec, tasks } })
        expect(manifest).toBeUndefined()
        const named = faults.flatMap(
          (fault) => /wait for each other: (.*)$/.exec(fault.message)?.[1]?.split(' → ') ?? [],
        )
        expect(named.length).toBeGreaterThan(1)
        expect(named[0]).toBe(named.at(-1))
        const graph = dependenciesOf({ ...rest, spec: { ...spec, tasks } } as unknown as CrewManifest)
        for (const [index, id] of named.slice(0, -1).entries()) expect(graph.get(id)).toContain(named[index + 1])
      }),
      { numRuns: 100 },
    )
  })

  test('any JSON value gets an answer with faults', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(readManifest(typeof value === 'string' ? [value] : value).faults.length).toBeGreaterThan(0)
      }),
    )
  })

  test('a right manifest with one value replaced is accepted, or refused with pointers that exist or nearly', () => {
    fc.assert(
      fc.property(goodManifest, fc.nat(), fc.jsonValue({ maxDepth: 2 }), (manifest, at, value) => {
        const { faults } = readManifest(replaceAt(manifest, at, value))
        for (const fault of faults) expect(fault.pointer).toMatch(/^(\/|$)/)
      }),
      { numRuns: 150 },
    )
  })

  test('any text, and any piece of YAML, gets an answer with places', () => {
    const yaml = fc.array(
      fc.oneof(
        fc.constantFrom(
          ...'-:?{}[],&*!|>%@`"\'# \n\t\\'.split(''),
          '\n  ',
          '- ',
          ': ',
          '---\n',
          '&a ',
          '*a',
          '<<: ',
          'spec',
          'tasks',
        ),
        fc.string({ maxLength: 3 }),
      ),
      { maxLength: 40 },
    )
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string({ unit: 'binary' }),
          yaml.map((parts) => parts.join('')),
        ),
        (text) => {
          const { manifest, faults } = parseManifest(text)
          expect(manifest).toBeUndefined()
          expect(faults.length).toBeGreaterThan(0)
          for (const { line, column } of faults) {
            expect(line).toBeGreaterThanOrEqual(1)
            expect(column).toBeGreaterThanOrEqual(1)
          }
        },
      ),
      { numRuns: 500 },
    )
  })

  test('a right manifest with some characters changed gets an answer', () => {
    fc.assert(
      fc.property(
        goodManifest,
        fc.array(fc.tuple(fc.nat(), fc.string({ maxLength: 2 })), { maxLength: 4 }),
        (manifest, edits) => {
          let text = stringify(manifest)
          for (const [at, change] of edits) {
            const spot = at % text.length
            text = text.slice(0, spot) + change + text.slice(spot + 1)
          }
          const { faults } = parseManifest(text)
          for (const { line } of faults) expect(line).toBeGreaterThanOrEqual(1)
        },
      ),
      { numRuns: 100 },
    )
  })
})

function replaceAt(root: unknown, at: number, value: unknown): unknown {
  const copy = structuredClone(root)
  const spots: [Record<string, unknown>, string][] = []
  const visit = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return
    for (const key of Object.keys(node)) {
      spots.push([node as Record<string, unknown>, key])
      visit((node as Record<string, unknown>)[key])
    }
  }
  visit(copy)
  const spot = spots[at % spots.length]
  if (spot !== undefined) spot[0][spot[1]] = value
  return copy
}

describe('graphs', () => {
  const graph = new Map([
    ['a', []],
    ['b', ['a']],
    ['c', ['a']],
    ['d', ['b', 'c', 'gone']],
  ])
  test('waves leave out what can never run', () => {
    expect(waves(graph)).toEqual([['a'], ['b', 'c']])
    expect(
      waves(
        new Map([
          ['a', ['b']],
          ['b', ['a']],
          ['c', []],
        ]),
      ),
    ).toEqual([['c']])
  })
  test('reachable is near and far', () => {
    expect([...reachable(graph, 'd')].sort()).toEqual(['a', 'b', 'c', 'gone'])
  })
  test('a parent that does not exist is no cycle', () => {
    expect(findCycle(graph)).toBeUndefined()
  })
  test('a chain of 500 tasks is judged in a moment', () => {
    const tasks = Array.from({ length: 500 }, (_, index) => ({
      id: `t${index}`,
      input: index === 0 ? null : '${tasks.t0.output}',
    }))
    const long = crewOf('long', tasks, { process: 'sequential' })
    expect(readManifest(long).faults).toEqual([])
    expect(cpuMsOf(() => void readManifest(long))).toBeLessThan(1000)
  })
})
