import { existsSync, readFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import path from 'node:path'
import { createScriptedModel } from '@hypercode/base-agent/testing'
import type { ModelRequest, ModelTurn } from '@hypercode/base-agent/testing'
import { expect, onTestFinished, test } from 'vitest'
import { parseReport } from '../src/report.ts'
import { faultyRepository, start, stateFolder } from './start-command.ts'

const LONG = 240_000

// Goal: `npm start -- PATH --fix` has every urgent finding put right, reviewed, and audited again.
// Method: a model behind real HTTP that puts one of two urgent findings of a small repository right, and approves of it; the other stays.
test('--fix writes a patch that applies, and shows before and after', { timeout: LONG }, async () => {
  const home = stateFolder()
  const target = faultyRepository(home)
  const model = await createScriptedModel({ script: fixer })
  onTestFinished(async () => await model.close())
  const json = path.join(home, 'out.json')
  const env = { MODEL_BASE_URL: model.baseUrl, MODEL_NAME: 'scripted' }
  const run = start(home, [target, '--fix', '--once', '--json', json], env)
  expect(await run.ended, run.text()).toBe(0)

  const { change, counts } = parseReport(readFileSync(json, 'utf8'))
  expect([change?.counts.P0, counts.P0]).toEqual([2, 1])
  expect(change?.fixed.map(({ file }) => file)).toEqual(['settings.py'])
  expect(change?.introduced).toEqual([])
  expect(run.stdout()).toMatch(/^before +\d+ \/ 100/m)
  expect(run.stdout()).toMatch(/^with the patches \d+ \/ 100/m)

  expect(readFileSync(path.join(target, 'settings.py'), 'utf8')).toContain('changethis')
  const patch = /git apply (\S+)/.exec(run.stdout())?.[1] ?? ''
  execFileSync('git', ['apply', patch], { cwd: target, env: { ...process.env, GIT_CEILING_DIRECTORIES: home } })
  expect(readFileSync(path.join(target, 'settings.py'), 'utf8')).not.toContain('changethis')
})

test('--fix without a model audits, and says what to set', { timeout: LONG }, async () => {
  const home = stateFolder()
  const run = start(home, [faultyRepository(home), '--fix', '--once'], { MODEL_BASE_URL: '', MODEL_NAME: '' })
  expect(await run.ended, run.text()).toBe(0)
  expect(run.stdout()).toContain('settings.py:5')
  expect(run.stdout()).toMatch(/Nothing was fixed[^]*MODEL_BASE_URL[^]*MODEL_NAME/)
  expect(existsSync(path.join(home, 'reports'))).toBe(true)
})

/** Knows the repository of the test: gives its secret no default, leaves everything else, and approves of itself. */
function fixer({ messages, tools }: ModelRequest): ModelTurn {
  if (tools.includes('submit_review')) {
    const review = { approved: true, findings: [], summary: 'It does what was asked.' }
    return { toolCalls: [{ name: 'submit_review', input: review }] }
  }
  const isFirst = messages.every(({ role }) => role !== 'assistant')
  const isSecret = messages.some(({ role, text }) => role === 'user' && text.includes('settings.py'))
  if (!isFirst || !isSecret) return { text: 'There is nothing more to do.' }
  const patch = [
    '--- a/settings.py',
    '+++ b/settings.py',
    '@@ -5 +5 @@',
    '-    JWT_SECRET: str = "changethis"',
    '+    JWT_SECRET: str',
    '',
  ].join('\n')
  return { toolCalls: [{ name: 'apply_patch', input: { patch } }] }
}
