import type { TaskRun } from '@hypercode/base-agent/testing'
import { expect, test } from 'vitest'
import type { EditInput, EditOutput } from '../src/schemas.ts'
import { byTurn, call, coder, model, runEdit } from './support/coder.ts'
import { repository } from './support/repository.ts'

const patchOf = (run: TaskRun<EditOutput>): string => run.artifacts.get('patch.diff')?.bytes.toString() ?? ''
const refusal = (message: string) => ({ code: 'verification_failed', message })

// Goal: what a verification refuses is made right, wherever the coder is killed. Method: the journal of each attempt is that of the next.
test('a refused result is gone on from, with what was wrong and on the files as they were', async () => {
  const root = await repository({ 'a.txt': 'one\n' })
  const scripted = await model(
    byTurn([
      call('write_file', { path: 'a.txt', content: 'two\n' }),
      { text: 'It is two.' },
      call('write_file', { path: 'b.txt', content: 'three\n' }),
      { text: 'It is two and three.' },
      { text: 'Nothing is missing.' },
    ]),
  )
  const input: EditInput = { root, instruction: 'count' }
  const agent = await coder(scripted)
  const first = await runEdit(agent, input)
  expect(first.output.summary).toBe('It is two.')

  const second = await runEdit(agent, input, {
    attempt: 2,
    steps: first.steps,
    previousError: refusal('three is missing'),
  })
  expect(second.output).toMatchObject({ summary: 'It is two and three.', usage: { turns: 4 } })
  expect(patchOf(second)).toMatch(/two[^]*three/)
  expect(scripted.requests.at(2)?.messages.at(-1)?.text).toContain('three is missing')
  expect(scripted.requests).toHaveLength(4)

  // Killed before it could report: the next one ends the same and asks nothing.
  const steps = { ...first.steps, ...second.steps }
  const lost = { code: 'lease_lost', message: 'it was killed' }
  const third = await runEdit(agent, input, { attempt: 3, steps, previousError: lost })
  expect([third.output.summary, patchOf(third)]).toEqual(['It is two and three.', patchOf(second)])
  expect(scripted.requests).toHaveLength(4)

  const fourth = await runEdit(agent, input, { attempt: 4, steps, previousError: refusal('something is missing') })
  expect(fourth.output.summary).toBe('Nothing is missing.')
  expect(
    scripted.requests
      .at(-1)
      ?.messages.map(({ text }) => text)
      .join('\n'),
  ).toMatch(/three is missing[^]*something is missing/)
})
