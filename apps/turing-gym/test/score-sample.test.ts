import { mkdir, mkdtemp, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Scorer } from '@hypercode/contracts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { Type } from '@sinclair/typebox'
import { defineScorer } from '../src/scoring/define-scorer.ts'
import { ScoringFault, loadScorerModules, score, scoreSample } from '../src/scoring/index.ts'
import { toolsOf } from '../src/scoring/sequence-scorers.ts'
import { eventsOf, evidenceOf, tools } from './support/evidence.ts'
import { workingSandbox } from './support/sandbox.ts'

const steps = (...names: string[]) => names.map((name) => ({ name, response: null }))

describe('a sample', () => {
  it('passes when every scorer reaches its pass, and is worth the mean of the scores by weight', async () => {
    const scored = await scoreSample(
      evidenceOf({ tokens: 50 }),
      [
        { kind: 'path', at: 'answer', value: 42, weight: 3 },
        { kind: 'tokens', max: 10 },
      ],
      tools(),
    )
    expect(scored).toMatchObject({ passed: false, score: 0.75 })
    expect(scored.scores.map(({ scorer, passed }) => [scorer, passed])).toEqual([
      ['outcome', true],
      ['path-1', true],
      ['tokens-2', false],
    ])
  })

  it('must have completed, unless a scorer says how it should end', async () => {
    const failed = evidenceOf({ outcome: 'failed', error: { code: 'limit_tokens', message: 'too many' } })
    expect((await scoreSample(failed, [{ kind: 'latency', max: '5s' }], tools())).passed).toBe(false)
    expect((await scoreSample(failed, [{ kind: 'outcome', is: 'failed', code: 'limit_tokens' }], tools())).passed).toBe(
      true,
    )
    expect((await scoreSample(failed, [{ kind: 'outcome', is: 'failed', code: 'other' }], tools())).passed).toBe(false)
  })

  it('is judged by what it took', async () => {
    const evidence = evidenceOf({ latencyMs: 2000, tokens: 100, usd: 0.5 })
    const limits: readonly (readonly [Scorer, boolean])[] = [
      [{ kind: 'latency', max: '2s' }, true],
      [{ kind: 'latency', max: '1999ms' }, false],
      [{ kind: 'tokens', max: 100 }, true],
      [{ kind: 'tokens', max: 99 }, false],
      [{ kind: 'cost', maxUsd: 0.5 }, true],
      [{ kind: 'cost', maxUsd: 0.49 }, false],
    ]
    for (const [scorer, passed] of limits) expect((await score(evidence, scorer, tools())).passed).toBe(passed)
  })

  it('is not judged, and not the agent’s fault, when the gym lacks what a scorer needs', async () => {
    const asked: Scorer[] = [
      { kind: 'command', argv: ['true'] },
      { kind: 'judge', rubric: 'good' },
      { kind: 'module', module: 'missing' },
      { kind: 'file-exists', file: 'a' },
      { kind: 'resilience' },
    ]
    for (const scorer of asked) await expect(scoreSample(evidenceOf(), [scorer], tools())).rejects.toThrow(ScoringFault)
  })
})

describe('the way an agent went', () => {
  const journal = steps(
    'plan',
    'turn-2/call-1 run_command',
    'turn-1/call-2 search',
    'turn-1/call-1 read_file',
    'turn-1',
  )

  it('reads the tools called in the order of turns and calls', () => {
    expect(toolsOf(journal)).toEqual(['read_file', 'search', 'run_command'])
    expect(toolsOf(steps('a/call-2 x', 'call-1 y', 'not-a-call-1 z', 'call-1'))).toEqual(['x', 'y'])
  })

  it.each([
    ['in-order', ['read_file', 'run_command'], 1],
    ['in-order', ['run_command', 'read_file'], 0.5],
    ['any-order', ['run_command', 'read_file'], 1],
    ['any-order', ['read_file', 'read_file'], 0.5],
    ['exact', ['read_file', 'search', 'run_command'], 1],
    ['exact', ['read_file', 'search'], 2 / 3],
    ['exact', [], 0],
    ['in-order', [], 1],
  ] as const)('tool-calls %s %j scores %d', async (match, sequence, expected) => {
    const scored = await score(
      evidenceOf({ steps: journal }),
      { kind: 'tool-calls', match, sequence: [...sequence] },
      tools(),
    )
    expect(scored.score).toBeCloseTo(expected)
    expect(scored.passed).toBe(expected === 1)
  })

  it('compares the journal itself', async () => {
    const scored = await score(evidenceOf({ steps: journal }), { kind: 'steps', names: ['plan', 'turn-1'] }, tools())
    expect(scored.passed).toBe(true)
  })
})

describe('resilience', () => {
  const whole = eventsOf(
    ['mission.submitted'],
    ['mission.started'],
    ['task.claimed', { attempt: 1 }],
    ['task.step.recorded', { step: 'one', attempt: 1 }],
    ['task.claimed', { attempt: 2 }],
    ['task.step.recorded', { step: 'two', attempt: 2 }],
    ['task.completed', { attempt: 2 }],
    ['mission.completed'],
  )
  const killed = { steps: steps('one', 'two'), faultsInjected: ['kill agent at step:1'], events: whole }
  const at = (events: typeof whole) =>
    evidenceOf({ ...killed, events: events.map((event, index) => ({ ...event, seq: index + 1 })) })

  it('passes when nothing was lost or doubled', async () => {
    expect(await score(evidenceOf(killed), { kind: 'resilience' }, tools())).toMatchObject({ passed: true })
  })

  it.each([
    ['a step ran twice', at(whole.toSpliced(5, 0, ...whole.slice(3, 4))), /"one" ran 2 times/],
    ['a task ended twice', at(whole.toSpliced(6, 0, ...whole.slice(6, 7))), /task ended 2 times/],
    ['a mission did not end', at(whole.slice(0, -1)), /mission ended 0 times/],
    ['a result is lost', evidenceOf({ ...killed, steps: steps('two') }), /"one" is lost/],
    ['the output is lost', evidenceOf({ ...killed, output: undefined }), /output of the task is lost/],
  ])('fails when %s', async (_name, evidence, detail) => {
    const scored = await score(evidence, { kind: 'resilience' }, tools())
    expect(scored.passed).toBe(false)
    expect(scored.detail).toMatch(detail)
  })

  it('gives no verdict without a fault, or on events with a gap', async () => {
    const judge = async (given: object): Promise<unknown> =>
      await score(evidenceOf({ ...killed, ...given }), { kind: 'resilience' }, tools())
    await expect(judge({ faultsInjected: [] })).rejects.toThrow('none of the declared faults took place')
    await expect(judge({ events: whole.toSpliced(2, 1) })).rejects.toThrow('have a gap')
  })
})

describe('files and commands', () => {
  let folder: string
  let workspace: string
  beforeAll(async () => {
    folder = await realpath(await mkdtemp(join(tmpdir(), 'gym-test-')))
    workspace = join(folder, 'workspace')
    await mkdir(join(workspace, 'src'), { recursive: true })
    await writeFile(join(folder, 'secret.txt'), 'expected answer')
    await writeFile(join(workspace, 'src/a.txt'), 'one\ntwo\n')
    await symlink('../secret.txt', join(workspace, 'link.txt'))
    await symlink('src', join(workspace, 'linked'))
  })
  afterAll(async () => await rm(folder, { recursive: true }))

  const passes = async (scorer: Scorer): Promise<boolean> =>
    (await score(evidenceOf({ workspace }), scorer, tools())).passed

  it('reads files of the workspace and nothing that a link points to', async () => {
    expect(await passes({ kind: 'file-exists', file: 'src/a.txt' })).toBe(true)
    expect(await passes({ kind: 'file-exists', file: 'src/b.txt', exists: false })).toBe(true)
    expect(await passes({ kind: 'file-exists', file: 'src' })).toBe(false)
    expect(await passes({ kind: 'file-contains', file: 'src/a.txt', text: 'two' })).toBe(true)
    expect(await passes({ kind: 'file-equals', file: 'src/a.txt', content: 'one\ntwo\n' })).toBe(true)
    expect(await passes({ kind: 'file-equals', file: 'src/a.txt', content: 'one\n' })).toBe(false)
    expect(await passes({ kind: 'file-contains', file: 'link.txt', text: 'expected' })).toBe(false)
    expect(await passes({ kind: 'file-contains', file: 'linked/a.txt', text: 'one' })).toBe(false)
  })

  it('runs commands in the sandbox, over a copy that hidden files are added to', async () => {
    const sandbox = await workingSandbox()
    const run = async (scorer: Omit<Extract<Scorer, { kind: 'command' }>, 'kind'>) =>
      await score(evidenceOf({ workspace }), { kind: 'command', ...scorer }, tools({ sandbox }))
    expect(await run({ argv: ['grep', '-q', 'two', 'src/a.txt'] })).toMatchObject({ passed: true })
    expect(await run({ argv: ['sh', '-c', 'echo found nothing >&2; exit 3'] })).toMatchObject({
      passed: false,
      detail: expect.stringMatching(/exited with 3[^]*found nothing/) as string,
    })
    expect(await run({ argv: ['sh', '-c', 'exit 3'], exitCode: 3 })).toMatchObject({ passed: true })
    expect(await run({ argv: ['sleep', '30'], timeout: '200ms' })).toMatchObject({ passed: false })
    const hidden = { 'link.txt': 'hidden test', 'linked/a.txt': 'by link' }
    expect(
      await run({ argv: ['sh', '-c', 'cat link.txt linked/a.txt; echo changed > src/a.txt; exit 1'], files: hidden }),
    ).toMatchObject({
      detail: expect.stringContaining('hidden testby link') as string,
    })
    expect(await readFile(join(folder, 'secret.txt'), 'utf8')).toBe('expected answer')
    expect(await readFile(join(workspace, 'src/a.txt'), 'utf8')).toBe('one\ntwo\n')
  })
})

describe('scorer modules', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'gym-modules-'))
    const write = async (name: string, body: string): Promise<void> =>
      await writeFile(join(folder, `${name}.mjs`), body)
    await write(
      'words',
      `export default { name: 'words', options: { type: 'object', properties: { most: { type: 'integer' } }, required: ['most'], additionalProperties: false },
        score: ({ output }, { most }) => ({ score: String(output).split(' ').length <= most ? 1 : 0.4, detail: 'counted' }) }`,
    )
    await write('broken', `export default { name: 'broken', score: () => { throw new TypeError('a bug') } }`)
    await write('odd', `export default { name: 'odd', score: () => ({ score: 7 }) }`)
    await write('no-scorer', `export default {}`)
  })
  afterAll(async () => await rm(folder, { recursive: true }))
  const path = (name: string): string => join(folder, `${name}.mjs`)

  it('are loaded by path, called by name, and judge with a pass of their own', async () => {
    const modules = await loadScorerModules([path('words')])
    const judge = async (most: unknown, pass?: number) =>
      await score(
        evidenceOf({ output: 'two words' }),
        { kind: 'module', module: 'words', options: { most }, ...(pass !== undefined && { pass }) },
        tools({ modules }),
      )
    expect(await judge(2)).toMatchObject({ score: 1, passed: true, detail: 'counted' })
    expect(await judge(1)).toMatchObject({ score: 0.4, passed: false })
    expect(await judge(1, 0.4)).toMatchObject({ passed: true })
    await expect(judge('many')).rejects.toThrow(ScoringFault)
  })

  it('are typed by their options', async () => {
    const typed = defineScorer({
      name: 'typed',
      options: Type.Object({ most: Type.Integer() }),
      score: ({ output }, { most }) => ({ score: String(output).length <= most ? 1 : 0 }),
    })
    expect(await typed.score(evidenceOf({ output: 'abc' }), { most: 3 }, { signal: tools().signal })).toEqual({
      score: 1,
    })
  })

  it('that break are a fault of the gym', async () => {
    const modules = await loadScorerModules([path('broken'), path('odd')])
    for (const name of ['broken', 'odd']) {
      await expect(score(evidenceOf(), { kind: 'module', module: name }, tools({ modules }))).rejects.toThrow(
        ScoringFault,
      )
    }
  })

  it('are refused with words when they are none', async () => {
    await expect(loadScorerModules([path('no-scorer')])).rejects.toThrow('no scorer with name and score')
    await expect(loadScorerModules([path('missing')])).rejects.toThrow('cannot be loaded')
    await expect(loadScorerModules(['words.mjs'])).rejects.toThrow('no absolute path')
    await expect(loadScorerModules([path('words'), path('words')])).rejects.toThrow('already the name')
  })
})
